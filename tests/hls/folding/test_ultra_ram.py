# SPDX-License-Identifier: Apache-2.0
"""UltraRAM: which buffers, weights and thresholds are in it, that nothing else changes, how many synthesis counts."""

from dataclasses import replace
from pathlib import Path

import pytest
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.emission.emit import emit, load_beats
from framegate.hls.flows.utilization import utilization
from framegate.hls.folding.fit import total_cost
from framegate.hls.folding.fold import fold
from framegate.hls.folding.ultra_ram import in_ultra_ram
from framegate.hls.kernels import Buffer, Fifo, Kernel, MatVec, Threshold, Window
from framegate.hls.schedule.schedule import passages_of, schedule
from framegate.hls.targets import load_target
from framegate.rtl_sim.bench.simulator import Simulator
from framegate.rtl_sim.verify import verify

from tests.dataflows import folded_residual, random_pixels, residual
from tests.hls.flows.design import design_of
from tests.kernels.bench import stream
from tests.kernels.test_matvec import CASES as MATVEC
from tests.kernels.test_threshold import CASES as THRESHOLD

BOARD = load_target("kv260")
WIDE = stream(frames=1, height=16, width=160, channels=128, lanes=16)
HALF_A_MINUTE = pytest.mark.slow  # of synthesis or simulation


@pytest.fixture(scope="module")
def complete() -> Dataflow:
    """Large frames of many channels: two FIFOs and a line buffer take some block RAMs each."""
    without = BOARD.model_copy(update={"uram": 0})
    return schedule(fold(residual(frames=2, size=128, widths=(64, 64)), without, 200, 1000), 200)[0]


def test_large_buffers_are_in_it_while_there_are_any(complete: Dataflow) -> None:
    whole = in_ultra_ram(complete, BOARD)
    taken = total_cost(whole).uram
    assert taken > 1
    assert total_cost(whole).bram < total_cost(complete).bram
    for uram in range(0, BOARD.uram, 4):
        assert total_cost(in_ultra_ram(complete, BOARD.model_copy(update={"uram": uram}))).uram <= uram
    assert in_ultra_ram(complete, load_target("zcu102")).kernels == complete.kernels, "it has none"
    assert in_ultra_ram(whole, BOARD).kernels == whole.kernels, "moved once"


def test_only_where_it_is_the_smaller_share(complete: Dataflow) -> None:
    before = {kernel.name: kernel.cost() for kernel in complete.kernels}
    moved = [kernel for kernel in in_ultra_ram(complete, BOARD).kernels if isinstance(kernel, Buffer)]
    for kernel in moved:
        share = before[kernel.name].bram / BOARD.bram
        assert kernel.ultra == (share > kernel.cost().uram / BOARD.uram if kernel.ultra else False)


def test_no_cycle_changes(complete: Dataflow) -> None:
    moved = in_ultra_ram(complete, BOARD)
    for before, after in zip(passages_of(complete, 2).values(), passages_of(moved, 2).values(), strict=True):
        assert (before.taken == after.taken).all()


def test_weights_and_thresholds_are_in_it_where_block_rams_run_out() -> None:
    complete = schedule(folded_residual(), 50)[0]
    in_block = {k.name for k in complete.kernels if isinstance(k, MatVec | Threshold) and k.cost().bram}
    whole = total_cost(complete).bram
    assert len(in_block) > 1
    assert not loaded(in_ultra_ram(complete, BOARD.model_copy(update={"bram": whole})))
    assert len(loaded(in_ultra_ram(complete, BOARD.model_copy(update={"bram": whole - 1})))) == 1
    assert loaded(in_ultra_ram(complete, BOARD.model_copy(update={"bram": 0}))) == in_block
    assert len(loaded(in_ultra_ram(complete, BOARD.model_copy(update={"bram": 0, "uram": 1})))) == 1


def loaded(dataflow: Dataflow) -> set[str]:
    return {kernel.name for kernel in dataflow.kernels if kernel.load()}


@pytest.fixture(scope="module")
def loadable(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataflow, Path]:
    """A design with weights and thresholds in UltraRAM, and its RTL."""
    return loadable_design(folded_residual(), tmp_path_factory.mktemp("loadable"))


def loadable_design(folded: Dataflow, folder: Path) -> tuple[Dataflow, Path]:
    complete, times = schedule(folded, 50)
    moved = in_ultra_ram(complete, BOARD.model_copy(update={"bram": 0}))
    return moved, emit(moved, times, folder / "rtl")


