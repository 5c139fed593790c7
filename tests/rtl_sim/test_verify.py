# SPDX-License-Identifier: Apache-2.0
"""The whole design against reference and prediction, and the red verdict of each deliberate break."""

import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.dataflow.endless import endless
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.emission.emit import emit
from framegate.hls.folding.fold import fold
from framegate.hls.kernels import Decide, Fifo, Mean, Threshold, Width
from framegate.hls.schedule.schedule import Schedule, schedule
from framegate.hls.stream import Stream
from framegate.hls.targets import load_target
from framegate.rtl_sim import reference
from framegate.rtl_sim.bench.simulator import Simulator
from framegate.rtl_sim.verify import Verdict, verify

from tests.dataflows import Builder, folded, folded_residual, random_pixels, residual, separable, two_rates

FIFOS = ("stage1_shift_fifo", "stage1_conv1_window_fifo", "stage1_add_right_fifo")
PLACE = r"clip \d+, frame \d+, pixel \(\d+, \d+\), channel \d+: -?\d+, expected -?\d+"


@dataclass(frozen=True)
class Design:
    """A complete dataflow and the folder it was emitted to."""

    dataflow: Dataflow
    times: Schedule
    rtl: Path

    def copy(self, target: Path) -> Path:
        """The RTL once more, to be spoiled."""
        return Path(shutil.copytree(self.rtl, target))


