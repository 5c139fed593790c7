# SPDX-License-Identifier: Apache-2.0
"""The emitted top against the integer reference (values) and the schedule (cycles), clips back to back."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from framegate.errors import UsageError
from framegate.hls.dataflow.graph import PIXELS, Dataflow, Link
from framegate.hls.emission.emit import TOP, load_beats, net_name, nets
from framegate.hls.kernels import LOAD_BITS
from framegate.hls.schedule.schedule import Passage, latencies, passages_of, pixel_times
from framegate.hls.stream import from_beats, to_beats
from framegate.rtl_sim.bench.simulator import ALWAYS, Bench, Recording, Simulator, Sink, Source, Tap
from framegate.rtl_sim.compare import differences, total
from framegate.rtl_sim.stalls import LOADED, Stalled, Stalls

_SPARE = 1_000  # cycles beyond the predicted end and one more clip before a run counts as stuck


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one simulation showed. Cycles count from the first pixel accepted to the result, per clip."""

    clips: int
    values: int
    mismatches: int
    first_mismatch: str | None  # kernel, clip, frame, pixel, channel
    predicted: int
    measured: tuple[int, ...]
    late: str | None  # where a beat first missed its predicted cycle (probed streams only)
    logits: np.ndarray  # (clips, classes), as the hardware gave them
    simulator: Simulator
    cycles: int
    seconds: float  # of simulation, without the build
    stalled: Stalled | None = None  # of the pass with stalls, if there was one

    @property
    def bit_exact(self) -> bool:
        """No value differs, with stalls or without."""
        return self.mismatches == 0 and (self.stalled is None or self.stalled.mismatches == 0)

    @property
    def on_time(self) -> bool:
        """Every clip took the predicted cycles, and so did every probed beat."""
        return set(self.measured) == {self.predicted} and self.late is None

    @property
    def jitter(self) -> int:
        """Cycles between the slowest and the fastest clip."""
        return max(self.measured) - min(self.measured)

    def latency_cycles(self) -> dict[str, int]:
        """As in the JSON of the commands; `measured` is the clip furthest from the prediction."""
        worst = max(self.measured, key=lambda cycles: abs(cycles - self.predicted))
        return {"predicted": self.predicted, "measured": worst, "jitter": self.jitter}


def verify(
    dataflow: Dataflow,
    rtl: Path,
    pixels: np.ndarray,
    work: Path,
    *,
    simulator: Simulator = "verilator",
    probe: bool = False,
    offers: np.ndarray | None = None,
    accepts: np.ndarray = ALWAYS,
    seed: int | None = None,
) -> Verdict:
    """Simulate the top in `rtl` on pixels (clips, T, H, W, 3) 0 … 255; compare results, or with `probe` all streams.

    `offers` (the cycle from which each pixel is offered) and `accepts` (the sink's pattern) make pauses: values
    must stay. Cycles are predicted for a source that is slower but even, not for bursts and a sink that stalls.
    `seed`: of a second pass, with stalls and clips that `clear` cuts (None for none), and of the state that Verilator
    starts from (None: as `start_seed` says). Raises UsageError for clips of
    another shape or a missing tool, FramegateError when the first pass stops early.
    """
    if not len(pixels) or pixels.shape[1:] != dataflow.pixels.shape:
        raise UsageError(
            f"clips of shape {pixels.shape} do not fit {dataflow.model}, "
            f"which takes {dataflow.pixels.shape} each; sample and resize them with the model's own configuration"
        )
    load = load_beats(dataflow)
    if offers is None:
        offers = np.zeros(len(pixels) * dataflow.pixels.beats, dtype=np.int64)
    if load:  # no pixel passes before that has
        offers = offers + len(load) + LOADED
    passages = passages_of(dataflow, len(pixels), offers)
    latency = int(latencies(passages, dataflow)[0])
    stalls = None
    if seed is not None:
        at_work = _at_work(dataflow, passages, len(pixels))
        stalls = Stalls(dataflow=dataflow, latency=latency, at_work=at_work, load=len(load), seed=seed)
    bench = _bench(dataflow, rtl, pixels, work, simulator, offers, accepts, load)
    bench = replace(
        bench,
        seed=seed,
        taps=tuple(Tap(name=net.name, bits=net.bits) for net in nets(dataflow)[:-1]) if probe else (),
        inputs=(replace(bench.inputs[0], room=stalls.room if stalls else 0), *bench.inputs[1:]),
    )
    end = int(passages[dataflow.result].taken[-1])
    bench.build(end + (stalls.usual if stalls else 0))
    started = time.perf_counter()
    # What no result needs, as frames that a stride leaves out, passes after the last one.
    linger = max(int(passage.taken[-1]) for passage in passages.values()) - end + 64
    recorded = bench.run(limit=end + int(offers[-1]) + latency + _SPARE, linger=linger)
    seconds = time.perf_counter() - started
    verdict = _verdict(dataflow, pixels, passages, recorded, simulator, seconds)
    return replace(verdict, stalled=stalls.run(bench, linger, recorded)) if stalls else verdict


