"""Devices and precision: resolved once, never a silent fallback from what was asked for."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from typing import Any

import torch

from .errors import UsageError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

PRECISIONS = ("float32", "bfloat16")


def resolve(request: str) -> torch.device:
    """`auto | cpu | cuda[:n] | mps` to a device that exists.

    `auto` takes CUDA, then MPS, then the CPU. Raises UsageError that names the devices there are.
    """
    there = available()
    if request == "auto":
        return torch.device(there[0])
    name = "cuda:0" if request == "cuda" else request
    if name not in there:
        raise UsageError(f"no device {request!r} here; there is: {', '.join(there)} (or auto)")
    return torch.device(name)


def available() -> list[str]:
    """Names of the devices of this machine, best first."""
    names = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


@contextlib.contextmanager
def precision(device: torch.device, name: str) -> Iterator[None]:
    """Run models in `float32` (then truly: no TF32) or under bfloat16 autocast."""
    if name not in PRECISIONS:
        raise UsageError(f"no precision {name!r}; there is: {', '.join(PRECISIONS)}")
    with full_float32(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=name == "bfloat16"):
        yield


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """No TF32 on CUDA: float32 is computed as such, also in the backward pass, which autocast must not cover."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@contextlib.contextmanager
def random_numbers_kept(device: torch.device) -> Iterator[None]:
    """What is drawn inside, and seeded, changes nothing: torch's random numbers go on as if nothing had been."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that a clock around it tells the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def reset_peak_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory in MB (10^6 bytes): of the device since the last reset, or of the whole process on a CPU.

    0 where the system does not tell (a CPU under Windows).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    if resource is None:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def describe(device: torch.device) -> dict[str, Any]:
    """What a record says about the machine: facts that explain a timing, nothing that identifies its owner."""
    facts: dict[str, Any] = {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name(),
        "cpu": _cpu_name(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "architecture": platform.machine(),
    }
    if device.type == "cuda":
        facts["cuda"] = torch.version.cuda
    return facts


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
