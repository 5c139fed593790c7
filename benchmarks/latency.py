# SPDX-License-Identifier: Apache-2.0
"""Predicted cycles beside those of the simulated RTL, every beat of every stream, at several foldings."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from framegate.hls.build.build import compile_model
from framegate.hls.build.files import DATAFLOW, RTL
from framegate.hls.dataflow.graph import load_dataflow
from framegate.rtl_sim.verify import verify

_CLIPS = 2


def measure(
    models: Sequence[str], rates: Sequence[str], target: str, folder: Path, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A row per model and rate. `floor_cycles`: products per frame over multipliers, which no folding can beat.

    Raises UsageError for an unknown model or a rate that is out of reach.
    """
    return [_row(model, rate, target, folder, say) for model in models for rate in rates]


def _row(model: str, rate: str, target: str, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    build = folder / f"{Path(model).stem}-{rate}"
    say(f"{model} at {rate} frames/s:")
    report = compile_model(model, build, target, rate, None, say)
    dataflow = load_dataflow(build / DATAFLOW)
    pixels = np.random.default_rng(0).integers(0, 256, (_CLIPS, *dataflow.pixels.shape), dtype=np.uint8)
    say(f"simulate {_CLIPS} clips …")
    verdict = verify(dataflow, build / RTL, pixels, build / "sim", simulator="fast", probe=True)
    cycles = verdict.latency_cycles()
    return {
        "network": report.model,
        "target": target,
        "clock_mhz": report.clock_mhz,
        "frames_per_second": report.frames_per_second,
        "floor_cycles": report.mac_utilization * report.initiation_interval,
        "initiation_interval": report.initiation_interval,
        "mac_utilization": report.mac_utilization,
        "predicted_cycles": cycles["predicted"],
        "measured_cycles": cycles["measured"],
        "latency_error": cycles["measured"] - cycles["predicted"],
        "jitter": cycles["jitter"],
        "latency_ms": report.latency_ms,
        "values": verdict.values,
        "mismatches": verdict.mismatches,
        "first_late_beat": verdict.late,
    }
