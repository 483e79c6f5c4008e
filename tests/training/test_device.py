"""Where networks are trained, and how precisely."""

from __future__ import annotations

import pytest
import torch

from automl.errors import SettingsError
from automl.training.device import choose_device, choose_devices, choose_precision, cpu_has_bf16, evaluation_batch

CPU = torch.device("cpu")
needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def test_auto_is_the_gpu_where_there_is_one():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_the_cpu_is_always_there():
    assert choose_device("cpu") == CPU


@needs_no_gpu
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3"])
def test_a_gpu_that_is_missing_is_refused_with_the_remedy(name):
    with pytest.raises(SettingsError, match=rf"--device {name}: .* no CUDA device; use --device cpu"):
        choose_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "cuda:-1", "cuda:x", "tpu", "meta", "mps", "xpu"])
def test_what_is_no_device_that_can_train_is_refused(name):
    with pytest.raises(SettingsError, match=f"--device {name}"):
        choose_device(name)


def test_devices_keep_their_order_and_may_come_twice():
    assert choose_devices(("cpu", "cpu")) == (CPU, CPU)


def test_the_devices_of_auto_are_all_gpus_and_the_cpu_without_one(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [str(device) for device in choose_devices(("auto",))] == ["cuda:0", "cuda:1"]
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_devices(("auto",)) == (CPU,)


def test_of_several_devices_the_missing_one_is_told_with_those_that_are_here(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(SettingsError, match="--devices cuda:2: this machine has cuda:0, cuda:1 and cpu"):
        choose_devices(("cuda:0", "cuda:2"))


def test_cpu_and_gpu_do_not_search_side_by_side(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(SettingsError, match="--devices cpu,cuda:1: must be all cuda or all cpu"):
        choose_devices(("cpu", "cuda:1"))


def test_precision_is_what_was_asked():
    assert choose_precision("fp32", CPU) is torch.float32
    assert choose_precision("bf16", CPU) is torch.bfloat16


def test_auto_is_bf16_only_where_the_cpu_multiplies_it_in_hardware():
    assert choose_precision("auto", CPU) is (torch.bfloat16 if cpu_has_bf16() else torch.float32)


def test_bf16_trains_to_about_the_same_losses(make_recipe, make_run):
    losses = []
    for precision in (torch.float32, torch.bfloat16):
        (result,) = next(make_run(make_recipe("linear", lr=0.01), precision=precision).advance(1, 1))
        losses.append((result.train_loss, result.validation_loss))
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.03)


@pytest.mark.parametrize(("shape", "samples"), [
    ((3, 32, 32), 256), ((1, 28, 28), 256), ((3, 128, 128), 16), ((3, 224, 224), 5), ((3, 1000, 1000), 4), ((30,), 256)
])  # fmt: skip
def test_a_cpu_evaluates_as_many_pixels_at_a_time_as_suit_its_cache(shape, samples):
    assert evaluation_batch(shape, torch.device("cpu")) == samples


def test_a_gpu_evaluates_more_at_a_time():
    assert [evaluation_batch((3, side, side), torch.device("cuda", 0)) for side in (8, 32, 1000)] == [8192, 2048, 16]
