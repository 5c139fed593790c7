# SPDX-License-Identifier: Apache-2.0
"""Which frames, which box, which size: by hand-made clips whose every answer is known."""

from typing import Any

import numpy as np
import pytest
import torch
from framegate.errors import UsageError
from framegate.quant.clips.transforms import (
    PRESETS,
    AugmentConfig,
    Box,
    TransformConfig,
    crop_boxes,
    evaluation_views,
    frame_indices,
    gray,
    middles,
    motion_box,
    training_region,
    training_view,
    view,
)
from framegate.quant.networks.checkpoint import NetworkConfig, builtin

STILL = AugmentConfig(
    scale_min=1, ratio=1, flip=0, gray=0, rotation=0, brightness=0, contrast=0, saturation=0
)


def clip(count: int = 30, height: int = 144, width: int = 192) -> np.ndarray:
    """Red tells the row, green the column, blue the frame."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[..., 0] = np.arange(height)[:, None]
    frames[..., 1] = np.arange(width)
    frames[..., 2] = np.arange(count)[:, None, None]
    return frames


def walker(top: int, left: int, height: int, width: int, noise: int = 0) -> np.ndarray:
    """A still picture of 72 x 96 in which the given box flickers, under camera noise."""
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(60, 190, (1, 72, 96, 3)), 12, axis=0)
    frames[::2, top : top + height, left : left + width] += 40
    return (frames + rng.integers(-noise, noise + 1, frames.shape)).clip(0, 255).astype(np.uint8)


# The configuration


def test_the_preset_course_is_the_table_of_the_course() -> None:
    config = TransformConfig.preset("course")
    assert config.model_dump() | {"clip_duration": round(config.clip_duration, 2)} == {
        "side_size": 256, "crop_size": 256, "num_frames": 32, "sampling_rate": 2, "frames_per_second": 30,
        "mean": (0.45, 0.45, 0.45), "std": (0.225, 0.225, 0.225), "slowfast_alpha": 4, "num_clips": 10,
        "num_crops": 3, "sampling": "dense", "crop": "centre", "clip_duration": 2.13, "mirror": False,
    }  # fmt: skip


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_being_written_down(name: str) -> None:
    config = TransformConfig.preset(name)
    assert TransformConfig(**config.model_dump(mode="json")) == config
    assert TransformConfig.model_validate_json(config.model_dump_json()) == config
    assert TransformConfig(preset=name, clip_duration=round(config.clip_duration, 2)) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "coarse"}, r"^preset='coarse' is not one of the transforms; choose one of \['course', "),
        ({"size": 64}, r"^size=64: Extra inputs are not permitted"),
        ({"num_frames": 0}, r"^num_frames=0: .*greater than or equal to 1"),
        ({"std": 0}, r"^std\.0=0: .*greater than 0"),
        ({"crop": "left"}, r"^crop='left': "),
        ({"num_crops": 2}, r"^num_crops=2: "),
        ({"preset": "course", "clip_duration": 3.0}, r"^clip_duration=3\.0 is not .* = 2\.133; leave it out"),
        ({"side_size": 32}, r"^crop_size=64 is larger than side_size=32; enlarge side_size"),
        ({"crop": "motion", "num_crops": 3}, r"^num_crops=3: crop='motion' gives one picture"),
    ],
)
def test_options_that_do_not_fit_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TransformConfig(**options)


def test_a_network_and_its_transform_have_one_shape() -> None:
    classes = ("a", "b")
    assert NetworkConfig(classes=classes, frames=4, size=32).transform == TransformConfig.of(4, 32)
    assert NetworkConfig(classes=classes, transform="mobilenet").size == 96
    assert NetworkConfig(classes=classes, transform={"preset": "motion", "num_frames": 4}).frames == 4
    with pytest.raises(UsageError, match=r"^transform: num_frames=8 and crop_size=96 must equal frames=4"):
        NetworkConfig(classes=classes, frames=4, transform="mobilenet")
    with pytest.raises(UsageError, match=r"^frames=0: Input should be greater than or equal to 1; correct"):
        NetworkConfig(classes=classes, frames=0)


def test_checkpoints_keep_the_transform_and_old_ones_had_the_plain_one() -> None:
    config = NetworkConfig(classes=("a", "b"), transform={"preset": "motion", "num_clips": 2})
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config
    assert builtin("tsm-lite").config.transform == TransformConfig.of(8, 64)


# Frames


@pytest.mark.parametrize("count", [8, 9, 24, 29, 30, 31, 100])
@pytest.mark.parametrize("frames", [1, 4, 5, 8])
def test_one_frame_from_the_middle_of_each_segment(count: int, frames: int) -> None:
    chosen = middles(count, frames)
    for segment, index in enumerate(chosen):
        assert abs(index + 0.5 - (segment + 0.5) * count / frames) <= 0.5
    backwards = [count - 1 - index for index in reversed(chosen)]
    assert frames % 2 or backwards == chosen


def test_several_views_of_segments_lie_side_by_side_in_each() -> None:
    config = TransformConfig(num_frames=2, num_clips=3)
    assert frame_indices(24, config) == [[1, 14], [5, 18], [9, 22]]
    assert frame_indices(24, config.one_view()) == [middles(24, 2)]


def test_dense_windows_are_spread_from_the_first_frame_to_the_last() -> None:
    config = TransformConfig(num_frames=4, sampling="dense", sampling_rate=3, num_clips=3)
    assert frame_indices(30, config) == [[0, 3, 6, 9], [10, 13, 16, 19], [20, 23, 26, 29]]
    assert frame_indices(30, config.one_view()) == [[10, 13, 16, 19]]
    assert frame_indices(10, config) == [[0, 3, 6, 9]] * 3  # just long enough
    assert frame_indices(9, config.one_view()) == [middles(9, 4)]  # shorter than the window


def test_too_few_frames_are_an_error_everywhere() -> None:
    for sampling in ("segment", "dense"):
        config = TransformConfig(num_frames=8, sampling=sampling)
        with pytest.raises(UsageError, match=r"^7 frames can be decoded, 8 are needed; give a longer clip"):
            evaluation_views(clip(7), config)
        with pytest.raises(UsageError, match=r"^7 frames can be decoded, 8 are needed"):
            training_view(clip(7), config, STILL, 0)


# Boxes


@pytest.mark.parametrize(("height", "width"), [(144, 192), (192, 144)])
def test_crops_lie_along_the_longer_side(height: int, width: int) -> None:
    frames = clip(8, height, width)
    centre = TransformConfig(side_size=144, crop_size=96, num_crops=3)
    square = TransformConfig(side_size=144, crop_size=96, num_crops=3, crop="square")

    def turned(*boxes: tuple[int, int, int, int]) -> list[Box]:
        return [Box(*(box if width > height else (box[1], box[0], box[3], box[2]))) for box in boxes]

    assert crop_boxes(frames, centre) == turned((24, 0, 96, 96), (24, 48, 96, 96), (24, 96, 96, 96))
    assert crop_boxes(frames, square) == turned((0, 0, 144, 144), (0, 24, 144, 144), (0, 48, 144, 144))
    assert crop_boxes(frames, square.one_view()) == turned((0, 24, 144, 144))
    whole = TransformConfig(side_size=144, crop_size=96, crop="whole")
    assert crop_boxes(frames, whole) == [Box(0, 0, height, width)]


def test_views_are_ordered_by_time_then_place() -> None:
    config = TransformConfig(side_size=144, crop_size=96, num_frames=2, num_clips=2, num_crops=3)
    views = evaluation_views(clip(), config)
    assert views.shape == (6, 2, 96, 96, 3)
    assert views[:, 0, 0, 0, 1].tolist() == [0, 48, 96] * 2
    assert views[:, 0, 0, 0, 2].tolist() == [3] * 3 + [11] * 3


def test_a_view_of_the_right_size_is_not_resampled_and_others_are_smooth() -> None:
    frames = clip()
    assert np.array_equal(view(frames, [3, 5], Box(10, 20, 32, 32), 32), frames[[3, 5], 10:42, 20:52])
    half = view(frames, [3], Box(0, 0, 128, 128), 64)
    assert half.shape == (1, 64, 64, 3)
    assert half.dtype == np.uint8
    assert np.abs(half[0, 8:-8, 0, 0] - np.arange(16.5, 112, 2)).max() <= 1
    grain = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3), dtype=np.uint8)
    assert (
        view(grain, [0], Box(0, 0, 128, 128), 32).std() < 20
    )  # every pixel counts: 37 if four of sixteen did


# Motion


@pytest.mark.parametrize("noise", [0, 3])
@pytest.mark.parametrize("moving", [(30, 50, 30, 20), (0, 0, 40, 30), (32, 66, 40, 30)])
def test_the_box_holds_what_moves(moving: tuple[int, int, int, int], noise: int) -> None:
    top, left, height, width = moving
    box = motion_box(walker(*moving, noise=noise))
    assert box.height == box.width == pytest.approx(max(1.25 * 0.95 * max(height, width), 29), abs=5)
    middle = (box.top + box.height / 2, box.left + box.width / 2)
    assert middle[0] == pytest.approx(min(max(top + height / 2, box.height / 2), 72 - box.height / 2), abs=3)
    assert middle[1] == pytest.approx(min(max(left + width / 2, box.width / 2), 96 - box.width / 2), abs=3)


def test_a_speck_of_motion_does_not_shrink_the_box_without_end() -> None:
    box = motion_box(walker(40, 40, 2, 2))
    assert box == Box(26, 26, 29, 29)  # 40 % of 72


def test_motion_everywhere_and_nowhere_is_the_middle() -> None:
    middle = Box(0, 12, 72, 72)
    assert motion_box(walker(0, 0, 0, 0)) == middle
    assert motion_box(walker(0, 0, 0, 0, noise=3)).left == pytest.approx(12, abs=8)  # of noise alone
    assert motion_box(walker(0, 0, 72, 96)) == middle
    assert motion_box(clip(1)) == Box(0, 24, 144, 144)


def test_gray_is_the_same_for_any_number_of_frames() -> None:
    frames = walker(0, 0, 30, 30, noise=9)
    assert gray(np.full((1, 3), 255, np.uint8)).tolist() == [255]
    assert np.array_equal(gray(frames)[5], gray(frames[5]))


# Training


def test_training_without_any_change_looks_at_what_evaluation_looks_at() -> None:
    config = TransformConfig(side_size=96, crop_size=64, num_frames=8, crop="square", sampling="dense")
    frames = clip(8, 96, 96)
    assert np.array_equal(training_view(frames, config, STILL, 1), evaluation_views(frames, config)[0])


def test_the_seed_alone_decides_a_training_view() -> None:
    config = TransformConfig(side_size=144, crop_size=96, crop="square")
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (30, 144, 192, 3), dtype=np.uint8)
    augment = AugmentConfig(hue=0.1, erase=0.5)
    torch.manual_seed(5)
    first = training_view(frames, config, augment, 7)
    after = torch.rand(())
    torch.manual_seed(6)
    torch.rand(9)
    assert np.array_equal(training_view(frames, config, augment, 7), first)
    assert not np.array_equal(training_view(frames, config, augment, 8), first)
    torch.manual_seed(5)
    assert torch.rand(()) == after  # the caller's random numbers are as if nothing had happened


def test_all_frames_of_a_clip_change_alike() -> None:
    config = TransformConfig(side_size=144, crop_size=96, crop="square", num_frames=8)
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(0, 256, (1, 144, 192, 3), dtype=np.uint8), 30, axis=0)
    for seed in range(12):
        varied = training_view(frames, config, AugmentConfig(hue=0.1, erase=1), seed)
        assert varied.shape == (8, 96, 96, 3)
        assert (varied == varied[0]).all()


@pytest.mark.parametrize("sampling", ["segment", "dense"])
def test_random_frames_ascend_and_reach_everywhere(sampling: str) -> None:
    config = TransformConfig(side_size=16, crop_size=16, num_frames=8, sampling=sampling, sampling_rate=2)
    frames = clip(30, 16, 16)
    chosen = np.stack([training_view(frames, config, STILL, seed)[:, 0, 0, 2] for seed in range(300)]).astype(
        int
    )
    assert set(chosen.flat) == set(range(30))
    steps = np.diff(chosen, axis=1)
    assert (steps == 2).all() if sampling == "dense" else (steps >= 0).all()
    segments = chosen * 8 // 30
    assert sampling == "dense" or (np.abs(segments - np.arange(8)) <= 1).all()


def test_each_change_can_be_had_alone() -> None:
    config = TransformConfig(side_size=96, crop_size=96, num_frames=8, sampling="dense")
    frames = clip(8, 96, 96)
    plain = training_view(frames, config, STILL, 0)
    flipped = training_view(frames, config, STILL.model_copy(update={"flip": 1.0}), 0)
    assert np.array_equal(flipped, plain[:, :, ::-1])
    grays = training_view(frames, config, STILL.model_copy(update={"gray": 1.0}), 0)
    assert (grays == grays[..., :1]).all()
    for option in ("brightness", "contrast", "saturation", "hue", "rotation", "erase"):
        value = 1.0 if option == "erase" else 0.4 if option != "rotation" else 20
        assert not np.array_equal(
            training_view(frames, config, STILL.model_copy(update={option: value}), 0), plain
        )


def test_training_on_motion_stays_around_it_and_whole_pictures_are_squashed() -> None:
    frames = walker(30, 50, 30, 20)
    motion = TransformConfig(side_size=72, crop_size=32, crop="motion")
    box = motion_box(frames)
    region = training_region(frames, motion)
    assert (region.height, region.width) == (box.height * 5 // 4,) * 2
    assert region.top <= box.top
    assert region.top + region.height >= box.top + box.height
    place = clip(12, 72, 96)
    views = np.stack([training_view(place, motion, AugmentConfig(), s, region)[..., :2] for s in range(40)])
    inside = views[views.sum(-1) > 0]  # rotated corners are black
    whole = TransformConfig(side_size=72, crop_size=32, crop="whole")
    assert inside[:, 0].max() <= 1.3 * (region.top + region.height) + 2
    assert np.array_equal(
        training_view(place, whole, STILL, 0)[0, ..., :2], evaluation_views(place, whole)[0, 0, ..., :2]
    )


def test_both_looks_at_the_whole_picture_and_where_it_moves_and_their_mirror_images() -> None:
    frames = np.random.default_rng(0).integers(0, 30, (9, 32, 48, 3), dtype=np.uint8)
    frames[:, 4:12, 30:38] = np.arange(9, dtype=np.uint8)[:, None, None, None] * 25  # what moves
    config = TransformConfig(side_size=32, crop_size=16, num_frames=3, crop="both", mirror=True)
    views = evaluation_views(frames, config)
    whole, motion = (
        evaluation_views(frames, config.model_copy(update={"crop": crop, "mirror": False}))[0]
        for crop in ("whole", "motion")
    )
    assert views.shape == (4, 3, 16, 16, 3)
    assert (views == np.stack([whole, motion, whole[:, :, ::-1], motion[:, :, ::-1]])).all()
    assert (evaluation_views(frames, config.one_view()) == whole).all()  # what a board sees
    still = AugmentConfig(
        scale_min=1, ratio=1, flip=0, gray=0, rotation=0, brightness=0, contrast=0, saturation=0
    )
    region = training_region(frames, config)
    assert region.height < 32
    seen = [training_view(frames, config, still, seed, region).mean() for seed in range(20)]
    assert (
        3 < sum(value > np.mean(seen) for value in seen) < 17
    )  # brighter where it moves: sometimes the one, then the other
