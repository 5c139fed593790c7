# SPDX-License-Identifier: Apache-2.0
"""Memory images against the dataflow: a difference is named by file, memory, word and value."""

from pathlib import Path

import pytest
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.emission.emit import emit
from framegate.hls.folding.ultra_ram import in_ultra_ram
from framegate.hls.schedule.schedule import schedule
from framegate.hls.targets import load_target
from framegate.rtl_sim.images import compare_images

from tests.dataflows import folded_residual

COMPLETE, TIMES = schedule(folded_residual(), 50)
BOARD = load_target("zcu102")
LOADED = in_ultra_ram(COMPLETE, BOARD.model_copy(update={"bram": 0}))


@pytest.mark.parametrize("dataflow", [COMPLETE, LOADED], ids=["in-images", "loaded"])
def test_what_compile_wrote_is_equal(dataflow: Dataflow, tmp_path: Path) -> None:
    rtl = emit(dataflow, TIMES, tmp_path / "rtl")
    found = compare_images(dataflow, rtl)
    assert (found.mismatches, found.first) == (0, None)
    assert found.values == sum(len(image.read_text().split()) for image in rtl.glob("*.hex"))


@pytest.mark.parametrize(
    ("word", "seen"), [("7f", "7f"), ("zz", "zz"), ("0000", "0000")], ids=["other", "no-number", "zero"]
)
def test_any_word_of_any_image_is_named(word: str, seen: str, tmp_path: Path) -> None:
    rtl = emit(COMPLETE, TIMES, tmp_path / "rtl")
    images = sorted(rtl.glob("*.hex"))
    assert len(images) > 10
    for image in images:
        text = image.read_text()
        words = text.split()
        place = len(words) // 2
        expected = int(words[place], 16)
        if word == "0000" and not expected:
            continue
        image.write_text("\n".join([*words[:place], word, *words[place + 1 :]]) + "\n")
        found = compare_images(COMPLETE, rtl)
        assert found.mismatches == 1
        assert found.first is not None
        assert found.first.startswith(f"rtl/{image.name}, memory ")
        assert found.first.endswith(f", word {place}: {seen}, expected {expected:x}")
        image.write_text(text)


@pytest.mark.parametrize("change", [1, -1], ids=["longer", "shorter"])
def test_another_length_is_named(change: int, tmp_path: Path) -> None:
    image = emit(COMPLETE, TIMES, tmp_path / "rtl") / "framegate_stem_weights0.hex"
    words = image.read_text().split()
    image.write_text("\n".join([*words, "0"] if change > 0 else words[:-1]) + "\n")
    assert compare_images(COMPLETE, tmp_path / "rtl").first == (
        f"rtl/framegate_stem_weights0.hex, memory weights of stem: {len(words) + change} words, expected {len(words)}"
    )


def test_a_renamed_image_is_named(tmp_path: Path) -> None:
    image = emit(COMPLETE, TIMES, tmp_path / "rtl") / "framegate_stem_weights0.hex"
    count = len(image.read_text().split())
    image.rename(image.with_name("weights.hex"))
    assert compare_images(COMPLETE, tmp_path / "rtl").first == (
        f"rtl/framegate_stem_weights0.hex, memory weights of stem: not there, {count} words expected"
    )