def design(network: Dataflow, work: Path) -> Design:
    complete, times = schedule(network, 50)
    return Design(complete, times, emit(complete, times, work / "rtl"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Design:
    """The residual network of tests.dataflows at a middling rate."""
    return design(folded_residual(), tmp_path_factory.mktemp("tiny"))


def expect_green(verdict: Verdict, made: Design, clips: int) -> None:
    assert (verdict.mismatches, verdict.first_mismatch) == (0, None)
    assert verdict.bit_exact
    assert verdict.late is None
    assert verdict.on_time
    latency = made.times.latency_cycles
    assert verdict.latency_cycles() == {"predicted": latency, "measured": latency, "jitter": 0}
    assert verdict.clips == len(verdict.measured) == clips


def values_of_all_streams(dataflow: Dataflow, clips: int) -> int:
    streams = [dataflow.pixels, *(stream for kernel in dataflow.kernels for stream in kernel.outputs)]
    return clips * sum(stream.beats * stream.lanes for stream in streams)


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_every_value_and_every_cycle_of_every_stream(
    simulator: Simulator, tiny: Design, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if simulator == "icarus":
        request.getfixturevalue("icarus")
    pixels = random_pixels(tiny.dataflow, 3)
    verdict = verify(tiny.dataflow, tiny.rtl, pixels, tmp_path, simulator=simulator, probe=True)
    expect_green(verdict, tiny, clips=3)
    assert verdict.values == values_of_all_streams(tiny.dataflow, 3)
    assert verdict.simulator == simulator
    assert verdict.cycles > verdict.predicted
    assert np.array_equal(verdict.logits, reference.logits(tiny.dataflow, pixels))


def test_without_probes_only_the_results_are_compared(tiny: Design, tmp_path: Path, quick: Simulator) -> None:
    verdict = verify(tiny.dataflow, tiny.rtl, random_pixels(tiny.dataflow, 2), tmp_path, simulator=quick)
    expect_green(verdict, tiny, clips=2)
    assert verdict.values == 2 * 4  # three logits and the decision


@pytest.mark.parametrize(
    "name",
    [
        "separable-fast", "two-rates-uneven", "endless-two-rates",
        *(pytest.param(name, marks=pytest.mark.slow)
          for name in ("online", "slow", "two-stages", "odd-size", "separable", "two-rates", "two-rates-fast",
                       "endless")),
    ],
)  # fmt: skip
def test_other_networks(name: str, tmp_path: Path, rapid: Simulator) -> None:
    target = load_target("ulx3s-85f")
    networks = {
        "online": lambda: fold(residual(online=True), target, 50, 100_000),
        "two-stages": lambda: fold(residual(size=16, widths=(8, 8, 16), frames=2), target, 50, 20_000),
        "odd-size": lambda: fold(residual(size=11, frames=2), target, 50),
        "slow": lambda: fold(residual(frames=1), target, 50, 10_000),
        "separable": lambda: fold(separable(), target, 50, 10_000),
        "separable-fast": lambda: fold(separable(size=16), target, 50, 40_000),
        "two-rates": lambda: fold(two_rates(), target, 50, 10_000),
        "two-rates-fast": lambda: fold(two_rates(), target, 50, 100_000),
        "two-rates-uneven": lambda: fold(two_rates(frames=7, ratio=3), target, 50, 20_000),
        "endless": lambda: fold(endless(residual(online=True)), target, 50, 50_000),
        "endless-two-rates": lambda: fold(endless(two_rates(ratio=2, causal=True)), target, 50, 20_000),
    }
    made = design(networks[name](), tmp_path)
    pixels = random_pixels(made.dataflow, 3)
    verdict = verify(made.dataflow, made.rtl, pixels, tmp_path / "sim", simulator=rapid, probe=True)
    expect_green(verdict, made, clips=3)


@pytest.mark.parametrize("probe", [False, True], ids=["result", "every-stream"])
def test_stalls_and_a_cut_clip_change_no_value(
    probe: bool, tiny: Design, tmp_path: Path, rapid: Simulator
) -> None:
    pixels = random_pixels(tiny.dataflow, 2)
    verdict = verify(tiny.dataflow, tiny.rtl, pixels, tmp_path, simulator=rapid, probe=probe, seed=7)
    expect_green(verdict, tiny, clips=2)
    found = verdict.stalled
    assert found is not None
    assert (found.mismatches, found.first_mismatch, found.seed) == (0, None, 7)
    assert found.full
    assert found.longest_wait > tiny.times.initiation_interval
    beats = tiny.dataflow.pixels.beats
    assert beats // 2 <= found.cut_after[0] < beats
    assert len(set(found.cut_after)) > 2
    if not probe:
        assert found.values >= 4 * (found.clips + 5) > 2 * 4  # one behind each of five other cuts
        assert found.streams_stalled is None
        return
    assert found.values > values_of_all_streams(tiny.dataflow, found.clips)
    assert found.streams_stalled is not None
    stalled, streams = found.streams_stalled
    assert stalled > streams // 2


def test_a_stream_that_is_cut_begins_anew(tmp_path: Path, quick: Simulator) -> None:
    network = endless(residual(online=True, frames=2, size=4))
    made = design(fold(network, load_target("ulx3s-85f"), 50, 500_000), tmp_path)
    frames = random_pixels(made.dataflow, 4)
    verdict = verify(made.dataflow, made.rtl, frames, tmp_path / "sim", simulator=quick, seed=3)
    assert verdict.bit_exact, verdict.stalled
    unconnected = made.copy(tmp_path / "unconnected")
    top = unconnected / "framegate.sv"
    top.write_text(top.read_text().replace("rst || clear;", "rst;"))
    spoiled = verify(made.dataflow, unconnected, frames, tmp_path / "spoiled", simulator=quick, seed=3)
    assert spoiled.mismatches == 0
    assert not spoiled.bit_exact
    assert spoiled.stalled is not None
    assert re.match(
        r"stalled, seed 3: after `clear` \d+ cycles behind beat \d+: decide: clip \d",
        str(spoiled.stalled.first_mismatch),
    )


def test_lanes_that_do_not_divide_each_other(tmp_path: Path, icarus: Simulator) -> None:
    net = Builder(Stream(frames=2, height=4, width=5, channels=3, bits=8, signed=False, lanes=3), seed=0)
    x = net.activation("first_act", net.conv("first", (PIXELS, 0), 6, 3, 1, 1))
    x = net.activation("second_act", net.conv("second", x, 4, 3, 2, 1))
    x = net.add(Mean(name="pool", input=net.stream(x), over="frame"), x)
    x = net.add(Mean(name="segments", input=net.stream(x), over="clip"), x)
    net.add(Decide(name="decide", input=net.stream(x)), x)
    made = design(folded(net.dataflow(tuple("abcd")), first=(3, 1), second=(2, 2)), tmp_path)
    assert [kernel.lanes for kernel in made.dataflow.kernels if isinstance(kernel, Width)] == [1, 1, 2]
    pixels = random_pixels(made.dataflow, 3)
    verdict = verify(made.dataflow, made.rtl, pixels, tmp_path / "sim", simulator=icarus, probe=True)
    expect_green(verdict, made, clips=3)


def source_pauses(beats: int, kind: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    gaps = {
        "none": np.zeros(beats),
        "short": rng.integers(0, 20, beats),
        "bursts": np.where(np.arange(beats) % 23 == 0, rng.integers(0, 800, beats), 0),
        "one-long": np.where(np.arange(beats) == beats // 2, 5000, 0),
    }
    return np.cumsum(gaps[kind]).astype(np.int64)


@pytest.mark.parametrize(
    ("offer", "accept"),
    [
        ("short", "always"),
        ("bursts", "always"),
        ("one-long", "always"),
        ("none", "rarely"),
        ("bursts", "rarely"),
    ],
)
def test_pauses_of_source_and_sink_change_no_value_and_block_nothing(
    offer: str, accept: str, tiny: Design, tmp_path: Path, rapid: Simulator
) -> None:
    pixels = random_pixels(tiny.dataflow, 3)
    accepts = np.arange(256) == 200 if accept == "rarely" else np.ones(1, dtype=bool)
    offers = source_pauses(pixels.size // 3, offer)
    verdict = verify(
        tiny.dataflow, tiny.rtl, pixels, tmp_path, simulator=rapid, probe=True, offers=offers, accepts=accepts
    )
    assert (verdict.mismatches, verdict.first_mismatch) == (0, None)
    assert verdict.values == values_of_all_streams(tiny.dataflow, 3)
    assert min(verdict.measured) >= tiny.times.latency_cycles
    assert set(verdict.measured) != {tiny.times.latency_cycles}, "there was no pause"
    assert (verdict.late is None) == (accept == "always"), "a slow source is predicted, a slow sink is not"


@pytest.mark.parametrize("kernel", ["stem", "stage1_conv2", "head"])
def test_a_flipped_weight_bit_is_named(kernel: str, tiny: Design, tmp_path: Path, rapid: Simulator) -> None:
    rtl = tiny.copy(tmp_path / "rtl")
    image = rtl / f"framegate_{kernel}_weights0.hex"
    words = image.read_text().split()
    words[0] = f"{int(words[0], 16) ^ 1:0{len(words[0])}x}"
    image.write_text("\n".join(words) + "\n")
    pixels = random_pixels(tiny.dataflow, 3)
    verdict = verify(tiny.dataflow, rtl, pixels, tmp_path / "sim", simulator=rapid, probe=True)
    assert not verdict.bit_exact
    assert re.fullmatch(f"{kernel}: {PLACE}", str(verdict.first_mismatch))
    assert verdict.on_time  # cycles do not depend on values


def test_a_flipped_weight_bit_is_seen_at_the_result_too(
    tiny: Design, tmp_path: Path, quick: Simulator
) -> None:
    rtl = tiny.copy(tmp_path / "rtl")
    image = rtl / "framegate_head_weights0.hex"
    words = image.read_text().split()
    image.write_text("\n".join([f"{int(words[0], 16) ^ 1:0{len(words[0])}x}", *words[1:]]) + "\n")
    verdict = verify(tiny.dataflow, rtl, random_pixels(tiny.dataflow, 2), tmp_path / "sim", simulator=quick)
    assert re.fullmatch(f"decide: {PLACE}", str(verdict.first_mismatch))


def test_a_changed_threshold_of_the_reference_is_named(
    tiny: Design, tmp_path: Path, rapid: Simulator
) -> None:
    pixels = random_pixels(tiny.dataflow, 3)
    sums = dict(reference.outputs(tiny.dataflow, pixels))["stem"]
    act = tiny.dataflow.kernel("stem_act")
    assert isinstance(act, Threshold)
    channel, reached = 3, int(np.median(sums[..., 3]))
    spoiled = act.thresholds.copy()
    step = int(np.searchsorted(spoiled[channel], reached))
    spoiled[channel, min(step, 14)] = (
        reached + 1 if step < 15 and spoiled[channel, step] <= reached else reached
    )
    spoiled.sort(axis=1)
    assert not np.array_equal(spoiled, act.thresholds)
    kernels = [
        replace(act, thresholds=spoiled) if kernel is act else kernel for kernel in tiny.dataflow.kernels
    ]
    changed = replace(tiny.dataflow, kernels=tuple(kernels))
    verdict = verify(changed, tiny.rtl, pixels, tmp_path, simulator=rapid, probe=True)
    assert not verdict.bit_exact
    assert re.fullmatch(rf"stem_act: {PLACE}", str(verdict.first_mismatch))
    assert "channel 3" in str(verdict.first_mismatch)


@pytest.mark.parametrize("name", FIFOS)
def test_a_fifo_one_beat_too_shallow_is_late(
    name: str, tiny: Design, tmp_path: Path, quick: Simulator
) -> None:
    """No depth is larger than it must be: each beat of room is seen in the cycles."""
    fifo = tiny.dataflow.kernel(name)
    assert isinstance(fifo, Fifo)
    shallow = [replace(fifo, depth=fifo.depth - 1) if k is fifo else k for k in tiny.dataflow.kernels]
    rtl = emit(replace(tiny.dataflow, kernels=tuple(shallow)), tiny.times, tmp_path / "rtl")
    pixels = random_pixels(tiny.dataflow, 2)
    verdict = verify(tiny.dataflow, rtl, pixels, tmp_path / "sim", simulator=quick, probe=True)
    assert verdict.bit_exact
    assert not verdict.on_time
    late = re.fullmatch(r"(\w+): beat (\d+) passed in cycle (\d+), predicted (\d+)", str(verdict.late))
    assert late is not None, verdict.late
    stream, _, measured, predicted = late.groups()
    assert int(measured) > int(predicted)
    assert stream == tiny.dataflow.links_into(name)[0].producer  # the stream that found no room


def test_every_fifo_is_tried(tiny: Design) -> None:
    assert tuple(fifo.name for fifo in tiny.times.fifos) == FIFOS
    assert all(fifo.depth > 1 for fifo in tiny.times.fifos)


@pytest.mark.parametrize("shape", [(0, 3, 8, 8, 3), (1, 2, 8, 8, 3), (1, 3, 8, 9, 3), (3, 8, 8, 3)])
def test_clips_of_another_shape_are_refused(shape: tuple[int, ...], tiny: Design, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError,
        match=rf"^clips of shape {re.escape(str(shape))} do not fit hand-made, "
        r"which takes \(3, 8, 8, 3\) each; sample and resize them with the model's own configuration$",
    ):
        verify(tiny.dataflow, tiny.rtl, np.zeros(shape, dtype=np.uint8), tmp_path)
