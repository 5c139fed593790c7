# SPDX-License-Identifier: Apache-2.0
"""Networks of the papers' sizes: QONNX to predicted cycles and area, beside roofline and published figures."""

import multiprocessing
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from framegate.errors import UsageError
from framegate.hls.build.files import HARDWARE, QONNX, RTL
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.emission.emit import emit
from framegate.hls.folding.fit import memory, total_cost
from framegate.hls.folding.fold import fold
from framegate.hls.folding.ultra_ram import in_ultra_ram
from framegate.hls.kernels import Cost
from framegate.hls.lowering.lower import lower
from framegate.hls.lowering.read_off import read_dataflow
from framegate.hls.schedule.schedule import schedule
from framegate.hls.targets import Target, load_target
from framegate.quant.networks.checkpoint import Network, NetworkConfig, to_input
from framegate.quant.networks.complexity import complexity
from framegate.quant.networks.export import export_qonnx
from framegate.quant.networks.presets import Name

CLOCK_MHZ = 200.0
CLASSES = 101  # of UCF101
_ENDLESS = 10**9  # block RAMs: weights may exceed the chip, the row says by how much


@dataclass(frozen=True)
class Published:
    """A figure that somebody published, with what differs from ours."""

    figure: str
    differs: str


FULL_SIZE: dict[Name, Published | None] = {
    "tsm-mobilenetv2-full": Published(
        "37 frames/s, Ultra96V2 (tsm_fpga); 13 ms per frame, Jetson Nano", "8-bit and float, online shift"
    ),
    "slowfast-r50": Published(
        "32 frames/s, Jetson AGX Xavier (TensorRT); 670 ms per clip, T4", "16-bit or float"
    ),
    "c3d": None,
    "x3d-m": None,
    "r2plus1d-18": None,
}


def measure(
    folder: Path,
    say: Callable[[str], None],
    *,
    names: Sequence[str] = tuple(FULL_SIZE),
    targets: Sequence[str] = ("zcu102", "kv260"),
) -> list[dict[str, Any]]:
    """A row per network and target, with random weights; each network in a process of its own, for its own memory.

    Raises UsageError for a name that is not in FULL_SIZE.
    """
    if unknown := [name for name in names if name not in FULL_SIZE]:
        raise UsageError(f"network {unknown[0]!r} has no full size here; choose of {', '.join(FULL_SIZE)}")
    rows = []
    for name in names:
        say(f"{name}:")
        with multiprocessing.get_context("spawn").Pool(1) as process:
            rows += process.apply(of_network, (name, folder / name, tuple(targets)))
    return rows


def of_network(name: Name, build: Path, targets: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of one network; `seconds` are from the QONNX file to the prediction, with RTL where it is emitted."""
    network = random_network(name)
    parameters, macs = complexity(network)
    export_qonnx(network, build / QONNX)
    frames = network.config.frames
    del network  # its weights are in the file
    started = time.perf_counter()
    lower(build / QONNX, build)
    dataflow = read_dataflow(build / HARDWARE)
    lowering = time.perf_counter() - started
    rows = []
    for target in targets:
        started = time.perf_counter()
        row = _prediction(dataflow, load_target(target), macs, build)
        rows.append(
            {"network": name, "parameters": parameters, "gmac": macs / 1e9, "frames": frames}
            | row
            | {"seconds": lowering + time.perf_counter() - started, "peak_gb": _peak_gb()}
            | _published(name)
        )
    return rows


def random_network(name: Name) -> Network:
    """The network with random weights; one clip of noise has set the scales of its activations."""
    torch.manual_seed(0)
    network = Network(NetworkConfig(name=name, classes=tuple(f"class{k}" for k in range(CLASSES)))).train()
    config = network.config
    clip = torch.randint(0, 256, (1, config.frames, config.size, config.size, 3), dtype=torch.uint8)
    with torch.no_grad():
        network(to_input(clip))
    return network.eval()


def _prediction(dataflow: Dataflow, target: Target, macs: int, build: Path) -> dict[str, Any]:
    """Cycles (exact) and area (by the model) of the fastest design whose logic fits; RTL if its memories do as well."""
    roomy = target.model_copy(update={"bram": _ENDLESS})
    reserve = Cost(lut=target.lut // 10)  # for the FIFOs, which the schedule places behind the folding
    complete, times = schedule(fold(dataflow, roomy, CLOCK_MHZ, reserve=reserve), CLOCK_MHZ)
    complete = in_ultra_ram(complete, target)
    cost = total_cost(complete)
    fits = cost.bram <= target.bram
    rtl = emit(complete, times, build / target.name / RTL) if fits else None
    roofline = macs / (target.dsp * CLOCK_MHZ * 1e3)
    return {
        "target": target.name,
        "initiation_interval": times.initiation_interval,
        "latency_cycles": times.latency_cycles,
        "latency_ms": times.latency_ms,
        "ms_per_clip": 1e3 / times.clips_per_second,
        "roofline_ms": roofline,
        "roofline_ratio": roofline * times.clips_per_second / 1e3,
        "mac_utilization": times.mac_utilization,
        "lut": cost.lut,
        "dsp": cost.dsp,
        "bram": cost.bram,
        "bram_of": target.bram,
        "uram": cost.uram,
        "memory": memory(complete),
        "rtl": str(rtl.relative_to(build.parent)) if rtl else None,  # in the folder
    }


def _published(name: Name) -> dict[str, str]:
    figure = FULL_SIZE[name]
    return (
        {"published": figure.figure, "differs": figure.differs}
        if figure
        else {"published": "", "differs": ""}
    )


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
