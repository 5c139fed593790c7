# SPDX-License-Identifier: Apache-2.0
"""FINN's RTL of a small layer computes what ours does; its edits fail on text that they do not know."""

from collections.abc import Callable
from pathlib import Path

import pytest
from framegate.benchmarks.peers import finn
from framegate.benchmarks.peers.finn_layer import Layer
from framegate.benchmarks.peers.finn_rtl import EDITS
from framegate.errors import FramegateError, UsageError
from framegate.hls.stream import to_beats

SMALL = Layer(kernel=3, stride=2, padding=1, channels=2, filters=4, size=6, pe=2, simd=2)


def test_a_small_layer_is_equal(tmp_path: Path) -> None:
    ours, peer = finn.compare(SMALL, tmp_path / "ours", tmp_path / "peer")
    assert ours.words == peer.words
    assert len(set(ours.words)) > 16, "outputs that hardly vary compare nothing"
    assert ours.cycles <= peer.cycles
    assert ours.first_output <= peer.first_output


@pytest.mark.slow  # the small version is of one layer in simulation, above
def test_both_are_routed(tmp_path: Path) -> None:
    ours, peer = finn._fmax(SMALL, tmp_path)
    assert 50 < peer < ours < 500, "MHz"


def test_a_difference_is_named_by_pixel_and_channel() -> None:
    kernel = SMALL.kernels[-1]
    expected = SMALL.pixels
    for step in SMALL.kernels:
        expected = step.reference(expected)
    words = to_beats(expected, kernel.outputs[0])
    words[3] ^= 1 << 4  # beats of two lanes: frame 0, pixel (0, 1), channel 3
    with pytest.raises(
        FramegateError,
        match=r"^conv 3x3 stride 2 2->4, 6x6, PE 2 x SIMD 2: FINN: clip 0, frame 0, pixel \(0, 1\), channel 3: \d+, ",
    ):
        finn.expect_equal("FINN", SMALL, expected, words)


@pytest.mark.parametrize(("name", "edit"), [(name, edit) for name in EDITS for edit in EDITS[name]])
def test_an_edit_fails_on_other_text(name: str, edit: Callable[[str], str]) -> None:
    with pytest.raises(FramegateError, match=rf"^FINN's {name}: 0 times .+, expected once; this comparison"):
        edit("module other;\nendmodule\n")


def test_an_unknown_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^layer '5x5': unknown; choose one of 3x3, 1x1, strided, first$"):
        finn.measure(tmp_path, print, ["5x5"])
