# SPDX-License-Identifier: Apache-2.0
"""How long the steps of the chain take, and how fast clips are rendered, beside what a person is promised."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from framegate.hls.build.build import compile_model
from framegate.hls.build.files import QONNX
from framegate.quant.clips.shop import ACTIONS, FRAMES, demo_clips, generate
from framegate.rtl_sim.simulate import simulate_build

_PROMISED = {"QONNX to RTL": 60.0, "RTL simulation of one clip, with the build": 60.0}  # seconds on 2 cores
_SHOP_FRAMES_PER_SECOND = 200.0
_SHOP_CLIPS = 4  # of each action


def measure(model: str, build: Path, say: Callable[[str], None], rate: str = "1200") -> list[dict[str, Any]]:
    """A row per step for `rate` frames per second, made from nothing: its seconds and their ratio to the promise."""
    shutil.rmtree(build, ignore_errors=True)
    clips = demo_clips(build / "clips", 1)[:1]
    compile_model(
        model, build, "ulx3s-85f", rate, None, say
    )  # exports the QONNX file; its time does not count
    hardware = build / "from_qonnx"
    steps: dict[str, Callable[[], object]] = {
        "QONNX to RTL": lambda: compile_model(str(build / QONNX), hardware, "ulx3s-85f", rate, None, say),
        "RTL simulation of one clip, with the build": lambda: simulate_build(hardware, clips, say),
    }
    return [_shop(build / "shop"), *(_row(name, step) for name, step in steps.items())]


def _shop(folder: Path) -> dict[str, Any]:
    started = time.perf_counter()
    generate(folder, _SHOP_CLIPS, seed=0)
    rate = len(ACTIONS) * _SHOP_CLIPS * FRAMES / (time.perf_counter() - started)
    return {
        "peer": f"promise of {_SHOP_FRAMES_PER_SECOND:g} frames/s",
        "work": "synthetic shop, mp4 files",
        "frames_per_second": rate,
        "speed_ratio": rate / _SHOP_FRAMES_PER_SECOND,
    }


def _row(name: str, step: Callable[[], object]) -> dict[str, Any]:
    started = time.perf_counter()
    step()
    seconds = time.perf_counter() - started
    return {
        "peer": f"promise of {_PROMISED[name]:g} s",
        "work": name,
        "seconds": seconds,
        "speed_ratio": _PROMISED[name] / seconds,
    }
