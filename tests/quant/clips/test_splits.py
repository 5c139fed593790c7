# SPDX-License-Identifier: Apache-2.0
"""Splits are by source, stratified, and repeat with their seed."""

from collections import Counter
from pathlib import Path

import pytest
from framegate.errors import UsageError
from framegate.quant.clips.splits import hold_out, kfold
from framegate.quant.clips.video import Clip


def clips_of(
    sources: int, labels: tuple[tuple[str, ...], ...] = (("a",), ("b",)), each: int = 3
) -> list[Clip]:
    """`each` clips of every source; the sources take turns with the labels."""
    return [
        Clip(Path(f"{source}_{number}.mp4"), labels[source % len(labels)], f"s{source}")
        for source in range(sources)
        for number in range(each)
    ]


@pytest.mark.parametrize("folds", [2, 5])
def test_every_clip_is_tested_once_and_no_source_is_on_both_sides(folds: int) -> None:
    clips = clips_of(30)
    splits = kfold(clips, folds, 0)
    tested = Counter(clip for _, held_out in splits for clip in held_out)
    assert tested == Counter(clips)
    for fitting, held_out in splits:
        assert len(fitting) + len(held_out) == len(clips)
        assert not {clip.source for clip in fitting} & {clip.source for clip in held_out}
        counts = Counter(clip.label for clip in held_out)
        assert abs(counts["a"] - counts["b"]) <= 3  # one source


def test_the_seed_decides_the_folds() -> None:
    clips = clips_of(30)
    assert kfold(clips, 5, 1) == kfold(clips, 5, 1)
    assert kfold(clips, 5, 1) != kfold(clips, 5, 2)


def test_sets_of_labels_are_spread_too() -> None:
    labels = (("steal",), (), ("steal", "smoke"), ("smoke",))
    for _, held_out in kfold(clips_of(40, labels), 5, 0):
        sets = Counter(clip.labels for clip in held_out)
        assert set(sets) == set(labels)
        assert max(sets.values()) <= 9


def test_a_set_of_labels_that_is_there_once_does_not_stop_the_folds() -> None:
    clips = [*clips_of(20, (("a",), ("b",))), Clip(Path("x"), ("a", "b"), "x"), Clip(Path("y"), (), "y")]
    assert sum(len(held_out) for _, held_out in kfold(clips, 5, 0)) == len(clips)


@pytest.mark.parametrize(("share", "least", "most"), [(0.1, 6, 12), (0.25, 21, 27), (0.5, 42, 48)])
def test_about_the_share_is_held_out_with_every_class(share: float, least: int, most: int) -> None:
    clips = clips_of(30)
    fitting, held_out = hold_out(clips, share, 0)
    assert least <= len(held_out) <= most
    assert {clip.label for clip in held_out} == {clip.label for clip in fitting} == {"a", "b"}
    assert not {clip.source for clip in fitting} & {clip.source for clip in held_out}


def test_a_class_of_two_sources_still_is_on_both_sides() -> None:
    clips = [*clips_of(30, (("a",),)), Clip(Path("x"), ("b",), "x"), Clip(Path("y"), ("b",), "y")]
    fitting, held_out = hold_out(clips, 0.1, 0)
    assert sum(clip.label == "b" for clip in fitting) == sum(clip.label == "b" for clip in held_out) == 1


def test_what_cannot_be_split_is_named() -> None:
    with pytest.raises(UsageError, match=r"^class 'b' comes from 3 sources, fewer than folds=5; add sources"):
        kfold([*clips_of(20, (("a",),)), *clips_of(3, (("b",),))], 5, 0)
    with pytest.raises(UsageError, match=r"^all clips are of 4 sources, fewer than folds=5"):
        kfold(clips_of(4), 5, 0)
    with pytest.raises(UsageError, match=r"^all clips are of 1 source, fewer than folds=2"):
        hold_out(clips_of(1), 0.1, 0)
    with pytest.raises(UsageError, match=r"^folds=1: give at least 2$"):
        kfold(clips_of(4), 1, 0)
    with pytest.raises(UsageError, match=r"^share=0\.6: of the clips more than none and at most half"):
        hold_out(clips_of(9), 0.6, 0)
    with pytest.raises(UsageError, match=r"^c\.mp4: has no label; only labelled clips can be split"):
        kfold([*clips_of(9), Clip(Path("c.mp4"), None, "c")], 2, 0)
