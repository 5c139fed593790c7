# SPDX-License-Identifier: Apache-2.0
"""One kernel between sources and sinks: values at any pace, cycles wherever the sink never stalls."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from framegate.hls.emission.emit import file_name, image, image_parameters, load_pins
from framegate.hls.kernels import Kernel, Timing, each_beat, hardware
from framegate.hls.stream import Stream, to_beats
from framegate.rtl_sim.bench.simulator import ALWAYS, Bench, Recording, Simulator, Sink, Source, engine
from framegate.rtl_sim.compare import compare_words

CLIPS = 5  # two without a pause, one with short pauses, one in bursts, one more without a pause
_LIMIT = 200_000  # cycles
in_whole_networks_too = (
    pytest.mark.slow
)  # every kernel runs in Verilator there, every beat compared: test_zoo.py


def stream(**changes: int | bool) -> Stream:
    """Two frames of 4 x 5 pixels with four unsigned 4-bit channels on two lanes, changed as told."""
    usual = Stream(frames=2, height=4, width=5, channels=4, bits=4, signed=False, lanes=2)
    return replace(usual, **changes)


def each(cases: Mapping[str, Kernel]) -> pytest.MarkDecorator:
    """Parametrize a test over named kernels."""
    return pytest.mark.parametrize("kernel", list(cases.values()), ids=list(cases))


def random_clips(stream: Stream, clips: int, seed: int) -> np.ndarray:
    """Integers (clips, T, H, W, C) over the stream's whole range; smallest and largest value do occur."""
    shape = (clips, *stream.shape)
    values = np.random.default_rng(seed).integers(stream.low, stream.high + 1, size=shape, dtype=np.int32)
    values.reshape(-1)[0], values.reshape(-1)[-1] = stream.low, stream.high
    return values


def check_kernel(
    kernel: Kernel,
    work: Path,
    *,
    simulator: Simulator,
    seed: int = 0,
    values: Sequence[np.ndarray] | None = None,
) -> None:
    """Build once; every beat must pass in its cycle while sources pause; then the sinks pause as well.

    `values`: CLIPS clips per input, by default random ones.
    """
    rng = np.random.default_rng(seed)
    values = values or [random_clips(taken, CLIPS, seed + slot) for slot, taken in enumerate(kernel.inputs)]
    offers = [_offers(taken, rng) for taken in kernel.inputs]
    expected = kernel.reference(*values)

    bench = _bench(kernel, work, values, offers, simulator)
    bench.build()
    sinks = tuple(replace(sink, accepts=_pauses(rng)) for sink in bench.outputs)
    runs = (bench, replace(bench, outputs=sinks))
    steady, paused = bench.run_each(runs, _LIMIT, _linger(kernel.timing(*offers)))
    with told_seed(bench):
        _expect_values(kernel, expected, steady)
        _expect_cycles(kernel, offers, steady)
        _expect_values(kernel, expected, paused)


def _linger(times: Timing) -> int:
    """Cycles to go on behind the last output: beats that none needs, as of frames left out, are taken after it."""
    last = max(int(each_beat(taken)[-1]) for taken in times.taken)
    return max(0, last - int(each_beat(times.appears)[-1])) + 64


@contextmanager
def told_seed(bench: Bench) -> Iterator[None]:
    """What fails inside says how to start Verilator from the same state again."""
    try:
        yield
    except AssertionError as wrong:
        if engine(bench.simulator) != "icarus":
            wrong.args = (
                f"{wrong}; FRAMEGATE_SEED={(bench.work / 'seed.txt').read_text().strip()} repeats it",
            )
        raise


def _offers(taken: Stream, rng: np.random.Generator) -> np.ndarray:
    """Cycles from which the beats of CLIPS clips are offered."""
    beats = taken.beats
    none = np.zeros(beats, dtype=np.int64)
    short = rng.integers(0, 3, beats)
    bursts = np.where(np.arange(beats) % 7 == 0, rng.integers(0, 60, beats), 0)
    return np.cumsum(np.concatenate([none, none, short, bursts, none]))


def _pauses(rng: np.random.Generator) -> np.ndarray:
    """A sink's pattern of 256 cycles: mostly ready, every other cycle, long stalls, always ready."""
    stalls = np.repeat([False, True, False, True], [40, 3, 29, 12])
    return np.concatenate(
        [rng.random(76) < 0.7, np.resize([True, False], 40), stalls, np.ones(56, dtype=bool)]
    )


def _expect_values(kernel: Kernel, expected: np.ndarray, recorded: Mapping[str, Recording]) -> None:
    for port, driven in zip(kernel.ports[len(kernel.inputs) :], kernel.outputs, strict=True):
        difference = compare_words(port, expected, recorded[port].words, driven)
        assert difference.mismatches == 0, difference.first


def _expect_cycles(kernel: Kernel, offers: list[np.ndarray], recorded: Mapping[str, Recording]) -> None:
    times = kernel.timing(*offers)
    for port, predicted in zip(
        kernel.ports, (*times.taken, *[times.appears] * len(kernel.outputs)), strict=True
    ):
        measured, predicted = recorded[port].cycles, each_beat(predicted)
        assert len(measured) == len(predicted), f"{port}: {len(measured)} beats, predicted {len(predicted)}"
        wrong = np.flatnonzero(measured != predicted)
        assert not len(wrong), (
            f"{port} beat {wrong[0]}: cycle {measured[wrong[0]]}, predicted {predicted[wrong[0]]}"
        )


def _bench(
    kernel: Kernel,
    work: Path,
    values: Sequence[np.ndarray],
    offers: Sequence[np.ndarray],
    simulator: Simulator,
) -> Bench:
    instance, rtl = kernel.instance(), work / "rtl"
    rtl.mkdir()
    for source in hardware(kernel):
        shutil.copy(source, rtl)
    images = image_parameters(instance.memories, "")
    for memory in instance.memories:
        (rtl / file_name(memory)).write_text(image(memory))
    taken, driven = kernel.ports[: len(values)], kernel.ports[len(values) :]
    return Bench(
        module=instance.module,
        rtl=rtl,
        pins={f"{port}_{pin}": f"{port}_{pin}" for port in kernel.ports for pin in ("valid", "ready", "data")}
        | (load_pins() if kernel.LOADABLE else {}),
        inputs=tuple(
            Source(name=port, bits=carried.beat_bits, words=to_beats(value, carried), offers=offer)
            for port, carried, value, offer in zip(taken, kernel.inputs, values, offers, strict=True)
        ),
        outputs=tuple(
            Sink(name=port, bits=carried.beat_bits, beats=CLIPS * carried.beats, accepts=ALWAYS)
            for port, carried in zip(driven, kernel.outputs, strict=True)
        ),
        work=work,
        parameters={**instance.parameters, **images},
        simulator=simulator,
    )
