# SPDX-License-Identifier: Apache-2.0
"""The decision of a build on logits that tie or lie at a threshold, as those of a few clips hardly ever do."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from framegate.errors import FramegateError
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.emission.emit import TOP
from framegate.hls.kernels import Decide
from framegate.hls.stream import to_beats
from framegate.rtl_sim.bench.simulator import Bench, Simulator, Sink, Source
from framegate.rtl_sim.compare import Difference, compare_words

_DRAWN = 64  # rows of small numbers
_SPARE = 10_000  # cycles beyond the expected end before a run counts as stuck


def compare_decision(
    dataflow: Dataflow, rtl: Path, work: Path, *, simulator: Simulator, seed: int
) -> Difference:
    """Feed `trials` to the last kernel, with the parameters that the top in `rtl` gives it; compare with its reference.

    `seed`: of what is drawn. Raises UsageError for a missing tool.
    """
    decide = dataflow.kernels[-1]
    assert isinstance(decide, Decide)
    taken, given = (replace(stream, frames=1) for stream in (decide.input, *decide.outputs))
    rng = np.random.default_rng(seed)
    rows = trials(decide, rng)
    values = rows.reshape(len(rows), 1, 1, 1, -1)
    text = (rtl / f"{TOP}.sv").read_text(errors="replace")
    module = decide.instance().module
    found = re.search(rf"\b{module}\s*#\(([^;]*?)\)\s*u_{decide.name}\s*\(", text)
    if found is None:
        missing = (
            f"{decide.name}: no {module} of that name in {rtl.name}/{TOP}.sv, so it was not tried on ties"
        )
        return Difference(values.size, values.size, missing)
    words = to_beats(values, taken)
    bench = Bench(
        module=module,
        rtl=rtl,
        pins={
            f"{port}_{pin}": f"{port}_{pin}" for port in ("in", "out") for pin in ("valid", "ready", "data")
        },
        inputs=(
            Source(name="in", bits=taken.beat_bits, words=words, offers=np.zeros(len(words), dtype=np.int64)),
        ),
        outputs=(Sink(name="out", bits=given.beat_bits, beats=len(rows), accepts=rng.random(256) < 0.7),),
        work=work,
        parameters=dict(re.findall(r"\.(\w+)\(([^()]*)\)", found[1])),
        simulator=simulator,
        seed=seed,
    )
    bench.build()
    try:
        recorded = bench.run(4 * len(words) + _SPARE)
    except FramegateError as stopped:
        return Difference(values.size, values.size, f"{decide.name} alone: {stopped}")
    return compare_words(
        f"{decide.name}, on logits that tie or lie at thresholds",
        decide.reference(values),
        recorded["out"].words,
        given,
    )


def trials(decide: Decide, rng: np.random.Generator) -> np.ndarray:
    """Logits (N, K): neighbours that tie, scores at every threshold and beside it, and small numbers drawn."""
    low, high, classes = decide.input.low, decide.input.high, decide.input.channels
    rows = [np.full(classes, value) for value in (low, high, 0)]
    for first in range(classes - 1):
        for value in (high, min(1, high), low + 1):
            rows.append(np.full(classes, low))
            rows[-1][first : first + 2] = value
    rows += _at_thresholds(decide) if decide.independent else _at_margins(decide)
    drawn = rng.integers(max(low, -1), min(high, 1) + 1, (_DRAWN, classes))
    return np.concatenate([np.stack(rows), drawn]).astype(np.int32)


def _at_thresholds(decide: Decide) -> list[np.ndarray]:
    """Every class at its own threshold and beside it, as far as a logit reaches, all others at theirs."""
    low, high = decide.input.low, decide.input.high
    limits = np.array(decide.limits()).clip(low, high)
    rows = []
    for place in range(len(limits)):
        for step in (-1, 0, 1):
            rows.append(limits.copy())
            rows[-1][place] = min(max(limits[place] + step, low), high)
    return rows


def _at_margins(decide: Decide) -> list[np.ndarray]:
    """The class of the alarm at its threshold above each other class, and beside it, low and high in the range."""
    low, high, classes = decide.input.low, decide.input.high, decide.input.channels
    rows = []
    for limit in decide.limits():
        for other in (place for place in range(classes) if place != decide.positive):
            for score in (limit - 1, limit, limit + 1):
                least, most = max(low, low - score), min(high, high - score)  # so that both are logits
                for rest in (least, most) if least <= most else ():
                    rows.append(np.full(classes, low))
                    rows[-1][[other, decide.positive]] = rest, rest + score
    return rows
