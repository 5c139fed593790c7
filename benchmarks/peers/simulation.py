# SPDX-License-Identifier: Apache-2.0
"""Simulated cycles per second: through cocotb, and by the same Verilated bench with a clock in C++."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from framegate.errors import FramegateError
from framegate.hls.build.build import compile_model
from framegate.hls.build.files import DATAFLOW, RTL
from framegate.hls.dataflow.graph import load_dataflow
from framegate.rtl_sim.verify import Verdict, verify

_CLIPS = (2, 12)  # of a short run and of a long one; their difference is free of what starting takes


def measure(model: str, folder: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """One row; `cocotb_overhead` is what cocotb adds to Verilator's own time.

    Raises FramegateError when the two runs differ in a logit or a cycle.
    """
    compile_model(model, folder, "ulx3s-85f", "1200", None, say)
    dataflow = load_dataflow(folder / DATAFLOW)
    pixels = np.random.default_rng(0).integers(0, 256, (_CLIPS[-1], *dataflow.pixels.shape), dtype=np.uint8)
    found: dict[str, list[Verdict]] = {}
    for simulator in ("verilator", "fast"):
        for clips in _CLIPS:
            say(f"{simulator}: {clips} clips")
            found.setdefault(simulator, []).append(
                verify(dataflow, folder / RTL, pixels[:clips], folder / simulator, simulator=simulator)
            )
    for ours, own in zip(found["verilator"], found["fast"], strict=True):
        if (ours.logits != own.logits).any() or ours.measured != own.measured:
            raise FramegateError("cocotb and the program without it disagree; run both with --probe")
    cocotb, program = (_rate(found[simulator]) for simulator in ("verilator", "fast"))
    return [
        {
            "peer": "Verilator with a clock in C++",
            "work": f"RTL of {model}, {_CLIPS[-1]} clips",
            "cycles_per_second": cocotb,
            "peer_cycles_per_second": program,
            "cocotb_overhead": program / cocotb - 1,
            "speed_ratio": cocotb / program,
        }
    ]


def _rate(runs: list[Verdict]) -> float:
    """Cycles per second between a short and a long run."""
    short, long = runs
    return (long.cycles - short.cycles) / (long.seconds - short.seconds)
