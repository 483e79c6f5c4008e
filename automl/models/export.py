"""A saved model in another format, with its preprocessing inside, checked before it is written.

Every export takes samples [batch, *input_shape] in the units of the data, see `takes`, and gives logits of classes or
labels, or predictions in the targets' units. The file's bytes are loaded again and compared with the model: a wrong
export is never written.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from automl.data.atomic import write_atomic
from automl.data.conversion import Columns, Pixels
from automl.data.resident import PixelInputs
from automl.data.table_inputs import TableInputs
from automl.errors import BadInput, DataError, ExportFailed, MachineFailed
from automl.models.model import Model
from automl.models.model_files import DESCRIPTION, FORMATS, WEIGHTS
from automl.models.modules import Ensemble, Standardised
from automl.models.samples import read_batches

TOLERANCE = 1e-4
_COMPARED = 64  # samples


def export(model: Model, format: str, out: Path, samples: Tensor | None = None) -> float:
    """Writes the model to `out`, whole or not at all; returns the largest difference of the export's outputs.

    They are compared on `samples` [n, ...], by default `random_samples`. The difference is absolute for logits, and in
    standard deviations of the target for a regression. Raises `BadInput` (an unknown format, a missing extra, no folder
    for `out`), `ExportFailed` when the network cannot be exported or differs by more than `TOLERANCE`, `MachineFailed`
    on a full disk.
    """
    _check(format, out)
    model = dataclasses.replace(model, module=_in_units_of_the_data(model))
    module = model.module
    x = random_samples(model) if samples is None else samples
    makers = {"torch-export": _torch_export, "onnx": _onnx, "state-dict": _state_dict}
    with torch.no_grad():
        expected = module(x)
    try:
        data, outputs = makers[format](model, x)
    # The exporters trace code of plugins and raise almost anything about it.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0][:300]
        name = model.description.architecture
        raise ExportFailed(
            f"{name} cannot be exported as {format}: {type(error).__name__}: {reason}; "
            "state-dict works for every network"
        ) from error
    if module.log:
        outputs, expected = outputs.log(), expected.log()
    difference = float(((outputs - expected) / module.y_std).abs().max())
    if not difference <= TOLERANCE:
        raise ExportFailed(
            f"{format}: the export differs from the model by {difference:.2g}, more than {TOLERANCE:g}; "
            "nothing was written"
        )
    try:
        write_atomic(out, lambda file: file.write(data))
    except OSError as error:
        raise MachineFailed(f"{out}: cannot be written: {error.strerror or error}") from error
    return difference


def takes(model: Model) -> str:
    """What an export of the model is given, in words."""
    shape = ", ".join(map(str, ("batch", *model.description.input_shape)))
    if isinstance(model.conversion, Pixels):
        return f"float32 [{shape}], pixels 0..{255 // model.conversion.scale}"
    return f"float64 [{shape}], {_features(model)}"


def gives(model: Model) -> str:
    """What an export of the model says of a batch, in words."""
    if model.classes:
        return "logits, a softmax makes probabilities of them"
    names = ", ".join(model.targets[:20]) + (", ..." if len(model.targets) > 20 else "")
    if model.description.task == "multilabel":
        return "logits of labels, a sigmoid makes probabilities of them" + (f": {names}" if names else "")
    return "predictions in the targets' units" + (f": {names}" if names else "")


def _features(model: Model) -> str:
    """How the rows of a table are written for an export."""
    features = model.description.features
    words = "numbers in the units of the data, NaN for a missing one"
    if any(feature.kind == "category" for feature in features):
        words += "; categories as their places in model.json, from 1, and 0 for a missing or unknown one"
    names = ", ".join(feature.name for feature in features[:20]) + (", ..." if len(features) > 20 else "")
    return f"{words}; the columns: {names}" if isinstance(model.conversion, Columns) else words


def metadata(model: Model) -> dict[str, str]:
    """What an ONNX file says of itself: `takes`, `gives`, `task`, `classes`, `targets` and `input_shape` (JSON), and of
    a model of images `files` (JSON), how an image file becomes its input.
    """
    facts = {"takes": takes(model), "gives": gives(model), "task": model.description.task}
    facts |= {"classes": json.dumps(model.classes), "targets": json.dumps(model.targets)}
    facts |= {"input_shape": json.dumps(list(model.description.input_shape))}
    if isinstance(model.conversion, Pixels):
        facts["files"] = model.conversion.files.model_dump_json()
    return facts


def _in_units_of_the_data(model: Model) -> Standardised | Ensemble:
    """The model's module on the CPU; of images that were floats in 0..1 it takes these, not pixels 0..255."""
    module = copy.deepcopy(model.module).cpu().eval()
    if isinstance(model.conversion, Pixels):
        for member in module.members if isinstance(module, Ensemble) else [module]:
            assert isinstance(member, Standardised)
            assert isinstance(member.inputs, PixelInputs)
            member.inputs.mean /= model.conversion.scale
            member.inputs.std /= model.conversion.scale
    return module