@pytest.mark.parametrize("fast", [pytest.param(False, marks=HALF_A_MINUTE), True])
def test_loaded_weights_give_the_same_integers_in_the_same_cycles(
    loadable: tuple[Dataflow, Path], fast: bool, tmp_path: Path, icarus: Simulator
) -> None:
    dataflow, rtl = loadable
    simulator: Simulator = "fast" if fast else icarus
    pixels = random_pixels(dataflow, 2)
    assert len((rtl / "framegate_load.hex").read_text().split()) == len(load_beats(dataflow)) > 0
    assert sum(sum(kernel.load_words) for kernel in dataflow.kernels) == len(load_beats(dataflow))
    verdict = verify(dataflow, rtl, pixels, tmp_path / "sim", simulator=simulator, probe=True, seed=1)
    assert verdict.first_mismatch is None
    assert verdict.on_time, verdict.late
    assert verdict.bit_exact, verdict.stalled
    assert verdict.stalled is not None
    assert verdict.stalled.full


def test_deep_weights_are_as_late_as_in_banks(tmp_path: Path) -> None:
    slow = fold(residual(frames=1, size=4, widths=(8, 32)), BOARD, 50, 50)
    deep = [kernel for kernel in slow.kernels if isinstance(kernel, MatVec) and is_banked(kernel)]
    dataflow, rtl = loadable_design(slow, tmp_path)
    assert deep
    assert loaded(dataflow) >= {kernel.name for kernel in deep}
    verdict = verify(
        dataflow, rtl, random_pixels(dataflow, 1), tmp_path / "sim", simulator="fast", probe=True
    )
    assert verdict.bit_exact
    assert verdict.on_time, verdict.late


def test_thresholds_on_several_lanes(tmp_path: Path, icarus: Simulator) -> None:
    folded = fold(residual(frames=1, size=4, widths=(128, 8)), BOARD, 50, 200_000)
    dataflow, rtl = loadable_design(folded, tmp_path)
    memories = [len(kernel.load_words) for kernel in dataflow.kernels if isinstance(kernel, Threshold)]
    assert max(memories) > 4, "a memory per lane and search level"
    pixels = random_pixels(dataflow, 1)
    verdict = verify(dataflow, rtl, pixels, tmp_path / "sim", simulator=icarus, probe=True)
    assert verdict.first_mismatch is None
    assert verdict.on_time, verdict.late


def is_banked(kernel: MatVec) -> bool:
    """Whether its weights are deeper than a block RAM."""
    values = kernel.instance().parameters
    return int(values["BANK"]) < int(values["STEPS"]) * int(values["FOLDS"])


def test_pixels_wait_for_the_weights(
    loadable: tuple[Dataflow, Path], tmp_path: Path, icarus: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataflow, rtl = loadable
    monkeypatch.setattr("framegate.rtl_sim.verify.LOADED", -len(load_beats(dataflow)))  # offered at once
    verdict = verify(dataflow, rtl, random_pixels(dataflow, 1), tmp_path / "sim", simulator=icarus)
    assert verdict.bit_exact
    assert verdict.cycles > verdict.predicted + len(load_beats(dataflow))


def test_cleared_frames_leave_the_weights(tmp_path: Path, icarus: Simulator) -> None:
    """In the simulator in which what was not loaded is x; of so few pixels, since it is slow."""
    dataflow, rtl = loadable_design(folded_residual(frames=2, size=4), tmp_path)
    assert loaded(dataflow)
    verdict = verify(dataflow, rtl, random_pixels(dataflow, 1), tmp_path / "sim", simulator=icarus, seed=1)
    assert verdict.bit_exact, verdict.stalled


@pytest.mark.parametrize(
    "kernel",
    [
        pytest.param(replace(MATVEC["banks"], ultra=True), marks=HALF_A_MINUTE),
        replace(THRESHOLD["last-levels-in-block-ram"], ultra=True),
        pytest.param(replace(THRESHOLD["first-level-in-block-ram"], ultra=True), marks=HALF_A_MINUTE),
        pytest.param(Fifo(name="fifo", input=WIDE, depth=5000, ultra=True), marks=HALF_A_MINUTE),
        pytest.param(
            Window(
                name="window",
                input=WIDE,
                kernel=(3, 3),
                stride=(1, 1),
                padding=(1, 1, 1, 1),
                ultra=True,
            ),
            marks=HALF_A_MINUTE,
        ),
    ],
    ids=lambda kernel: kernel.name,
)
def test_synthesis_counts_as_many(kernel: Kernel, tmp_path: Path) -> None:
    design_of(kernel, tmp_path / "rtl")
    found = utilization(tmp_path / "rtl", BOARD, tmp_path / "flow", lambda step: None)
    assert (found.uram, found.bram) == (kernel.cost().uram, 0)
