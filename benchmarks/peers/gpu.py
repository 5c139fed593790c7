# SPDX-License-Identifier: Apache-2.0
"""Latency of one clip with its tail, clips per second and joules per clip, of float networks on a GPU or a CPU.

A run is timed by the wall clock, from the call until the device has nothing left to do, as a program waits that needs
the decision. Percentiles are over single runs, none left out, after a warm-up.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from framegate.benchmarks.peers import onnx_runtime
from framegate.benchmarks.peers.gpu_meter import Meter
from framegate.benchmarks.peers.gpu_subject import PRECISIONS, OnDevice, Step, Subject, arithmetic, subject
from framegate.benchmarks.peers.onnx_runtime import INT8
from framegate.errors import UsageError

NETWORKS = (
    "tsn-lite", "tsm-lite", "shoplifting", "i3d-lite", "tsm-mobilenet", "tsm-mobilenetv2", "slowfast-lite", "c3d-lite",
    "r2plus1d-lite", "x3d-lite", "tsm-mobilenetv2-full", "r2plus1d-18", "c3d", "x3d-m", "slowfast-r50",
)  # fmt: skip
HOST_TO_HOST = "host to host"  # the figure that counts: pixels in host memory in, logits in host memory out
_KIND = {"cuda": "GPU", "cpu": "CPU"}
_ENOUGH = 1.02  # times as many clips per second as a larger batch has to bring


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    runs: int = 1_500  # single runs a percentile is of
    warm_up: int = 50
    seconds: float = 2.0  # of a window in which clips and joules are counted
    largest_batch: int = 512
    compiled: bool = True  # torch.compile takes up to a minute for a network
    slowest: float = 60.0  # seconds of all runs of one row; of a slow network there are fewer runs


def measure(
    device: torch.device,
    meter: Meter,
    say: Callable[[str], None],
    *,
    names: Sequence[str] = NETWORKS,
    precisions: Sequence[str] = tuple(PRECISIONS),
    effort: Effort | None = None,
) -> Iterator[dict[str, Any]]:
    """A row per network, precision and mode. Raises UsageError for an unknown network or precision before the first."""
    effort = effort or Effort()
    for precision in precisions:
        if precision not in (*PRECISIONS, INT8):
            raise UsageError(f"precision {precision!r}: unknown; choose of {', '.join((*PRECISIONS, INT8))}")
        if precision not in known(device):
            raise UsageError(f"precision {precision!r}: not of a {_KIND[device.type]}; leave it out")
    subjects = [subject(name) for name in names]
    for chosen in subjects:
        for precision in precisions:
            say(f"{chosen.name} in {precision} …")
            facts = {"network": chosen.name, "precision": precision, **chosen.facts}
            if precision == INT8:
                yield from ({**facts, **row} for row in _by_onnx_runtime(chosen, meter, effort))
                continue
            with arithmetic(precision):
                rows = [{**facts, **row} for row in _rows(chosen, device, precision, meter, effort)]
            yield from rows


def known(device: torch.device) -> tuple[str, ...]:
    """The precisions that a device is measured in: TF32 is a GPU's, int8 that of ONNX Runtime on a CPU."""
    return (
        tuple(PRECISIONS)
        if device.type == "cuda"
        else (*(name for name in PRECISIONS if name != "tf32"), INT8)
    )


def _by_onnx_runtime(chosen: Subject, meter: Meter, effort: Effort) -> Iterator[dict[str, Any]]:
    """What int8 is on a CPU: one mode, from pixels in memory to logits in memory."""
    step = onnx_runtime.from_host(chosen, 1)
    yield {
        "mode": HOST_TO_HOST,
        "by": "ONNX Runtime",
        **_single(step, effort),
        **_many(step, 1, meter, effort),
    }


def _rows(
    chosen: Subject, device: torch.device, precision: str, meter: Meter, effort: Effort
) -> Iterator[dict[str, Any]]:
    """Of one clip at a time, then of as many at once as bring the most clips per second."""
    one = OnDevice(chosen, device, precision)
    yield {"mode": "eager", **_single(one.eager, effort)}
    if effort.compiled:
        yield {"mode": "torch.compile", **_single(one.compiled(), effort)}
    if device.type == "cuda":
        yield {"mode": "CUDA graph", **_single(one.graph(), effort)}
        host_to_host = one.graph(from_host=True)
    else:
        host_to_host = one.from_host
    yield {"mode": HOST_TO_HOST, **_single(host_to_host, effort), **_many(host_to_host, 1, meter, effort)}
    yield {"mode": "best batch", **_best_batch(chosen, device, precision, meter, effort)}


def _single(step: Step, effort: Effort) -> dict[str, Any]:
    """Percentiles of single runs, in ms."""
    for _ in range(3):
        step()
    started = time.perf_counter()
    step()
    once = time.perf_counter() - started
    runs = max(10, min(effort.runs, int(effort.slowest / once)))
    for _ in range(min(effort.warm_up, runs)):
        step()
    times = np.empty(runs)
    for run in range(runs):
        started = time.perf_counter()
        step()
        times[run] = time.perf_counter() - started
    ms = 1000 * times
    shares = {"p50_ms": 50, "p90_ms": 90, "p99_ms": 99, "p999_ms": 99.9}
    percentiles = {name: float(np.percentile(ms, share)) for name, share in shares.items()}
    return {
        "batch": 1, "runs": runs, "min_ms": float(ms.min()), **percentiles, "max_ms": float(ms.max()),
        "mean_ms": float(ms.mean()),
    }  # fmt: skip


def _many(step: Step, batch: int, meter: Meter, effort: Effort) -> dict[str, Any]:
    """Clips per second and joules per clip of runs without a pause."""
    per_second, joules = meter.while_running(step, effort.seconds)
    return {
        "batch": batch,
        "clips_per_second": per_second * batch,
        "joules_per_clip": None if joules is None else joules / batch,
        "watts": None if joules is None else joules * per_second,
    }


def _best_batch(
    chosen: Subject, device: torch.device, precision: str, meter: Meter, effort: Effort
) -> dict[str, Any]:
    """Batches of 4, 8, 16 … clips on the device, until a larger one brings no more or does not fit."""
    best, most, batch = None, 0.0, min(4, effort.largest_batch)
    while batch <= effort.largest_batch:
        try:
            several = OnDevice(chosen, device, precision, batch)
            step = several.graph() if device.type == "cuda" else several.eager
            step()
        except torch.OutOfMemoryError:
            break
        per_second = batch * meter.while_running(step, effort.seconds / 5)[0]
        if per_second < _ENOUGH * most:
            break
        best, most, batch = (step, batch), per_second, 2 * batch
    return _many(*best, meter, effort) if best else {}
