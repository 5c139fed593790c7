# SPDX-License-Identifier: Apache-2.0
"""The integer reference beside Brevitas in eval mode and QONNX' executor: the same clips and machine, in turns."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from framegate.errors import FramegateError
from framegate.hls.build.build import compile_model
from framegate.hls.build.files import DATAFLOW, QONNX
from framegate.hls.dataflow.graph import load_dataflow
from framegate.hls.lowering.graphs import run_qonnx
from framegate.hls.lowering.lower import load as load_graph
from framegate.quant.networks.checkpoint import find, logits
from framegate.rtl_sim import reference

_ROUNDS = 5
_QONNX_CLIPS = 2  # of those; a clip takes it seconds


def measure(model: str, clips: int, build: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """A row per peer: clips per second of both and their ratio; ours and Brevitas' are the best of 5 turns.

    Raises FramegateError when a logit differs.
    """
    compile_model(model, build, "ulx3s-85f", "1200", None, say)
    dataflow, network = load_dataflow(build / DATAFLOW), find(model)
    pixels = np.random.default_rng(0).integers(0, 256, (clips, *dataflow.pixels.shape), dtype=np.uint8)
    tensor = torch.from_numpy(pixels)
    ours, theirs = [], []
    for turn in range(_ROUNDS):
        say(f"turn {turn + 1} of {_ROUNDS}")
        seconds, values = _timed(lambda: reference.logits(dataflow, pixels))
        ours.append(seconds)
        seconds, expected = _timed(lambda: logits(network, tensor))
        theirs.append(seconds)
        _check(values * dataflow.logit_scale, expected.double().numpy(), "Brevitas")
    few = pixels[:_QONNX_CLIPS]
    say(f"QONNX: {len(few)} clips")
    graph = load_graph(build / QONNX)
    seconds, expected = _timed(lambda: run_qonnx(graph, few))
    _check(values[: len(few)] * dataflow.logit_scale, expected.astype(np.float64), "QONNX")
    rate = clips / min(ours)
    return [
        _row("Brevitas, eval mode", f"{model}, {clips} clips", rate, clips / min(theirs)),
        _row("QONNX, execute_onnx", f"{model}, {len(few)} clips", rate, len(few) / seconds),
    ]


def _row(peer: str, work: str, ours: float, theirs: float) -> dict[str, Any]:
    return {
        "peer": peer,
        "work": work,
        "clips_per_second": ours,
        "peer_clips_per_second": theirs,
        "speed_ratio": ours / theirs,
    }


def _check(values: np.ndarray, expected: np.ndarray, peer: str) -> None:
    if (values != expected).any():
        raise FramegateError(f"the reference and {peer} differ; run `framegate simulate` to see where")


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result
