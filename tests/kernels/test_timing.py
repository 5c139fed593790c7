# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of cycles, event by event; and what holds for the times of every kernel, whatever it does."""

from collections.abc import Iterator

import numpy as np
import pytest
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.folding.fold import fold
from framegate.hls.kernels import Bursts, Fifo, Kernel, Pace, Skid, each_beat, hardware
from framegate.hls.kernels._timing import every, serial, taken_at_once
from framegate.hls.schedule.schedule import schedule
from framegate.hls.targets import load_target
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIXED_SEED
from tests.dataflows import residual, separable, two_rates

TIMES = st.lists(st.integers(0, 60), min_size=1, max_size=30)


@settings(FIXED_SEED, max_examples=80)
@given(earliest=TIMES, gap=st.integers(1, 5))
def test_events_in_order_one_after_the_other(earliest: list[int], gap: int) -> None:
    times: list[int] = []
    for earliest_time in earliest:
        times.append(max([earliest_time, *(time + gap for time in times[-1:])]))
    assert serial(np.array(earliest), gap).tolist() == times


@st.composite
def bursts(draw: st.DrawFn) -> Bursts:
    """Bursts of one length, each after the one before."""
    length = draw(st.integers(1, 6))
    pauses = draw(st.lists(st.integers(0, 9), min_size=1, max_size=6))
    return Bursts(np.cumsum(np.array(pauses) + length), length)


@settings(FIXED_SEED, max_examples=80)
@given(bursts())
def test_bursts_are_short_for_their_beats(short: Bursts) -> None:
    plain = each_beat(short)
    assert len(plain) == len(short)
    assert plain.tolist() == [start + beat for start in short.starts for beat in range(short.length)]
    assert each_beat(plain) is plain
    assert np.array_equal(each_beat(taken_at_once(short)), taken_at_once(plain)), "no two beats at a time"
    for count in (count for count in range(1, short.length + 1) if short.length % count == 0):
        assert (
            every(short, count).tolist() == every(plain, count).tolist() == plain.tolist()[count - 1 :: count]
        )


def stepped(arrivals: list[int], depth: int) -> tuple[list[int], list[int]]:
    """A FIFO cycle by cycle: beats that wait before it, beats in it, and when each came in and left."""
    waiting, inside = list(range(len(arrivals))), list[int]()
    came, left = dict[int, int](), dict[int, int]()
    for cycle in range(2000):
        room = len(inside) < depth
        if inside and cycle >= came[inside[0]] + Fifo.LATENCY:
            left[inside[0]] = cycle
            inside.pop(0)  # its room is free in the next cycle
        if waiting and room and arrivals[waiting[0]] <= cycle:
            came[waiting[0]] = cycle
            inside.append(waiting.pop(0))
    return [came[beat] for beat in range(len(arrivals))], [left[beat] for beat in range(len(arrivals))]


@settings(FIXED_SEED, max_examples=60)
@given(pauses=st.lists(st.integers(0, 4), min_size=1, max_size=25), depth=st.integers(1, 8))
def test_a_fifo_cycle_by_cycle(pauses: list[int], depth: int) -> None:
    arrivals = np.cumsum(pauses)
    stream = residual().pixels
    timing = Fifo(name="fifo", input=stream, depth=depth).timing(arrivals)
    came, left = stepped(arrivals.tolist(), depth)
    assert each_beat(timing.taken[0]).tolist() == came
    assert each_beat(timing.appears).tolist() == left


def designs() -> Iterator[Dataflow]:
    """Complete designs that together have nearly every kind of kernel."""
    target = load_target("ulx3s-85f")
    for made in (residual(), separable(), two_rates()):
        yield schedule(fold(made, target, 50, 30_000), 50)[0]


KERNELS = [kernel for design in designs() for kernel in design.kernels]
OF_EACH = list({(type(kernel), len(kernel.outputs)): kernel for kernel in KERNELS}.values())
CLIPS = 3


def arrivals_of(kernel: Kernel, seed: int, slack: int) -> list[np.ndarray]:
    """Offers of each input for some clips, at random distances."""
    rng = np.random.default_rng(seed)
    return [np.cumsum(rng.integers(1, slack + 2, CLIPS * stream.beats)) for stream in kernel.inputs]


def ids(kernel: Kernel) -> str:
    return f"{type(kernel).__name__} {kernel.name}"