def _verdict(
    dataflow: Dataflow,
    pixels: np.ndarray,
    passages: dict[Link, Passage],
    recorded: dict[str, Recording],
    simulator: Simulator,
    seconds: float,
) -> Verdict:
    """Of the pass without stalls."""
    result = nets(dataflow)[-1]
    streams = {**recorded, result.name: recorded["m_axis"]}
    found = total(differences(dataflow, pixels, streams))
    words = from_beats(recorded["m_axis"].words, result.stream)
    firsts, ends = recorded["s_axis"].cycles[:: dataflow.pixels.beats], recorded["m_axis"].cycles
    clips = min(len(firsts), len(ends))  # a broken design gives too many results; that is a mismatch already
    return Verdict(
        clips=len(pixels),
        values=found.values,
        mismatches=found.mismatches,
        first_mismatch=found.first,
        predicted=int(latencies(passages, dataflow)[0]),
        measured=tuple((ends[:clips] - firsts[:clips]).tolist()),
        late=_first_late(dataflow, passages, streams),
        logits=words[:, : len(dataflow.classes)],
        simulator=simulator,
        cycles=int(recorded["m_axis"].cycles[-1]),
        seconds=seconds,
    )


def _at_work(dataflow: Dataflow, passages: dict[Link, Passage], clips: int) -> tuple[tuple[int, int], ...]:
    """The first and the last beat of the first clip on each stream: cycles after its first pixel."""
    start = int(pixel_times(passages, dataflow)[0, 0])
    every = [passage.taken - start for passage in passages.values()]
    return tuple(
        (int(taken[0]), int(taken[len(taken) // clips - 1])) for taken in every if len(taken) >= clips
    )


def _bench(
    dataflow: Dataflow,
    rtl: Path,
    pixels: np.ndarray,
    work: Path,
    simulator: Simulator,
    offers: np.ndarray,
    accepts: np.ndarray,
    load: list[int],
) -> Bench:
    result = nets(dataflow)[-1]
    words = to_beats(pixels, dataflow.pixels, PIXELS)
    sources = [Source(name="s_axis", bits=dataflow.pixels.beat_bits, words=words, offers=offers)]
    if load:
        at_once = np.zeros(len(load), dtype=np.int64)
        sources.append(Source(name="s_axis_load", bits=LOAD_BITS, words=load, offers=at_once))
    sink = Sink(name="m_axis", bits=result.bits, beats=len(pixels) * result.stream.beats, accepts=accepts)
    return Bench(
        module=TOP,
        rtl=rtl,
        pins={
            f"{port}_t{pin}": f"{port}_{pin}"
            for port in (*(source.name for source in sources), "m_axis")
            for pin in ("valid", "ready", "data")
        }
        | {"clear": "clear"},
        inputs=tuple(sources),
        outputs=(sink,),
        work=work,
        simulator=simulator,
    )


def _first_late(
    dataflow: Dataflow, passages: dict[Link, Passage], streams: dict[str, Recording]
) -> str | None:
    """Name the stream whose beat misses its cycle first; of several the one nearest to the result."""
    late: list[tuple[int, int, str]] = []  # predicted cycle, place before the result, in words
    for place, (link, passage) in enumerate(passages.items()):
        name = net_name(dataflow, link)
        if name not in streams:
            continue
        measured = streams[name].cycles
        if len(measured) != len(passage.taken):
            return f"{name}: {len(measured)} beats, predicted {len(passage.taken)}"
        for beat in np.flatnonzero(measured != passage.taken)[:1]:
            predicted = int(passage.taken[beat])
            words = f"{name}: beat {beat} passed in cycle {measured[beat]}, predicted {predicted}"
            late.append((predicted, -place, words))
    return min(late)[-1] if late else None
