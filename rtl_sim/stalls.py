# SPDX-License-Identifier: Apache-2.0
"""The pass in which source and sink stall and clips are cut by `clear`: values and order must stay, cycles need not."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from framegate.errors import FramegateError
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.emission.emit import Net, nets
from framegate.hls.kernels import Pace
from framegate.hls.stream import to_beats
from framegate.rtl_sim.bench.simulator import ALWAYS, Bench, Cut, LongStalls, Recording
from framegate.rtl_sim.compare import Difference, differences, differences_of_a_part, total

_PATTERN = 256  # cycles of a sink's pattern
LOADED = 4  # cycles from the last word that fills a memory to the first pixel
_ROOM = 12  # clips that a design holds at most when it is full, beyond those in it at full rate
_RING = 4  # clips that come again and again, beyond one for each step of a score
_MOMENTS = 5  # short runs in which a clip is cut, beside the one with stalls
_SPARE = 1_000  # cycles beyond the expected end before a run counts as stuck


@dataclass(frozen=True, kw_only=True)
class Stalled:
    """What the stalled pass showed."""

    seed: int  # of the stalls and of the cuts
    clips: int  # that came whole; in a design that runs for ever steps of a stream
    values: int
    mismatches: int
    first_mismatch: str | None
    cut_after: tuple[int, ...]  # beats of pixels that came before `clear`, in this run and in the short ones
    longest_wait: int  # cycles that a pixel waited at most
    full: bool  # it waited until everything between it and the stalled sink was full
    streams_stalled: (
        tuple[int, int] | None
    )  # probed streams on which a beat waited longer than ever before; of so many


@dataclass(frozen=True, kw_only=True)
class Stalls:
    """What source and sink do in the stalled pass, drawn from `seed`, for a design with this latency (cycles).

    The part of a clip before `clear`, then as many whole ones as it takes until a result that the sink holds makes the
    pixels wait. Short runs behind it cut a clip at other moments: a kernel that `clear` does not reach is seen only
    when that finds it at work.
    """

    dataflow: Dataflow
    latency: int
    at_work: tuple[
        tuple[int, int], ...
    ]  # by stream, a clip's first and last beat: cycles after its first pixel
    load: int  # words that fill memories before the first pixel
    seed: int

    @cached_property
    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    @cached_property
    def _pace(self) -> Pace:
        return next(kernel for kernel in self.dataflow.kernels if isinstance(kernel, Pace))

    @property
    def _period(self) -> int:
        """Cycles from clip to clip, or from step to step."""
        return self._pace.interval * self.dataflow.pixels.frames

    @property
    def _beat(self) -> float:
        """Cycles from one beat of pixels to the next, at the pace of the design."""
        return self._pace.interval / self._pace.input.beats_per_frame

    @cached_property
    def _steps(self) -> int:
        """What makes a clip: one, or of a design that runs for ever as many steps as a score covers."""
        return max(1, self.dataflow.window // self.dataflow.pixels.frames)

    @cached_property
    def before(self) -> np.ndarray:
        """The clip that is cut (whole here)."""
        return self._drawn[: self._steps]

    @cached_property
    def ring(self) -> np.ndarray:
        """The clips behind it, which come again and again."""
        return self._drawn[self._steps :]

    @cached_property
    def cuts(self) -> tuple[Cut, ...]:
        """Of the short runs: at each, other streams have passed a part of the clip; the soonest to end comes first."""
        beats = self.before.shape[0] * self.dataflow.pixels.beats
        more = (self._steps - 1) * self._period
        moments: list[int] = []
        for last, first in sorted((last + more, first) for first, last in self.at_work):
            long = last - first > self._pace.interval // 16
            if long and len(moments) < _MOMENTS and not any(first < moment < last for moment in moments):
                moments.append(int(self._rng.integers(first + 3 * (last - first) // 4, last)))
        while len(moments) < _MOMENTS:
            moments.append(int(self._rng.integers(1, 1 + int(beats * self._beat))))
        words = [min(beats, 1 + int(moment / self._beat)) for moment in moments]
        return tuple(
            Cut(words=count, delay=1 + int(moment - (count - 1) * self._beat))
            for count, moment in zip(words, moments, strict=True)
        )

    def _after(self, count: int) -> np.ndarray:
        """So many clips behind the one that is cut."""
        return self.ring[np.arange(count) % len(self.ring)]

    @cached_property
    def _drawn(self) -> np.ndarray:
        """Clips (N, T, H, W, C) of noise, every other one of darkest and lightest pixels: sums reach far.

        They are not those of the first pass, so that other values pass.
        """
        shape = (2 * self._steps + _RING, *self.dataflow.pixels.shape)
        noise = self._rng.integers(0, 256, shape, dtype=np.uint8)
        noise[::2] = np.where(noise[::2] < 128, 0, 255)
        return noise

    @cached_property
    def cut(self) -> Cut:
        """In the second half of the clip, soon after a pixel: all kernels are at work."""
        beats = self.before.shape[0] * self.dataflow.pixels.beats
        words = int(self._rng.integers((beats + 1) // 2, max(beats, 2)))
        return Cut(words=words, delay=int(self._rng.integers(1, 2 + self._pace.interval // 16)))

    @cached_property
    def words(self) -> list[int]:
        """Of the pixels, beat by beat."""
        stream = self.dataflow.pixels
        return [*to_beats(self.before, stream)[: self.cut.words], *to_beats(self.ring, stream)]

    @cached_property
    def offers(self) -> np.ndarray:
        """The cycle of each beat of pixels: the pace of the design, with short pauses and a few long ones per clip."""
        count = len(self.words)
        step = self._beat
        short = np.where(self._rng.random(count) < 0.1, self._rng.integers(0, 2 + 4 * int(step), count), 0)
        longest = 2 + self._pace.interval // 2
        rare = self._rng.random(count) < 4 / self.dataflow.pixels.beats
        pauses = short + np.where(rare, self._rng.integers(0, longest, count), 0)
        return self._start + (np.arange(count) * step).astype(np.int64) + np.cumsum(pauses)

    @property
    def _start(self) -> int:
        return int(self.load_offers[-1]) + 1 + LOADED if self.load else 0

    @cached_property
    def load_offers(self) -> np.ndarray:
        """The cycle of each word that fills a memory."""
        return np.arange(self.load) + np.cumsum(self._rng.integers(0, 2, self.load))

    @cached_property
    def accepts(self) -> np.ndarray:
        """The sink's pattern: turns of up to 16 cycles in which it is ready, is not, or is by chance."""
        turns = self._rng.integers(1, 17, _PATTERN)
        ready = np.repeat(self._rng.choice([0.0, 0.5, 1.0], _PATTERN), turns)[:_PATTERN]
        pattern = self._rng.random(_PATTERN) < ready
        pattern[0] = True
        return pattern

    @property
    def patience(self) -> int:
        """Cycles without a pixel taken after which everything is full: no kernel rests for longer than a frame."""
        return self._pace.interval + 64

    @property
    def most(self) -> int:
        """Clips that come at most, should the pixels never wait so long."""
        return self._steps + math.ceil(self.latency / self._period) + _ROOM

    @property
    def limit(self) -> int:
        """Cycles after which the run is stuck."""
        held = self.most * (self._period + self.patience + _PATTERN)
        return int(self.offers[-1]) + 3 * self.latency + held + _SPARE

    @property
    def usual(self) -> int:
        """Cycles that the runs take, about: everything is full long before the most clips have come."""
        return self.limit // 4 + _MOMENTS * 2 * (self.latency + self._steps * self._period)

    @property
    def room(self) -> int:
        """Beats of pixels that a run has at most."""
        return (2 * self._steps + _RING) * self.dataflow.pixels.beats

    def of(self, bench: Bench) -> Bench:
        """`bench` as it runs in the stalled pass."""
        stalled = self._with(bench, self.words, self.offers, self._result.stream.beats)
        (sink,) = stalled.outputs
        return replace(
            stalled,
            outputs=(replace(sink, accepts=self.accepts),),
            cut=self.cut,
            long_stalls=LongStalls(patience=self.patience, clip=self.dataflow.pixels.beats, most=self.most),
        )

    def _cut_by(self, bench: Bench, cut: Cut) -> Bench:
        """`bench` as it runs to be cut by that, with a clip behind it, at the pace of the design."""
        stream = self.dataflow.pixels
        words = [*to_beats(self.before, stream)[: cut.words], *to_beats(self._after(self._steps), stream)]
        offers = self._start + (np.arange(len(words)) * self._beat).astype(np.int64)
        return replace(self._with(bench, words, offers, self._steps * self._result.stream.beats), cut=cut)

    def _with(self, bench: Bench, words: list[int], offers: np.ndarray, beats: int) -> Bench:
        pixels, *load = bench.inputs
        (sink,) = bench.outputs
        return replace(
            bench,
            inputs=(
                replace(pixels, words=words, offers=offers),
                *(replace(source, offers=self.load_offers) for source in load),
            ),
            outputs=(replace(sink, beats=beats, accepts=ALWAYS),),
        )

    @property
    def _result(self) -> Net:
        return nets(self.dataflow)[-1]

    def run(self, bench: Bench, linger: int, unstalled: dict[str, Recording]) -> Stalled:
        """Run what was built. `linger`: cycles behind the last result; `unstalled`: what the pass before recorded."""
        linger += self._period + self.patience if bench.taps else 0
        runs = [self.of(bench), *(self._cut_by(bench, cut) for cut in self.cuts)]
        try:
            recorded, *short = bench.run_each(runs, self.limit, linger)
        except FramegateError as stopped:
            return self._verdict(Difference(0, 1, str(stopped)), 0, {}, unstalled)
        clips = (len(recorded["s_axis"].words) - self.cut.words) // self.dataflow.pixels.beats
        found = [*self._differences(self.cut, clips, recorded)]
        for cut, after in zip(self.cuts, short, strict=True):
            found += self._differences(cut, self._steps, after)
        return self._verdict(total(found), clips, recorded, unstalled)

    def _differences(self, cut: Cut, clips: int, recorded: dict[str, Recording]) -> Iterator[Difference]:
        """Of a run that was cut and so many clips behind it."""
        cleared = int(recorded["s_axis"].cycles[cut.words - 1]) + 1 + cut.delay
        streams = {**recorded, self._result.name: recorded["m_axis"]}
        parts = {name: _split(stream, cleared) for name, stream in streams.items()}
        early = {name: before for name, (before, _) in parts.items()}
        late = {name: after for name, (_, after) in parts.items()}
        where = f"`clear` {cut.delay:,} cycles behind beat {cut.words:,}"
        yield _called(f"before {where}", total(differences_of_a_part(self.dataflow, self.before, early)))
        yield _called(f"after {where}", total(differences(self.dataflow, self._after(clips), late)))

    def _verdict(
        self,
        found: Difference,
        clips: int,
        recorded: dict[str, Recording],
        unstalled: dict[str, Recording],
    ) -> Stalled:
        inside = [name for name in recorded if not name.endswith("_axis")]
        waited = sum(recorded[name].waited > unstalled[name].waited for name in inside)
        wait = recorded["s_axis"].waited if recorded else 0
        return Stalled(
            seed=self.seed,
            clips=clips,
            values=found.values,
            mismatches=found.mismatches,
            first_mismatch=f"stalled, seed {self.seed}: {found.first}" if found.first else None,
            cut_after=tuple(cut.words for cut in (self.cut, *self.cuts)),
            longest_wait=wait,
            full=wait >= self.patience,
            streams_stalled=(waited, len(inside)) if inside else None,
        )


def _split(stream: Recording, cycle: int) -> tuple[Recording, Recording]:
    """What passed until `cycle`, and what passed after it."""
    place = int(np.searchsorted(stream.cycles, cycle, side="right"))
    return (
        Recording(stream.cycles[:place], stream.words[:place]),
        Recording(stream.cycles[place:], stream.words[place:]),
    )


def _called(when: str, found: Difference) -> Difference:
    return replace(found, first=f"{when}: {found.first}") if found.first else found
