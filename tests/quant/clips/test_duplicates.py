# SPDX-License-Identifier: Apache-2.0
"""The check finds what spoils training: broken clips, and the same scene where it must not be twice."""

from pathlib import Path

import av
import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.quant.clips.duplicates import (
    COPIED,
    MOVING_LIKE,
    STILL_LIKE,
    check,
    join_sources,
    look_at,
    near_duplicates,
    one_source_per_scene,
)
from framegate.quant.clips.layouts import Dataset, read
from framegate.quant.clips.splits import kfold
from framegate.quant.clips.video import Clip, wide_frames

RETAIL = Path(__file__).parents[4] / "shared/data/retail"


def again(path: Path, target: Path, side: int, crf: int) -> Path:
    """The same video in another size and quality."""
    frames = wide_frames(path, side)
    target.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=12, options={"crf": str(crf)})
        stream.height, stream.width = (length // 2 * 2 for length in frames.shape[1:3])
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # several threads on a busy machine may write other files
        for frame in frames:
            picture = np.ascontiguousarray(frame[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return target


def one(*clips: Clip) -> dict[str, Dataset]:
    return {"all": Dataset("list", list(clips))}


@pytest.fixture
def walks(shop: Path) -> list[Clip]:
    return [clip for clip in read(shop).clips if clip.label == "walk_past"]


def test_a_sound_data_set_passes_with_its_figures(shop: Path) -> None:
    steps: list[None] = []
    found = check({"all": read(shop)}, 8, folds=3, step=lambda: steps.append(None))
    assert (found["error"], found["exit_code"], found["broken"], found["leaks"]) == (None, 0, [], [])
    assert found["clips"] == len(steps) == 30
    assert found["classes"] == dict.fromkeys(("conceal", "look", "put_back", "take", "walk_past"), 6)
    assert found["sizes"] == {"96x96": 30}
    assert found["frames_per_second"] == {"12": 30}
    assert found["seconds"] == {"least": 2.0, "median": 2.0, "most": 2.0}
    assert sum(part["clips"] for part in found["splits"].values()) == 30
    assert list(found["splits"]) == ["fold 1", "fold 2", "fold 3"]


@pytest.mark.parametrize(("side", "crf"), [(96, 20), (48, 30)])
def test_a_clip_is_recognised_in_another_size_and_quality(
    walks: list[Clip], tmp_path: Path, side: int, crf: int
) -> None:
    other = Clip(again(walks[0].path, tmp_path / "again.mp4", side, crf), walks[0].labels, "again")
    (pair,) = near_duplicates([look_at(clip) for clip in [*walks, other]])
    assert {pair.one, pair.other} == {walks[0], other}
    assert str(pair) == f"{walks[0].path} and {other.path} show the same"


def test_takes_in_one_shop_are_told_apart(shop: Path) -> None:
    pairs = near_duplicates([look_at(clip) for clip in read(shop).clips])
    assert pairs == []
    assert COPIED < STILL_LIKE < MOVING_LIKE < 64


def test_the_same_scene_on_two_sides_is_a_leak(walks: list[Clip], tmp_path: Path) -> None:
    copy = Clip(again(walks[0].path, tmp_path / "again.mp4", 96, 20), walks[0].labels, "again")
    found = check({"train": Dataset("list", walks[:3]), "test": Dataset("list", [walks[3], copy])}, 8)
    assert found["exit_code"] == 1
    assert found["leaks"] == [
        f"{walks[0].path} and {copy.path} show the same, but one is in train and the other in test; move both to "
        f"one of them"
    ]
    assert found["error"] == found["leaks"][0]
    together = check({"train": Dataset("list", [*walks[:3], copy]), "test": Dataset("list", walks[3:])}, 8)
    assert (together["error"], len(together["duplicates"])) == (None, 1)


def test_a_source_or_a_file_on_two_sides_is_a_leak(walks: list[Clip]) -> None:
    kin = Clip(walks[1].path, walks[1].labels, walks[0].source)
    found = check({"train": Dataset("list", walks[:1]), "test": Dataset("list", [kin])}, 8)
    assert found["leaks"] == [
        f"source {walks[0].source!r} has clips in train and in test; move all to one of them"
    ]
    found = check({"train": Dataset("list", walks[:2]), "test": Dataset("list", walks[1:])}, 8)
    assert f"{walks[1].path} is in train and in test; remove it from one" in found["leaks"]
    assert found["error"].endswith(" more)")


def test_a_scene_in_two_classes_is_a_leak(walks: list[Clip], tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(walks[0].path.read_bytes())
    exact = check(one(*walks, Clip(copy, ("look",), "copy")), 8)
    assert exact["exit_code"] == 1
    assert "the same video, is 'look'" in exact["leaks"][0]
    again(walks[0].path, copy, 96, 10)
    alike = check(one(*walks, Clip(copy, ("look",), "copy")), 8)
    assert "but one is 'walk_past' and the other 'look'; remove one or correct its class" in alike["leaks"][0]


def test_folds_keep_the_sources_of_one_scene_together(walks: list[Clip], tmp_path: Path) -> None:
    copies = [
        Clip(again(clip.path, tmp_path / f"{number}.mp4", 96, 20), clip.labels, f"copy {number}")
        for number, clip in enumerate(walks)
    ]
    found = check(one(*walks, *copies), 8, folds=3)
    assert (found["leaks"], len(found["duplicates"])) == ([], 6)
    joined = one_source_per_scene([*walks, *copies], tmp_path / "cache")
    assert len({clip.source for clip in joined}) == 6
    for fitting, held_out in kfold(joined, 3, 0):
        names = [{clip.source for clip in part} for part in (fitting, held_out)]
        assert not names[0] & names[1]


def test_sources_join_over_several_pairs(walks: list[Clip]) -> None:
    looks = [look_at(walks[0])]
    clips = [Clip(walks[0].path, ("x",), name) for name in "dacb"]
    pairs = near_duplicates([looks[0].__class__(**{**vars(looks[0]), "clip": clip}) for clip in clips])
    assert {clip.source for clip in join_sources(clips, pairs)} == {"a"}
    assert [clip.source for clip in join_sources(clips, pairs[:1])].count("a") == 2


def test_broken_clips_are_listed_and_too_many_are_an_error(walks: list[Clip], tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    found = check(one(*walks, Clip(bad, ("walk_past",), "bad")), 8)
    assert found["exit_code"] == 2
    assert "bad.mp4: not a readable video" in found["broken"][0]
    assert found["error"].startswith("1 of 7 clips cannot be used, more than 5%; repair or remove them:\n  ")
    few = check(one(*walks * 4, Clip(bad, ("walk_past",), "bad")), 8)
    assert (few["error"], len(few["broken"])) == (None, 1)
    assert check(one(Clip(bad, None, "bad")), 8)["frames"] is None


def test_more_folds_than_sources_is_an_error(walks: list[Clip]) -> None:
    with pytest.raises(UsageError, match=r"^all clips are of 6 sources, fewer than folds=7"):
        check(one(*walks), 8, folds=7)


def test_folds_of_clips_that_are_split_are_refused(walks: list[Clip]) -> None:
    parts = {name: Dataset("list", walks) for name in ("train", "test")}
    with pytest.raises(UsageError, match=r"^folds=2: the clips are split already \(train, test\); leave out"):
        check(parts, 8, folds=2)


def test_clips_of_no_and_of_unknown_class_are_counted(walks: list[Clip]) -> None:
    labels = [None, (), ("a", "b")]
    clips = [Clip(clip.path, given, clip.source) for clip, given in zip(walks, labels, strict=False)]
    assert check(one(*clips), 8)["classes"] == {"a": 1, "b": 1, "no class": 1, "unlabelled": 1}


@pytest.mark.skipif(not RETAIL.is_dir(), reason=f"{RETAIL} is not there")
def test_real_clips_of_one_room_are_told_apart_and_copies_found() -> None:
    """Two recordings of this set were published under two names each."""
    clips = [
        clip for clip in read(RETAIL).clips if clip.source[:10] in ("normal_044", "normal_047", "normal_048")
    ]
    pairs = near_duplicates([look_at(clip) for clip in clips])
    assert {frozenset((pair.one.source, pair.other.source)) for pair in pairs} == {
        frozenset(("normal_047", "normal_048"))
    }
