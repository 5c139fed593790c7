# SPDX-License-Identifier: Apache-2.0
"""A shorter latency at the same rate: what is left of the device goes to the layers that the last frame waits for."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.folding.choices import (
    Choices,
    Fold,
    Products,
    choices_of,
    of_luts,
    share,
    with_multipliers_of,
)
from framegate.hls.folding.fit import RESOURCES, has_room, total_cost
from framegate.hls.folding.fold import cheapest
from framegate.hls.folding.ultra_ram import in_ultra_ram
from framegate.hls.folding.wiring import connect
from framegate.hls.kernels import Cost, Window
from framegate.hls.schedule.schedule import Schedule, schedule
from framegate.hls.targets import Target

_FULL = 0.8  # of the LUTs: a fuller device is hard to route
_ATTEMPTS = 4  # at fitting; each leaves room for the FIFOs that the one before needed


def shorten(
    dataflow: Dataflow,
    target: Target,
    clock_mhz: float,
    products: Products,
    found: tuple[Dataflow, Schedule],
    progress: Callable[[str], None],
) -> tuple[Dataflow, Schedule]:
    """`found` (a design of the unfolded `dataflow` that fits, and its times), or one of its rate and less latency.

    A clip's latency is its frames at the initiation interval and then, layer after layer, the rows that each can only
    compute when its last input has come. The layers that gain most for their area are unfolded, while there is room.
    """
    complete, times = found
    target = target.model_copy(update={"lut": int(_FULL * target.lut)})
    dataflow = with_multipliers_of(target, dataflow)
    choices = choices_of(dataflow, target, products)
    start = cheapest(choices, times.initiation_interval, target)
    reserve = _beside(complete, start)
    for _ in range(_ATTEMPTS):
        progress("shorter latency")
        folds = _unfold(start, choices, _tails(dataflow, start), target, reserve)
        made, then = schedule(connect(dataflow, folds), clock_mhz)
        made = in_ultra_ram(made, target)
        if has_room(total_cost(made), target):
            faster = then.latency_cycles < times.latency_cycles
            return (made, then) if faster and then.initiation_interval <= times.initiation_interval else found
        reserve = reserve.larger(_beside(made, folds))
    return found


def _beside(complete: Dataflow, folds: Mapping[str, Fold]) -> Cost:
    """What a design takes beside its layers."""
    whole, layers = total_cost(complete), sum((fold.cost for fold in folds.values()), Cost())
    return Cost(**{name: max(0, getattr(whole, name) - getattr(layers, name)) for name in RESOURCES})


def _tails(dataflow: Dataflow, folds: Mapping[str, Fold]) -> dict[str, float]:
    """Per layer the share of a frame's cycles that comes after its last input row."""
    return {name: _tail(dataflow, name) for name in folds}


def _tail(dataflow: Dataflow, name: str) -> float:
    kernel = dataflow.kernel(name)
    producer = dataflow.links_into(name)[0].producer
    window = dataflow.kernel(producer) if producer != PIXELS else None
    rows = math.ceil(window.kernel[0] / window.stride[0]) if isinstance(window, Window) else 1
    return min(1.0, rows / kernel.outputs[0].height)


@dataclass(frozen=True)
class _Move:
    name: str
    fold: Fold
    worth: float  # cycles gained per share of the device


def _unfold(
    start: Mapping[str, Fold],
    choices: Mapping[str, Choices],
    tails: Mapping[str, float],
    target: Target,
    reserve: Cost,
) -> dict[str, Fold]:
    """Greedily the move of most worth that has room, until none is left."""
    folds = dict(start)
    while moves := [move for name in folds for move in _moves(name, folds, choices, tails, target)]:
        for move in sorted(moves, key=lambda move: -move.worth):
            tried = {**folds, move.name: move.fold}
            if has_room(sum((fold.cost for fold in tried.values()), reserve), target):
                folds = tried
                break
        else:
            break
    return folds


def _moves(
    name: str,
    folds: Mapping[str, Fold],
    choices: Mapping[str, Choices],
    tails: Mapping[str, float],
    target: Target,
) -> Iterator[_Move]:
    now = folds[name]
    for faster in choices[name].all_faster_than(now.cycles):
        for fold in (faster, *([of_luts(faster)] if faster.in_luts else [])):
            gain = (now.cycles - fold.cycles) * tails[name]
            if gain >= 1:
                yield _Move(name, fold, gain / max(share(fold.cost, target) - share(now.cost, target), 1e-9))
