# SPDX-License-Identifier: Apache-2.0
"""A shorter decision delay: the layers that the last frame waits for get more of the device, by exact times."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from framegate.errors import UsageError
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.folding.choices import Choices, Fold, Products, choices_of, share, with_multipliers_of
from framegate.hls.folding.fit import RESOURCES, has_room, total_cost
from framegate.hls.folding.fold import cheapest, fold
from framegate.hls.folding.ultra_ram import in_ultra_ram
from framegate.hls.folding.wiring import connect
from framegate.hls.kernels import Cost, FrameGather, Shift
from framegate.hls.schedule.schedule import Schedule, decision_delay, schedule
from framegate.hls.targets import Target

_FULL = 0.8  # of the LUTs: a fuller device is hard to route
_TELLING = 0.8  # of the delay that was told last
_ATTEMPTS = 6  # at fitting, and at a goal: each leaves room, or time, for what the one before needed

Limits = Mapping[str, int]  # per layer the most cycles that it may take for a frame
Design = tuple[Dataflow, Schedule]  # complete, and its times


@dataclass(frozen=True, eq=False)
class Step:
    """A design on the way to a shorter decision delay. Its cost is that of the layers, without what is between them."""

    faster: tuple[str, ...]  # the layers that were made faster; none in the first
    delay: int  # cycles from the last pixel to the result
    limits: Limits = field(repr=False)
    folds: Mapping[str, Fold] = field(repr=False)

    @cached_property
    def cost(self) -> Cost:
        """Of all layers."""
        return sum((fold.cost for fold in self.folds.values()), Cost())


class Descent:
    """From a design to ever shorter decision delays, the move of most worth first.

    A move makes one layer faster by a step, or all layers of a section, or all there are: where two layers are equally
    slow and one waits for the other, nothing is gained by one alone. Its worth is the cycles that it saves, by the
    exact schedule of one clip, per share of the device. Worths are kept until the layers of a move change: most of them
    stay as they are, and the one that is taken is computed anew before. Where nothing has room any more, layers that
    are faster than they need to be give some back.
    """

    def __init__(self, dataflow: Dataflow, target: Target, products: Products, interval: int) -> None:
        self.dataflow = with_multipliers_of(target, dataflow)
        self.target = target
        self.choices = choices_of(self.dataflow, target, products)
        self.moves = _moves(self.dataflow, self.choices)
        self.interval = interval  # cycles per frame that no layer may exceed

    def start(self, interval: int) -> Step:
        """The cheapest design of an interval."""
        return self.step(dict.fromkeys(self.choices, interval))

    def step(self, limits: Limits, faster: tuple[str, ...] = ()) -> Step:
        """The cheapest design within the limits, and its exact delay."""
        folds = cheapest(self.choices, limits, self.target)
        return Step(faster, decision_delay(connect(self.dataflow, folds)), limits, folds)

    def run(self, step: Step, reserve: Cost) -> Iterator[Step]:
        """Steps with ever shorter delays, as long as there is one with room for `reserve` beside it."""
        worths = dict.fromkeys(self.moves, math.inf)
        stale: set[tuple[str, ...]] = set()  # computed before the last step
        while True:
            move = max(self.moves, key=lambda move: worths[move])
            if worths[move] <= 0:
                if not stale:
                    slower = self.relaxed(step, step.delay)
                    if slower is step:
                        return
                    step, stale = slower, set(self.moves)
                worths |= dict.fromkeys(stale, math.inf)
                stale.clear()
                continue
            tried = self._tried(step, move, reserve)
            worths[move] = self._worth(step, tried)
            stale.discard(move)
            if tried is None or worths[move] <= 0 or worths[move] < max(worths.values()):
                continue
            changed = set(tried.faster)
            stale |= set(self.moves)
            worths |= {other: math.inf for other in self.moves if changed & set(other)}
            step = tried
            yield step

    def _tried(self, step: Step, move: tuple[str, ...], reserve: Cost) -> Step | None:
        """The next design if the layers of `move` get faster by a step; None if they cannot, or have no room."""
        faster = {
            name: option
            for name in move
            if (option := self.choices[name].faster_than(step.folds[name].cycles)) is not None
        }
        if not faster:
            return None
        cap = max(option.cycles for option in faster.values())
        limits = {**step.limits, **{name: min(cap, step.folds[name].cycles) for name in faster}}
        names = tuple(name for name in faster if step.folds[name].cycles > cap)
        cost = sum((fold.cost for fold in cheapest(self.choices, limits, self.target).values()), reserve)
        return self.step(limits, names) if has_room(cost, self.target) else None

    def _worth(self, step: Step, tried: Step | None) -> float:
        if tried is None:
            return -math.inf
        more = share(tried.cost, self.target) - share(step.cost, self.target)
        return (step.delay - tried.delay) / max(more, 1e-9)

    def relaxed(self, step: Step, goal: int) -> Step:
        """The step with every layer as slow as the goal and the interval allow, the largest first."""
        for name in sorted(step.folds, key=lambda name: -share(step.folds[name].cost, self.target)):
            for cycles in self.choices[name].cycles:
                if not step.folds[name].cycles < cycles <= self.interval:
                    continue
                tried = self.step({**step.limits, name: cycles}, step.faster)
                if tried.delay > goal or share(tried.cost, self.target) >= share(step.cost, self.target):
                    break
                step = tried
        return step


def _moves(dataflow: Dataflow, choices: Mapping[str, Choices]) -> list[tuple[str, ...]]:
    """Each layer alone, those of each section together, and all of them.

    A section ends where frames wait for frames to come: there the last frame begins only when the layers before are
    done with it.
    """
    section: dict[str, int] = {PIXELS: 0}
    sections: dict[int, list[str]] = {}
    for kernel in dataflow.kernels:
        waits = isinstance(kernel, Shift | FrameGather) and kernel.lookahead > 0
        before = max(section[link.producer] for link in dataflow.links_into(kernel.name))
        section[kernel.name] = before + waits
        if kernel.name in choices:
            sections.setdefault(section[kernel.name], []).append(kernel.name)
    groups = [tuple(names) for names in sections.values()] + [tuple(choices)]
    return list(dict.fromkeys([*((name,) for name in choices), *groups]))


@dataclass(frozen=True)
class Shorter:
    """The design that was found, its times, and the steps that led there."""

    complete: Dataflow
    times: Schedule
    steps: Sequence[Step]


def shorten(
    dataflow: Dataflow,
    target: Target,
    clock_mhz: float,
    products: Products,
    found: Design,
    progress: Callable[[str], None],
) -> Shorter:
    """The least decision delay that fits, at no lower rate than that of `found`, a design of the unfolded `dataflow`.

    The way begins at the cheapest design of that rate, and once more at the fastest design that fits.
    """
    descent = Descent(dataflow, _roomy(target), products, found[1].initiation_interval)
    fastest = schedule(fold(dataflow, target, clock_mhz, products=products), clock_mhz)
    best = Shorter(*found, ())
    for start in [found, *([fastest] if fastest[1].initiation_interval < descent.interval else [])]:
        shorter = _reached(descent, start, None, clock_mhz, progress)
        if shorter and shorter.times.after_last_pixel < best.times.after_last_pixel:
            best = shorter
    return best


def shorten_to(
    goal: int,
    dataflow: Dataflow,
    target: Target,
    clock_mhz: float,
    products: Products,
    found: Design,
    progress: Callable[[str], None],
) -> Shorter:
    """The least area whose decision delay is at most `goal` cycles, at no lower rate than that of `found`.

    Raises UsageError where that is out of reach.
    """
    if found[1].after_last_pixel <= goal:
        return Shorter(*found, ())
    descent = Descent(dataflow, _roomy(target), products, found[1].initiation_interval)
    if reached := _reached(descent, found, goal, clock_mhz, progress):
        return reached
    least = shorten(dataflow, target, clock_mhz, products, found, progress).times.after_last_pixel
    raise UsageError(
        f"{dataflow.model}: a decision delay of {goal:,} cycles is out of reach on {target.name} at {clock_mhz:g} MHz, "
        f"--least-latency reaches {least:,} ({least / clock_mhz / 1e3:.3g} ms); ask for more, a higher clock (--clock) "
        f"or a larger target"
    )


def _roomy(target: Target) -> Target:
    return target.model_copy(update={"lut": int(_FULL * target.lut)})


def _reached(
    descent: Descent, start: Design, goal: int | None, clock_mhz: float, progress: Callable[[str], None]
) -> Shorter | None:
    """The design of the least area for a goal, or of the least delay, that is found from `start` on; None if none."""
    first = descent.start(start[1].initiation_interval)
    steps, reserve, wanted = [first], _beside(start[0], first), goal
    onward = told(descent.run(first, reserve), progress)
    for _ in range(_ATTEMPTS):
        while not _reaches(steps, wanted) and (step := next(onward, None)):
            steps.append(step)
        fitting = _fitting(steps, wanted, reserve, descent.target)
        if not fitting:
            return None
        chosen = descent.relaxed(fitting[-1], fitting[-1].delay if wanted is None else wanted)
        made, times = schedule(connect(descent.dataflow, chosen.folds), clock_mhz)
        made = in_ultra_ram(made, descent.target)
        late = 0 if goal is None else max(0, times.after_last_pixel - goal)
        slow = times.initiation_interval > descent.interval
        if not late and not slow and has_room(total_cost(made), descent.target):
            return Shorter(made, times, steps[: steps.index(fitting[-1]) + 1])
        if slow:  # it never settles at the rate: another one is to be found
            steps.remove(fitting[-1])
        reserve = reserve.larger(_beside(made, chosen))
        wanted = None if wanted is None else wanted - late
    return None


def _reaches(steps: Sequence[Step], wanted: int | None) -> bool:
    return wanted is not None and any(step.delay <= wanted for step in steps)


def told(steps: Iterator[Step], progress: Callable[[str], None]) -> Iterator[Step]:
    """The steps; tells now and then how far they are."""
    told = math.inf
    for step in steps:
        if step.delay < _TELLING * told:
            told = step.delay
            progress(f"decision delay: {told:,} cycles")
        yield step


def _fitting(steps: Sequence[Step], wanted: int | None, reserve: Cost, target: Target) -> list[Step]:
    """The steps that have room for `reserve` as well, up to the first of the wanted delay; none if that is missing."""
    fitting = [step for step in steps if has_room(step.cost + reserve, target)]
    if wanted is None:
        return fitting
    count = next((number for number, step in enumerate(fitting, 1) if step.delay <= wanted), 0)
    return fitting[:count]


def _beside(complete: Dataflow, step: Step) -> Cost:
    """What a design takes beside its layers."""
    whole = total_cost(complete)
    return Cost(**{name: max(0, getattr(whole, name) - getattr(step.cost, name)) for name in RESOURCES})
