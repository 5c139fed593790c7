# SPDX-License-Identifier: Apache-2.0
"""The emitted folder: a top that a person has read, memories with the parameters, all of it or nothing."""

from pathlib import Path

import numpy as np
import pytest
from framegate.hls import emit as emission
from framegate.hls.dataflow import Dataflow, Link
from framegate.hls.emit import emit, hardware, image, image_name, image_parameters, net_name, nets, render_top
from framegate.hls.kernels import MatVec, Memory, Threshold
from framegate.hls.schedule import Schedule, schedule

from tests.dataflows import folded_residual

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def design() -> tuple[Dataflow, Schedule]:
    return schedule(folded_residual(), 50)


def test_the_top_is_the_reviewed_one(design: tuple[Dataflow, Schedule], regold: bool) -> None:
    golden, text = GOLDEN / "residual.sv", render_top(*design)
    if regold:  # pytest --regold, then read the git diff before you commit it
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


def test_the_folder_holds_what_the_top_needs_and_nothing_else(
    design: tuple[Dataflow, Schedule], tmp_path: Path
) -> None:
    complete, _ = design
    target = emit(*design, tmp_path / "rtl")
    modules = {path.name for kernel in complete.kernels for path in hardware(kernel)}
    images = {
        image_name(kernel, memory) for kernel in complete.kernels for memory in kernel.instance().memories
    }
    assert {path.name for path in target.iterdir()} == {"framegate.sv", *modules, *images}
    top = (target / "framegate.sv").read_text()
    for kernel in complete.kernels:
        named = image_parameters(kernel.instance().memories, f"framegate_{kernel.name}_")
        assert all(f".{parameter}({value})" in top for parameter, value in named.items())


def test_weights_are_in_the_images(design: tuple[Dataflow, Schedule], tmp_path: Path) -> None:
    target = emit(*design, tmp_path / "rtl")
    for kernel in design[0].kernels:
        if not isinstance(kernel, MatVec):
            continue
        banks = sorted(target.glob(f"framegate_{kernel.name}_weights?.hex"))
        words = [int(word, 16) for bank in banks for word in bank.read_text().split()]
        pe, simd, bits = kernel.pe, kernel.simd, kernel.weight_bits
        steps = kernel.weights.shape[1] // simd
        assert len(words) == kernel.weights.size // (pe * simd)
        for row, column in np.ndindex(*kernel.weights.shape):
            word = words[row // pe * steps + column // simd]
            field = word >> (((row % pe) * simd + column % simd) * bits) & ((1 << bits) - 1)
            first = row - row % pe % kernel.rows_at_once
            borrowed = 0  # by the rows below that share its multiplier, when those are negative together
            for below in range(first, row):
                borrowed = int(kernel.weights[below, column] < borrowed)
            assert field == (kernel.weights[row, column] - borrowed) & ((1 << bits) - 1)


def test_thresholds_are_in_the_images(design: tuple[Dataflow, Schedule], tmp_path: Path) -> None:
    target = emit(*design, tmp_path / "rtl")
    kernel = design[0].kernel("stem_act")
    assert isinstance(kernel, Threshold)
    lanes, width = kernel.input.lanes, kernel.input.bits + 1
    found = np.empty((kernel.input.channels, (1 << kernel.bits) - 1), dtype=int)
    for level in range(kernel.bits):
        words = [
            int(word, 16) for word in (target / f"framegate_stem_act_level{level}.hex").read_text().split()
        ]
        assert len(words) == kernel.input.beats_per_pixel << level
        for channel, prefix in np.ndindex(kernel.input.channels, 1 << level):
            word = words[(channel // lanes << level) + prefix]
            field = word >> (channel % lanes * width) & ((1 << width) - 1)
            half = 1 << (kernel.bits - 1 - level)
            found[channel, (2 * prefix + 1) * half - 1] = field - (field >> (width - 1) << width)
    assert np.array_equal(found, np.clip(kernel.thresholds, kernel.input.low, kernel.input.high + 1))


def test_an_image_has_one_word_of_full_width_per_line() -> None:
    assert image(Memory("weights", [0, 10, 511], 9)) == "000\n00a\n1ff\n"
    assert image(Memory("weights", [1, 15], 4)) == "1\nf\n"


def test_streams_are_called_after_their_producers(design: tuple[Dataflow, Schedule]) -> None:
    complete, _ = design
    names = [net.name for net in nets(complete)]
    assert names[:2] == ["pixels", "pace"]
    assert len(set(names)) == len(names)
    assert net_name(complete, Link("stage1_fork", 1, "", 0)) == "stage1_fork_right"
    assert net_name(complete, Link("stage1_add", 0, "", 0)) == "stage1_add"


def test_a_broken_emission_leaves_the_old_folder(
    design: tuple[Dataflow, Schedule], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "rtl"
    target.mkdir()
    (target / "old.txt").write_text("old")
    written = []

    def interrupted(memory: Memory) -> str:
        written.append(memory.suffix)
        if len(written) == 3:
            raise KeyboardInterrupt
        return ""

    monkeypatch.setattr(emission, "image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        emit(*design, target)
    assert [path.name for path in tmp_path.iterdir()] == ["rtl"]
    assert [path.name for path in target.iterdir()] == ["old.txt"]


def test_emission_replaces_the_old_folder(design: tuple[Dataflow, Schedule], tmp_path: Path) -> None:
    target = tmp_path / "rtl"
    target.mkdir()
    (target / "old.txt").write_text("old")
    emit(*design, target)
    assert not (target / "old.txt").exists()
    assert (target / "framegate.sv").is_file()
