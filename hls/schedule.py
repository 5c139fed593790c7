# SPDX-License-Identifier: Apache-2.0
"""Schedule: when every beat passes, computed; hence FIFO depths, initiation interval and latency without simulation."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from framegate.files import write_json
from framegate.hls.dataflow import PIXELS, Dataflow, Link
from framegate.hls.kernels import Depthwise, Fifo, Kernel, MatVec, Pace

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


def schedule(dataflow: Dataflow, clock_mhz: float) -> tuple[Dataflow, Schedule]:
    """Place the pace and the FIFOs so that no kernel ever waits for room; return the complete design and its times.

    The interval is the smallest, from the slowest kernel's upwards, at which every clip has the first one's latency
    and the pattern of all streams repeats from clip to clip.
    """
    frames = dataflow.pixels.frames
    interval = max(-(-kernel.cycles_per_clip // frames) for kernel in dataflow.kernels)
    while True:
        paced = _paced(dataflow, interval)
        waits: set[Link] = set()
        passages = passages_of(paced, _CLIPS, waits)
        if _settles(passages, paced, frames * interval):
            break
        interval += max(1, interval // 256)
    complete = _with_fifos(paced, passages, waits)
    return complete, _summary(complete, interval, clock_mhz)


def passages_of(dataflow: Dataflow, clips: int, waits: set[Link] | None = None) -> dict[Link, Passage]:
    """Every beat's cycle for clips back to back, in one feed-forward pass over the kernels.

    With `waits`, a link whose consumer is not always ready is passed through a FIFO and added to the set.
    """
    origin = np.zeros(clips * dataflow.pixels.beats, dtype=np.int64)
    appears: dict[str, np.ndarray] = {PIXELS: origin}
    passages: dict[Link, Passage] = {}
    for kernel in dataflow.kernels:
        links = dataflow.links_into(kernel.name)
        offered = [appears[link.producer] for link in links]
        late = [False] * len(links)
        while True:
            arrivals = [times + Fifo.LATENCY * is_late for times, is_late in zip(offered, late, strict=True)]
            timing = kernel.timing(*arrivals)
            held = [(taken != arrival).any() for taken, arrival in zip(timing.taken, arrivals, strict=True)]
            if waits is None or PIXELS in {link.producer for link in links} or not _newly(held, late):
                break
            late = [was or now for was, now in zip(late, held, strict=True)]
        for link, times, taken, is_late in zip(links, offered, timing.taken, late, strict=True):
            passages[link] = Passage(times, taken)
            if is_late and waits is not None:
                waits.add(link)
        appears[kernel.name] = timing.appears
    leaves = appears[dataflow.result.producer]
    passages[dataflow.result] = Passage(leaves, leaves)
    return passages


def result_times(passages: dict[Link, Passage], dataflow: Dataflow) -> np.ndarray:
    """Cycle of each clip's result beat."""
    return passages[dataflow.result].taken


def pixel_times(passages: dict[Link, Passage], dataflow: Dataflow) -> np.ndarray:
    """Cycles (clips, beats of a clip) at which the pixels are accepted."""
    return passages[dataflow.links_from(PIXELS)[0]].taken.reshape(-1, dataflow.pixels.beats)


def latencies(passages: dict[Link, Passage], dataflow: Dataflow) -> np.ndarray:
    """Cycles from first pixel accepted to result, per clip."""
    return result_times(passages, dataflow) - pixel_times(passages, dataflow)[:, 0]


def _newly(held: list[np.bool_], late: list[bool]) -> bool:
    return any(now and not was for now, was in zip(held, late, strict=True))


def _settles(passages: dict[Link, Passage], dataflow: Dataflow, period: int) -> bool:
    """Whether all clips take the same time and the last two pass every stream `period` cycles apart."""
    if np.ptp(latencies(passages, dataflow)):
        return False
    clips = (passage.taken.reshape(_CLIPS, -1) for passage in passages.values())
    return all((times[-1] - times[-2] == period).all() for times in clips)


