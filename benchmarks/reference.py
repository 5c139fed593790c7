# SPDX-License-Identifier: Apache-2.0
"""The integer reference beside the Brevitas network in eval mode: the same clips, the same machine, in turns."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from framegate.errors import FramegateError
from framegate.hls.compiler import DATAFLOW
from framegate.hls.dataflow import load_dataflow
from framegate.pipeline import compile_model
from framegate.quant.networks import find, logits
from framegate.rtl_sim import reference

_ROUNDS = 5


def measure(model: str, clips: int, build: Any, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """One row: clips per second of both, best of 5 turns each, and their ratio; the logits must be equal."""
    compile_model(model, build, "ulx3s-85f", "1000", None, say)
    dataflow, network = load_dataflow(build / DATAFLOW), find(model)
    pixels = np.random.default_rng(0).integers(0, 256, (clips, *dataflow.pixels.shape), dtype=np.uint8)
    tensor = torch.from_numpy(pixels)
    ours, peers = [], []
    for turn in range(_ROUNDS):
        say(f"turn {turn + 1} of {_ROUNDS}")
        seconds, values = _timed(lambda: reference.logits(dataflow, pixels))
        ours.append(seconds)
        seconds, expected = _timed(lambda: logits(network, tensor))
        peers.append(seconds)
        if (values * dataflow.logit_scale != expected.double().numpy()).any():
            raise FramegateError("the reference and Brevitas differ; run `framegate simulate` to see where")
    row = {
        "peer": "brevitas eval",
        "work": f"{model}, {clips} clips",
        "clips_per_second": clips / min(ours),
        "peer_clips_per_second": clips / min(peers),
        "speed_ratio": min(peers) / min(ours),
    }
    return [row]


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result
