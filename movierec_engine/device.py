"""Devices: the one that a computation runs on, and its kind."""

import platform
import sys
from pathlib import Path

from movierec_engine.errors import DeviceError

DEVICE_KINDS = ("cpu", "cuda", "mps")


def resolve_device(requested: str) -> str:
    """The torch device that `auto`, `cpu`, `cuda`, `cuda:N` or `mps` stands for on this machine.

    `auto` takes CUDA, else MPS, else the CPU. Any other request that the machine cannot meet is a DeviceError: nothing
    falls back silently.
    """
    if requested == "cpu":
        return "cpu"
    import torch

    kind, _, number = requested.partition(":")
    if requested == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if kind == "cuda" and (not number or number.isdigit()):
        count = torch.cuda.device_count()
        if count <= int(number or 0):
            raise DeviceError(f"device={requested} is not on this machine ({count} CUDA devices); use device=cpu")
        return requested
    if requested == "mps":
        if not torch.backends.mps.is_available():
            raise DeviceError("device=mps is not on this machine (it needs an Apple GPU); use device=cpu")
        return "mps"
    raise DeviceError(f"device={requested} is not known; choose auto, cpu, cuda, cuda:N or mps")


def kinds_here() -> tuple[str, ...]:
    """The kinds of devices that this machine seems to have, told without torch, which takes seconds to load."""
    cuda = any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()
    mps = sys.platform == "darwin" and platform.machine() == "arm64"
    return tuple(kind for kind, there in zip(DEVICE_KINDS, (True, cuda, mps), strict=True) if there)


def device_kind(device: str) -> str:
    """`cpu`, `cuda` or `mps`: the part of a device name that artifacts are filed under."""
    return device.partition(":")[0]