def real_samples(model: Model, data: str | Path) -> Tensor:
    """The first samples of DATA as an export takes them. Raises `DataError` as `read_batches` does."""
    batch = next(iter(read_batches(data, model.description)))
    if len(batch.x) < 2:
        raise DataError(f"{data}: an export is compared on two samples at least, and here is {len(batch.x)}")
    x = batch.x[:_COMPARED]
    if isinstance(model.conversion, Pixels):
        return torch.from_numpy(x.astype(np.float32) / np.float32(model.conversion.scale))
    return torch.from_numpy(x.astype(np.float64))


def random_samples(model: Model, count: int = _COMPARED) -> Tensor:
    """Samples that look like the data: random pixels, or rows by the training mean and deviation."""
    if isinstance(model.conversion, Pixels):
        rng, shape = np.random.default_rng(0), (count, *model.description.input_shape)
        return torch.from_numpy(rng.integers(0, 256, shape).astype(np.float32) / np.float32(model.conversion.scale))
    assert isinstance(model.module.inputs, TableInputs)
    return copy.deepcopy(model.module.inputs).cpu().likely(count)


def _check(format: str, out: Path) -> None:
    if format not in FORMATS:
        raise BadInput(f"--format {format}: there are {', '.join(FORMATS)}")
    if format == "onnx" and (missing := [n for n in ("onnx", "onnxscript", "onnxruntime") if find_spec(n) is None]):
        raise BadInput(f"--format onnx needs {', '.join(missing)}: pip install 'automl[onnx]'")
    if not out.parent.is_dir() or out.is_dir():
        raise BadInput(f"-o {out}: name a file in a folder that exists")
    if out.name in (WEIGHTS, DESCRIPTION) and (out.parent / DESCRIPTION).exists():
        raise BadInput(f"-o {out}: this is a file of a saved model; name another one")


def _torch_export(model: Model, x: Tensor) -> tuple[bytes, Tensor]:
    # With Dim, a network that fixes the batch is an error and not a model for five samples.
    program = torch.export.export(model.module, (x[:3],), dynamic_shapes={"x": {0: torch.export.Dim("batch")}})
    for part in program.graph_module.modules():
        if isinstance(part, torch.fx.GraphModule):
            for node in part.graph.nodes:
                node.meta.pop("stack_trace", None)  # with the paths of this machine
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    data = buffer.getvalue()
    loaded = torch.export.load(io.BytesIO(data)).module()
    with torch.no_grad():
        return data, torch.cat([loaded(x[:1]), loaded(x[1:])])


def _onnx(model: Model, x: Tensor) -> tuple[bytes, Tensor]:
    import onnxruntime

    program = torch.onnx.export(
        model.module,
        (x[:3],),
        input_names=["x"],
        output_names=["output"],
        dynamic_shapes={"x": {0: torch.export.Dim("batch")}},
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    for node in (node for graph in (proto.graph, *proto.functions) for node in graph.node):
        del node.metadata_props[:]  # stack traces, with the paths of this machine
    for name, value in metadata(model).items():
        proto.metadata_props.add(key=name, value=value)
    data: bytes = proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    parts = [session.run(None, {"x": part.numpy()})[0] for part in (x[:1], x[1:])]
    return data, torch.from_numpy(np.concatenate(parts))


def _state_dict(model: Model, x: Tensor) -> tuple[bytes, Tensor]:
    tensors = {name: value.detach().contiguous().clone() for name, value in model.module.state_dict().items()}
    data = safetensors.torch.save(
        tensors, metadata={"format": "pt", "automl": json.dumps(model.description.model_dump(mode="json"))}
    )
    loaded = safetensors.torch.load(data)
    module = copy.deepcopy(model.module)
    for value in module.state_dict().values():
        value.zero_()  # whatever the file lacks shows
    module.load_state_dict(loaded)
    with torch.no_grad():
        return data, module.eval()(x)
