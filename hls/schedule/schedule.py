# SPDX-License-Identifier: Apache-2.0
"""Schedule: when every beat passes, computed; hence FIFO depths, initiation interval and latency without simulation."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
from framegate.files import read_as, write_json
from framegate.hls.dataflow.graph import PIXELS, Dataflow, Link
from framegate.hls.kernels import Beats, Bursts, Depthwise, Fifo, Kernel, MatVec, Pace, Timing, each_beat
from framegate.hls.schedule.handshake import with_skids

_CLIPS = 4  # back to back: into the empty pipeline, into a busy one, and two that must pass alike


@dataclass(frozen=True)
class Passage:
    """One stream over several clips: the cycle at which each beat is offered and taken (0: the first pixel)."""

    offered: np.ndarray
    taken: np.ndarray


@dataclass(frozen=True)
class KernelTimes:
    """A kernel's first clip, in cycles after its first pixel, and how busy it is at the initiation interval."""

    name: str
    kind: str
    first_in: int
    last_in: int
    first_out: int
    last_out: int
    cycles_per_frame: int  # per frame that enters the design
    utilization: float


@dataclass(frozen=True)
class FifoDepth:
    """A FIFO that the schedule placed."""

    name: str
    depth: int
    bits: int


@dataclass(frozen=True)
class Schedule:
    """What latency.json says. Cycles; rates are at `clock_mhz`."""

    clock_mhz: float
    initiation_interval: int  # per frame
    latency_cycles: int  # first pixel accepted to result, source and sink never pausing
    after_last_pixel: int  # last pixel accepted to result
    latency_ms: float
    frames_per_second: float
    clips_per_second: float
    mac_utilization: float  # busy multipliers / all multipliers
    kernels: tuple[KernelTimes, ...]
    fifos: tuple[FifoDepth, ...]

    def save(self, target: Path) -> Path:
        """Write latency.json."""
        return write_json(target, asdict(self))


def read_times(source: Path) -> Schedule:
    """Read latency.json. Raises UsageError when it is absent or not one."""
    return read_as(Schedule, source, "run `framegate compile` first")


