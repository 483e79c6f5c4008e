"""Where and how precisely networks are trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from automl.errors import SettingsError


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
