# SPDX-License-Identifier: Apache-2.0
"""The synthetic shop: what its clips promise to a network and to a test of time."""

import time
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.quant.clips.layouts import find_clips
from framegate.quant.clips.shop import ACTIONS, FRAMES, SIZE, generate, render, write_mp4
from framegate.quant.clips.video import decode


def test_five_class_folders_of_ordinary_mp4_files(shop: Path) -> None:
    clips = find_clips(shop)
    assert sorted({clip.label for clip in clips if clip.label}) == sorted(ACTIONS)
    assert {clip.path.parent.name for clip in clips} == set(ACTIONS)
    assert len(clips) == 30
    assert decode(clips[0].path, FRAMES, SIZE).shape == (FRAMES, SIZE, SIZE, 3)


@pytest.mark.parametrize("frames", [FRAMES, 8, 4])
def test_put_back_is_take_backwards_to_the_last_pixel_of_the_file(shop: Path, frames: int) -> None:
    for number in range(6):
        take = decode(shop / f"take/{number:05}.mp4", frames, 64)
        put_back = decode(shop / f"put_back/{number:05}.mp4", frames, 64)
        assert np.array_equal(take[::-1], put_back)
        assert not np.array_equal(take, put_back)


def test_a_take_and_its_reverse_have_one_source_and_others_their_own(shop: Path) -> None:
    sources = {(clip.label, clip.path.stem): clip.source for clip in find_clips(shop)}
    assert sources["take", "00002"] == sources["put_back", "00002"]
    assert len(set(sources.values())) == 24


@pytest.mark.parametrize("action", ACTIONS)
def test_the_seed_decides_every_pixel(action: str) -> None:
    first = np.stack(render(action, 5, 0))
    assert np.array_equal(first, np.stack(render(action, 5, 0)))
    for seed, number in ((6, 0), (5, 1)):
        assert not np.array_equal(first, np.stack(render(action, seed, number)))


def test_files_are_the_same_for_a_seed(shop: Path, tmp_path: Path) -> None:
    again = generate(tmp_path / "again", 1, seed=3)
    assert (again / "look/00000.mp4").read_bytes() == (shop / "look/00000.mp4").read_bytes()


def test_something_moves_throughout_a_take() -> None:
    pictures = np.stack(render("take", 1, 0)).astype(float)
    smooth = pictures.reshape(FRAMES, 12, 8, 12, 8, 3).mean((2, 4))  # camera noise averaged away
    steps = np.abs(np.diff(smooth[1::3], axis=0)).max((1, 2, 3))
    assert (steps[1:-1] > 8).sum() >= 4


def test_two_hundred_frames_a_second_with_writing(tmp_path: Path) -> None:
    start = time.process_time()
    for number in range(10):
        write_mp4(tmp_path / f"{number}.mp4", render("take", 0, number))
    assert 10 * FRAMES / (time.process_time() - start) >= 200


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.mp4").write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"is there already; choose another folder, or delete it$"):
        generate(tmp_path, 1, 0)
    assert (tmp_path / "mine.mp4").read_bytes() == b"precious"


def test_an_interrupted_generation_leaves_nothing(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "clips", 1, 0, stop)
    assert list(tmp_path.iterdir()) == []
