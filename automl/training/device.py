"""Where and how precisely networks are trained."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from automl.errors import SettingsError

IMAGE = 3  # dimensions of one
# Pixels at a time, and samples, when nothing is learnt. The maps of more do not fit into the cache: EfficientNet takes
# 0.04 s for a photo of 224 x 224 in batches of 4, and 0.12 s in batches of 64; 32 x 32 are best in batches of 256.
EVALUATED_CPU, FEWEST_CPU, MOST_CPU = 256 * 32**2, 4, 256
EVALUATED_CUDA = 2**21  # pixels, or a table's values, at a time: with fewer a GPU waits for the next launch
FEWEST_CUDA, MOST_CUDA = 16, 8192


def choose_device(name: str, option: str = "--device") -> torch.device:
    """`auto` is CUDA where it is at hand, else the CPU.

    Raises `SettingsError`, in which `option` is named, for a device this machine lacks.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SettingsError(f"{option} {name}: no such device; use auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise SettingsError(f"{option} {name}: only CPUs and CUDA devices are supported; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SettingsError(f"{option} {name}: torch {torch.__version__} sees no CUDA device; use {option} cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        here = ", ".join(f"cuda:{index}" for index in range(torch.cuda.device_count()))
        raise SettingsError(f"{option} {name}: this machine has {here} and cpu")
    return device


def choose_devices(names: Sequence[str]) -> tuple[torch.device, ...]:
    """The devices of `--devices`, in its order, repeats included; `auto` is every CUDA device, or the CPU without one.

    Raises `SettingsError` for a device this machine lacks, and for CPU and CUDA together.
    """
    if tuple(names) == ("auto",):
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return tuple(torch.device("cuda", index) for index in range(found)) or (torch.device("cpu"),)
    devices = tuple(choose_device(name, "--devices") for name in names)
    if len({device.type for device in devices}) > 1:
        raise SettingsError(
            f"--devices {','.join(names)}: must be all cuda or all cpu, as ladder and precision go by the kind"
        )
    return devices


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 in hardware (AVX512-BF16, AMX); elsewhere bf16 is emulated and slow."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and "avx512_bf16" in _cpu_flags()


def _cpu_flags() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return ""


PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype of matrix products: `fp32`, `bf16`, or `auto` (bf16 on CUDA and on CPUs with bf16 instructions)."""
    if name in PRECISIONS:
        return PRECISIONS[name]
    fast = torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else cpu_has_bf16()
    return torch.bfloat16 if fast else torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Matrix products in `precision`, all else in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision is torch.bfloat16)


def evaluation_batch(sample_shape: Sequence[int], device: torch.device) -> int:
    """How many samples of this shape the device takes at a time when nothing is learnt."""
    values = math.prod(sample_shape[-2:])
    if device.type != "cpu":
        return max(FEWEST_CUDA, min(MOST_CUDA, EVALUATED_CUDA // values))
    fitting = EVALUATED_CPU // values if len(sample_shape) == IMAGE else MOST_CPU
    return max(FEWEST_CPU, min(MOST_CPU, fitting))