def _paced(dataflow: Dataflow, interval: int) -> Dataflow:
    pace = Pace(name="pace", input=dataflow.pixels, interval=interval)
    entry = dataflow.links_from(PIXELS)[0]
    links = [Link(PIXELS, 0, pace.name, 0), replace(entry, producer=pace.name)]
    links += [link for link in dataflow.links if link != entry]
    return replace(dataflow, kernels=(pace, *dataflow.kernels), links=tuple(links)).check("pacing")


def _with_fifos(dataflow: Dataflow, passages: dict[Link, Passage], waits: set[Link]) -> Dataflow:
    kernels: list[Kernel] = []
    links: list[Link] = []
    for kernel in dataflow.kernels:
        for link in dataflow.links_into(kernel.name):
            if link not in waits:
                links.append(link)
                continue
            port = f"_{kernel.ports[link.slot]}" if len(kernel.inputs) > 1 else ""
            fifo = Fifo(
                name=f"{kernel.name}{port}_fifo", input=dataflow.stream(link), depth=_depth(passages[link])
            )
            kernels.append(fifo)
            links += [replace(link, consumer=fifo.name, slot=0), Link(fifo.name, 0, kernel.name, link.slot)]
        kernels.append(kernel)
    return replace(dataflow, kernels=tuple(kernels), links=tuple(links)).check("FIFO placement")


def _depth(passage: Passage) -> int:
    """The most beats held at once: a beat that enters finds those before it that have not left in an earlier cycle."""
    gone = np.searchsorted(passage.taken, passage.offered, side="left")
    return int((np.arange(1, len(gone) + 1) - gone).max())


def _summary(dataflow: Dataflow, interval: int, clock_mhz: float) -> Schedule:
    passages = passages_of(dataflow, 1)
    latency = int(latencies(passages, dataflow)[0])
    last_pixel = int(pixel_times(passages, dataflow)[0, -1])
    rate = clock_mhz * 1e6 / interval
    busy = [kernel for kernel in dataflow.kernels if isinstance(kernel, MatVec | Depthwise)]
    slots = sum(kernel.multipliers for kernel in busy)
    used = sum(kernel.multipliers * kernel.cycles_per_clip for kernel in busy)
    times = [
        _times(kernel, dataflow, passages, interval)
        for kernel in dataflow.kernels
        if not isinstance(kernel, Fifo)
    ]
    fifos = [kernel for kernel in dataflow.kernels if isinstance(kernel, Fifo)]
    return Schedule(
        clock_mhz=clock_mhz,
        initiation_interval=interval,
        latency_cycles=latency,
        after_last_pixel=latency - last_pixel,
        latency_ms=latency / clock_mhz / 1e3,
        frames_per_second=rate,
        clips_per_second=rate / dataflow.pixels.frames,
        mac_utilization=used / (slots * interval * dataflow.pixels.frames),
        kernels=tuple(times),
        fifos=tuple(FifoDepth(fifo.name, fifo.depth, fifo.depth * fifo.input.beat_bits) for fifo in fifos),
    )


def _times(kernel: Kernel, dataflow: Dataflow, passages: dict[Link, Passage], interval: int) -> KernelTimes:
    taken = [passages[link].taken for link in dataflow.links_into(kernel.name)]
    after = dataflow.links_from(kernel.name) or [dataflow.result]
    out = passages[after[0]].offered
    return KernelTimes(
        name=kernel.name,
        kind=type(kernel).__name__,
        first_in=int(min(times[0] for times in taken)),
        last_in=int(max(times[-1] for times in taken)),
        first_out=int(out[0]),
        last_out=int(out[-1]),
        cycles_per_frame=-(-kernel.cycles_per_clip // dataflow.pixels.frames),
        utilization=kernel.cycles_per_clip / (interval * dataflow.pixels.frames),
    )