def schedule(dataflow: Dataflow, clock_mhz: float) -> tuple[Dataflow, Schedule]:
    """Place the pace, the FIFOs (so that no kernel ever waits for room) and the skid buffers.

    Returns the complete design and its times.

    The interval is the smallest, from the slowest kernel's upwards, at which every clip has the first one's latency
    and the pattern of all streams repeats from clip to clip.
    """
    frames = dataflow.pixels.frames
    interval = _slowest(dataflow)
    while True:
        paced = _paced(dataflow, interval)
        watch = _Watch(paced, frames * interval)
        for stream in _pass(paced, _CLIPS, buffered=True):
            watch.see(stream)
        if watch.settles:
            break
        interval = max(interval + max(1, interval // 256), -(-watch.result_period // frames))
    complete = with_skids(_with_fifos(paced, watch.depths))
    return complete, _summary(complete, watch, interval, clock_mhz)


def decision_delay(dataflow: Dataflow) -> int:
    """Cycles from the last pixel accepted to the result, of one clip in an empty design at the slowest kernel's pace.

    Clips back to back take as long, or a little longer: where only they wait, a FIFO stands in the way of all.
    """
    paced = _paced(dataflow, _slowest(dataflow))
    passes = {stream.link: stream.taken for stream in _pass(paced, 1, buffered=True)}
    last_pixel = each_beat(passes[paced.links_from(PIXELS)[0]])[-1]
    return int(each_beat(passes[paced.result])[0] - last_pixel)


def passages_of(dataflow: Dataflow, clips: int, offers: np.ndarray | None = None) -> dict[Link, Passage]:
    """Every beat's cycle on every stream of a complete design, for clips back to back.

    `offers`: the cycle from which each pixel is offered, by a source that is slower than the design; None: always.
    """
    return {
        passed.link: Passage(each_beat(passed.offered), each_beat(passed.taken))
        for passed in _pass(dataflow, clips, buffered=False, offers=offers)
    }


@dataclass(frozen=True, eq=False)
class _Passed:
    """One stream of a pass."""

    link: Link
    offered: Beats
    taken: Beats
    waits: bool = False  # its reader is not always ready


def _pass(
    dataflow: Dataflow, clips: int, *, buffered: bool, offers: np.ndarray | None = None
) -> Iterator[_Passed]:
    """Every stream in one feed-forward pass over the kernels, the result last.

    `buffered`: a stream whose reader is not always ready passes through a FIFO that is not in the dataflow yet.
    """
    always = np.zeros(clips * dataflow.pixels.beats, dtype=np.int64)
    appears: dict[str, Beats] = {PIXELS: always if offers is None else offers}
    unread = {name: len(dataflow.links_from(name)) for name in [PIXELS, *(k.name for k in dataflow.kernels)]}
    for kernel in dataflow.kernels:
        links = dataflow.links_into(kernel.name)
        offered = [appears[link.producer] for link in links]
        free = not buffered or PIXELS in {link.producer for link in links}
        timing, late = _timing(kernel, offered, free)
        for link, times, taken, is_late in zip(links, offered, timing.taken, late, strict=True):
            yield _Passed(link, times, taken, is_late)
            unread[link.producer] -= 1
            if not unread[link.producer]:
                del appears[link.producer]  # a long clip has many beats
        appears[kernel.name] = timing.appears
    leaves = appears[dataflow.result.producer]
    yield _Passed(dataflow.result, leaves, leaves)


def _timing(kernel: Kernel, offered: list[Beats], free: bool) -> tuple[Timing, list[bool]]:
    """A kernel's times, and per input whether a FIFO stands before it: where it does not take every beat at once.

    `free`: nothing stands before it.
    """
    late = [False] * len(offered)
    while True:
        arrivals = [
            each_beat(times) + Fifo.LATENCY if is_late else times if kernel.BURSTS else each_beat(times)
            for times, is_late in zip(offered, late, strict=True)
        ]
        timing = kernel.timing(*cast("list[np.ndarray]", arrivals))  # Bursts only where it takes them
        held = [
            taken is not arrival and bool((each_beat(taken) != each_beat(arrival)).any())
            for taken, arrival in zip(timing.taken, arrivals, strict=True)
        ]
        if free or not any(now and not was for now, was in zip(held, late, strict=True)):
            return timing, late
        late = [was or now for was, now in zip(late, held, strict=True)]


@dataclass
class _Watch:
    """What is kept of a pass of _CLIPS clips: enough to judge it, far less than all cycles."""

    dataflow: Dataflow
    period: int  # cycles from clip to clip
    depths: dict[Link, int] = field(default_factory=dict)  # of the FIFOs
    taken: dict[Link, tuple[int, int]] = field(default_factory=dict)  # first and last beat of the first clip
    offered: dict[Link, tuple[int, int]] = field(default_factory=dict)
    pixels: np.ndarray = field(default_factory=lambda: np.zeros((_CLIPS, 2), np.int64))  # first, last
    results: np.ndarray = field(default_factory=lambda: np.zeros(_CLIPS, np.int64))
    repeats: bool = True

    def see(self, stream: _Passed) -> None:
        """Look at one stream."""
        clips = _clips(stream.taken)
        self.repeats &= bool((clips[-1] - clips[-2] == self.period).all())
        self.taken[stream.link] = _first_and_last(stream.taken)
        self.offered[stream.link] = _first_and_last(stream.offered)
        if stream.waits:
            self.depths[stream.link] = _depth(stream)
        if stream.link.producer == PIXELS:
            self.pixels = clips[:, [0, -1]]
        if stream.link == self.dataflow.result:
            self.results = clips[:, 0]

    @property
    def latencies(self) -> np.ndarray:
        """Cycles from first pixel accepted to result, per clip."""
        return self.results - self.pixels[:, 0]

    @property
    def result_period(self) -> int:
        """Cycles between the last two results: more than the period if a kernel is slower than it says."""
        return int(self.results[-1] - self.results[-2])

    @property
    def settles(self) -> bool:
        """Whether all clips take the same time and the last two pass every stream a period apart."""
        return self.repeats and not np.ptp(self.latencies)


def _clips(beats: Beats) -> np.ndarray:
    """Cycles (_CLIPS, beats or bursts of a clip)."""
    return (beats.starts if isinstance(beats, Bursts) else beats).reshape(_CLIPS, -1)


def _first_and_last(beats: Beats) -> tuple[int, int]:
    first, last = _clips(beats)[0, [0, -1]].tolist()
    return first, last + (beats.length - 1 if isinstance(beats, Bursts) else 0)


def result_times(passages: dict[Link, Passage], dataflow: Dataflow) -> np.ndarray:
    """Cycle of each clip's result beat."""
    return passages[dataflow.result].taken


def pixel_times(passages: dict[Link, Passage], dataflow: Dataflow) -> np.ndarray:
    """Cycles (clips, beats of a clip) at which the pixels are accepted."""
    return passages[dataflow.links_from(PIXELS)[0]].taken.reshape(-1, dataflow.pixels.beats)


def latencies(passages: dict[Link, Passage], dataflow: Dataflow) -> np.ndarray:
    """Cycles from first pixel accepted to result, per clip."""
    return result_times(passages, dataflow) - pixel_times(passages, dataflow)[:, 0]


def _slowest(dataflow: Dataflow) -> int:
    """Cycles per frame of the slowest kernel."""
    return max(-(-kernel.cycles_per_clip // dataflow.pixels.frames) for kernel in dataflow.kernels)


def _paced(dataflow: Dataflow, interval: int) -> Dataflow:
    pace = Pace(name="pace", input=dataflow.pixels, interval=interval)
    entry = dataflow.links_from(PIXELS)[0]
    links = [Link(PIXELS, 0, pace.name, 0), replace(entry, producer=pace.name)]
    links += [link for link in dataflow.links if link != entry]
    return replace(dataflow, kernels=(pace, *dataflow.kernels), links=tuple(links)).check("pacing")


def _with_fifos(dataflow: Dataflow, depths: Mapping[Link, int]) -> Dataflow:
    kernels: list[Kernel] = []
    links: list[Link] = []
    for kernel in dataflow.kernels:
        for link in dataflow.links_into(kernel.name):
            if link not in depths:
                links.append(link)
                continue
            port = f"_{kernel.ports[link.slot]}" if len(kernel.inputs) > 1 else ""
            fifo = Fifo(name=f"{kernel.name}{port}_fifo", input=dataflow.stream(link), depth=depths[link])
            kernels.append(fifo)
            links += [replace(link, consumer=fifo.name, slot=0), Link(fifo.name, 0, kernel.name, link.slot)]
        kernels.append(kernel)
    return replace(dataflow, kernels=tuple(kernels), links=tuple(links)).check("FIFO placement")


def _depth(stream: _Passed) -> int:
    """The most beats held at once: a beat that enters finds those before it that have not left in an earlier cycle."""
    gone = np.searchsorted(each_beat(stream.taken), each_beat(stream.offered), side="left")
    return int((np.arange(1, len(gone) + 1) - gone).max())


def _summary(dataflow: Dataflow, watch: _Watch, interval: int, clock_mhz: float) -> Schedule:
    latency = int(watch.latencies[0])
    rate = clock_mhz * 1e6 / interval
    period = interval * dataflow.pixels.frames
    busy = [kernel for kernel in dataflow.kernels if isinstance(kernel, MatVec | Depthwise)]
    slots = sum(kernel.multipliers for kernel in busy) * period
    used = sum(kernel.multipliers * kernel.cycles_per_clip for kernel in busy)
    fifos = [kernel for kernel in dataflow.kernels if isinstance(kernel, Fifo)]
    return Schedule(
        clock_mhz=clock_mhz,
        initiation_interval=interval,
        latency_cycles=latency,
        after_last_pixel=int(watch.results[0] - watch.pixels[0, 1]),
        latency_ms=latency / clock_mhz / 1e3,
        frames_per_second=rate,
        clips_per_second=rate / dataflow.pixels.frames,
        mac_utilization=used / slots,
        kernels=tuple(_times(kernel, watch, period) for kernel in watch.dataflow.kernels),
        fifos=tuple(FifoDepth(fifo.name, fifo.depth, fifo.depth * fifo.input.beat_bits) for fifo in fifos),
    )


def _times(kernel: Kernel, watch: _Watch, period: int) -> KernelTimes:
    dataflow = watch.dataflow
    taken = [watch.taken[link] for link in dataflow.links_into(kernel.name)]
    after = dataflow.links_from(kernel.name) or [dataflow.result]
    first_out, last_out = watch.offered[after[0]]
    return KernelTimes(
        name=kernel.name,
        kind=type(kernel).__name__,
        first_in=min(first for first, _ in taken),
        last_in=max(last for _, last in taken),
        first_out=first_out,
        last_out=last_out,
        cycles_per_frame=-(-kernel.cycles_per_clip // dataflow.pixels.frames),
        utilization=kernel.cycles_per_clip / period,
    )