def test_nearly_every_kind_is_here() -> None:
    assert len({type(kernel).__name__ for kernel in OF_EACH}) >= 14


@pytest.mark.parametrize("slack", [0, 3])
@pytest.mark.parametrize("kernel", OF_EACH, ids=ids)
def test_a_beat_is_taken_once_it_is_offered_one_after_the_other(kernel: Kernel, slack: int) -> None:
    offers = arrivals_of(kernel, 1, slack)
    timing = kernel.timing(*offers)
    assert len(timing.taken) == len(kernel.inputs)
    for offered, taken in zip(offers, map(each_beat, timing.taken), strict=True):
        assert (taken >= offered).all()
        assert (np.diff(taken) >= 1).all(), "one beat a cycle"
    sent = each_beat(timing.appears)
    assert len(sent) == CLIPS * kernel.outputs[0].beats
    assert (np.diff(sent) >= 1).all()
    assert sent[0] >= min(each_beat(taken)[0] for taken in timing.taken)


@pytest.mark.parametrize("kernel", [kernel for kernel in OF_EACH if not isinstance(kernel, Pace)], ids=ids)
def test_times_have_no_origin_and_no_future(kernel: Kernel) -> None:
    """All cycles move with the offers; what comes after a clip changes nothing in it; later offers hurry nothing."""
    offers = arrivals_of(kernel, 2, 2)
    first = kernel.timing(*offers)
    moved = kernel.timing(*(offered + 1000 for offered in offers))
    assert np.array_equal(each_beat(moved.appears), each_beat(first.appears) + 1000)
    for taken, later in zip(first.taken, moved.taken, strict=True):
        assert np.array_equal(each_beat(later), each_beat(taken) + 1000)
    parts = [offered[: stream.beats] for offered, stream in zip(offers, kernel.inputs, strict=True)]
    alone = each_beat(kernel.timing(*parts).appears)
    together = each_beat(first.appears)[: len(alone)]
    # Of a clip alone the last beats need no room for those of the next one.
    assert (alone <= together).all()
    rng = np.random.default_rng(3)
    late = [offered + np.cumsum(rng.integers(0, 2, len(offered))) for offered in offers]
    assert (each_beat(kernel.timing(*late).appears) >= each_beat(first.appears)).all()


@pytest.mark.parametrize("kernel", OF_EACH, ids=ids)
def test_no_kernel_is_faster_than_it_says(kernel: Kernel) -> None:
    """A clip takes `cycles_per_clip`, whatever waits before it."""
    offers = [np.zeros(6 * stream.beats, dtype=np.int64) for stream in kernel.inputs]
    sent = each_beat(kernel.timing(*offers).appears).reshape(6, -1)
    period = sent[-1, -1] - sent[-2, -1]
    assert period >= kernel.cycles_per_clip * (not isinstance(kernel, Skid | Fifo))


@pytest.mark.parametrize("kernel", OF_EACH, ids=ids)
def test_clips_are_computed_each_by_itself(kernel: Kernel) -> None:
    rng = np.random.default_rng(4)
    inputs = [rng.integers(stream.low, stream.high + 1, (CLIPS, *stream.shape)) for stream in kernel.inputs]
    together = kernel.reference(*inputs)
    sent = kernel.outputs[0]
    assert together.shape == (CLIPS, *sent.shape)
    assert sent.low <= together.min()
    assert together.max() <= sent.high
    for clip in range(CLIPS):
        alone = kernel.reference(*(values[clip : clip + 1] for values in inputs))
        assert np.array_equal(alone[0], together[clip])


@pytest.mark.parametrize("kernel", OF_EACH, ids=ids)
def test_a_kernel_for_its_own_streams_is_itself(kernel: Kernel) -> None:
    same = kernel.taking(*kernel.inputs)
    assert (same.inputs, same.outputs) == (kernel.inputs, kernel.outputs)
    assert same.cost() == kernel.cost()
    one, other = same.instance(), kernel.instance()
    assert (one.module, one.parameters) == (other.module, other.parameters)
    assert [memory.words for memory in one.memories] == [memory.words for memory in other.memories]
    assert len(kernel.ports) == len(kernel.inputs) + len(kernel.outputs)
    assert f"{one.module}.sv" in [file.name for file in hardware(kernel)]
    assert min(vars(kernel.cost()).values()) >= 0
