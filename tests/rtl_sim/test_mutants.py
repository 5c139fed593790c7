# SPDX-License-Identifier: Apache-2.0
"""How many single faults in the RTL `framegate simulate` sees without probes."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from framegate.errors import FramegateError
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.emission.emit import emit
from framegate.hls.folding.fold import fold
from framegate.hls.kernels import Concat, Decide, Fork, Mean
from framegate.hls.schedule.schedule import schedule
from framegate.hls.stream import Stream
from framegate.hls.targets import load_target
from framegate.rtl_sim.bench.simulator import Simulator
from framegate.rtl_sim.decision import compare_decision
from framegate.rtl_sim.images import compare_images
from framegate.rtl_sim.verify import verify

from tests.dataflows import Builder, random_pixels, residual
from tests.rtl_sim.mutants import MUTANTS, QUICK, Mutant


def gathered() -> Dataflow:
    """Two pathways side by side, a depthwise 3-D convolution behind them, pooling and a head; not yet folded."""
    pixels = Stream(frames=4, height=4, width=4, channels=3, bits=8, signed=False, lanes=3)
    net = Builder(pixels, seed=3)
    fork = net.add(Fork(name="pixels_fork", input=net.stream((PIXELS, 0))), (PIXELS, 0))
    slow = net.gather("slow_frames", fork, (0,), stride_t=2)
    slow = net.activation("slow_act", net.conv("slow", slow, 4, 3, 1, 1, bits=6))
    fast = net.gather("fast_gather", (fork[0], 1), (-1, 0, 1), stride_t=2)
    fast = net.activation("fast_act", net.conv("fast", fast, 4, 3, 1, 1, bits=6))
    both = Concat(name="concat", left=net.stream(slow), right=net.stream(fast))
    x = net.gather("depthwise_gather", net.add(both, slow, fast), (-1, 0, 1), depthwise=True)
    x = net.activation("depthwise_act", net.depthwise("depthwise", x, 3, 1, (1, 1, 1, 1), frames=3))
    x = net.pool("pool", x, 2)
    x = net.add(Mean(name="pixels_mean", input=net.stream(x), over="frame"), x)
    x = net.conv("head", x, 3, 1, 1, 0, bits=8)
    x = net.add(Mean(name="frames_mean", input=net.stream(x), over="clip"), x)
    net.add(Decide(name="decide", input=net.stream(x), positive=2), x)
    return net.dataflow(("a", "b", "c"))


TARGET = load_target("ulx3s-85f")
SEED = 1
CLIPS = 3
DESIGNS: dict[str, Callable[[], Dataflow]] = {
    "residual": lambda: fold(residual(frames=2, size=4), TARGET, 50, 500_000),
    "two-rates": lambda: fold(gathered(), TARGET, 50, 500_000),
}


@pytest.fixture(scope="module")
def design(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Dataflow, Path]]:
    """A complete dataflow and its RTL by the name of the design, made once."""

    @cache
    def made(name: str) -> tuple[Dataflow, Path]:
        complete, times = schedule(DESIGNS[name](), 50)
        return complete, emit(complete, times, tmp_path_factory.mktemp(name) / "rtl")

    return made


def seen(mutant: Mutant, dataflow: Dataflow, rtl: Path, work: Path, simulator: Simulator) -> str:
    """What sees the mutant, in words; empty if nothing does."""
    mutant.apply(Path(shutil.copytree(rtl, work / "rtl")))
    if first := compare_images(dataflow, work / "rtl").first:
        return f"images: {first}"
    try:
        verdict = verify(
            dataflow,
            work / "rtl",
            random_pixels(dataflow, CLIPS),
            work / "sim",
            simulator=simulator,
            seed=SEED,
        )
    except FramegateError as stopped:
        return f"stopped: {stopped}"
    if verdict.first_mismatch or not verdict.on_time:
        return f"first pass: {verdict.first_mismatch or verdict.late or verdict.measured}"
    assert verdict.stalled is not None
    if verdict.stalled.mismatches:
        return f"{verdict.stalled.first_mismatch}"
    return (
        compare_decision(dataflow, work / "rtl", work / "decide", simulator=simulator, seed=SEED).first or ""
    )


def test_every_mutant_finds_its_text(design: Callable[[str], tuple[Dataflow, Path]], tmp_path: Path) -> None:
    for number, mutant in enumerate(MUTANTS):
        _, rtl = design(mutant.design)
        mutant.apply(Path(shutil.copytree(rtl, tmp_path / str(number))))


@pytest.mark.parametrize("mutant", QUICK, ids=str)
def test_a_mutant_is_seen(
    mutant: Mutant, design: Callable[[str], tuple[Dataflow, Path]], tmp_path: Path, quick: Simulator
) -> None:
    assert seen(mutant, *design(mutant.design), tmp_path, quick)


@pytest.mark.slow
def test_nine_of_ten_mutants_are_seen(
    design: Callable[[str], tuple[Dataflow, Path]], tmp_path: Path, rapid: Simulator
) -> None:
    """Prints a table; those that change nothing do not count."""
    kinds: dict[str, list[bool]] = {}
    missed = []
    for number, mutant in enumerate(MUTANTS):
        found = seen(mutant, *design(mutant.design), tmp_path / str(number), rapid)
        print(f"{mutant} -> {found or mutant.equal or mutant.seen_by or 'MISSED'}", flush=True)
        if not mutant.equal:
            kinds.setdefault(mutant.kind, []).append(bool(found))
        if not found and not mutant.equal and not mutant.seen_by:
            missed.append(str(mutant))
    for kind, caught in kinds.items():
        print(f"{kind:24} {sum(caught):3} of {len(caught):3}")
    every = [one for caught in kinds.values() for one in caught]
    assert sum(every) >= 0.9 * len(every), missed
    assert not missed, "not seen, and no reason given"
