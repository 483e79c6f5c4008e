"""Seeds derived from what they are for, so that nothing random depends on what ran before it."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager

import torch


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2**63) for `parts`, e.g. `derive_seed(seed, "trial", 7)`; equal parts, equal seed."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def seed_torch(seed: int, device: torch.device) -> None:
    """Seeds the generators that layers draw from on this device.

    Not `torch.manual_seed`: before CUDA is initialised that one keeps a traceback of every call, for ever.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def forked(device: torch.device) -> AbstractContextManager[None]:
    """Within it, torch's generators of the CPU and of `device` may be seeded and drawn from; they are restored then."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
