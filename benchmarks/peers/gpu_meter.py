# SPDX-License-Identifier: Apache-2.0
"""Energy and name of the device that measures run on."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from framegate.errors import UsageError

_IDLE_SECONDS = 3.0


@dataclass(frozen=True)
class Meter:
    """Joules that the device has used since some time in the past; None where nothing counts them."""

    joules: Callable[[], float] | None = None

    def while_running(self, step: Callable[[], None], seconds: float) -> tuple[float, float | None]:
        """How often `step` runs in a second, and the joules of one run, over at least so many seconds."""
        before = self.joules() if self.joules else 0.0
        started, runs = time.perf_counter(), 0
        while (lasted := time.perf_counter() - started) < seconds:
            step()
            runs += 1
        return runs / lasted, (self.joules() - before) / runs if self.joules else None

    def idle_watts(self) -> float | None:
        """Power of the device while nothing runs on it."""
        if self.joules is None:
            return None
        before = self.joules()
        time.sleep(_IDLE_SECONDS)
        return (self.joules() - before) / _IDLE_SECONDS


def meter(device: torch.device) -> Meter:
    """NVML's energy counter, in steps of a tenth of a second or so; nothing for a CPU, whose counter is its owner's."""
    if device.type != "cuda":
        return Meter()
    nvml = _nvml()
    handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    return Meter(lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000)


@cache
def _nvml() -> Any:
    """NVIDIA's library of a GPU's sensors, started. Raises UsageError where its package for Python is missing."""
    try:
        import pynvml
    except ModuleNotFoundError:
        raise UsageError(
            "nvidia-ml-py: not installed; it comes with the extra bench: "
            "in the checkout, pip install --editable '.[bench]'"
        ) from None
    pynvml.nvmlInit()
    return pynvml


def describe(device: torch.device) -> dict[str, Any]:
    """Name and versions, as kept with the figures."""
    if device.type != "cuda":
        return {"device": f"CPU, {torch.get_num_threads()} threads", "torch": torch.__version__}
    return {
        "device": torch.cuda.get_device_name(device),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": _nvml().nvmlSystemGetDriverVersion(),
        "system": platform.platform(),
    }


def choose(wanted: str) -> torch.device:
    """`wanted` as a device: cuda, cpu, or auto for the first that there is. Raises UsageError for another or none."""
    if wanted not in ("auto", "cuda", "cpu"):
        raise UsageError(f"--device {wanted}: unknown; choose one of auto, cuda, cpu")
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UsageError("--device cuda: PyTorch finds no GPU here; choose cpu, or install a torch with CUDA")
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


def short_name(device: str) -> str:
    """As in the name of a file: h100 of "NVIDIA H100 80GB HBM3", rtx-4090 of "NVIDIA GeForce RTX 4090"."""
    words = [word.lower() for word in device.split() if word not in ("NVIDIA", "GeForce", "Tesla", "Quadro")]
    return "-".join(words[: 2 if words[0] in ("rtx", "gtx") else 1]).strip(",")
