# SPDX-License-Identifier: Apache-2.0
"""From a clip to the pixels of a network: which frames, which box of the picture, which size.

Training, evaluation and boards share `view`; they differ in how the frames and the box are chosen.
"""

from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from framegate.errors import UsageError
from framegate.quant.settings import Settings
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, ModelWrapValidatorHandler, model_validator
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as pictures

Frames = NDArray[np.uint8]  # (N, H, W, 3), RGB

Count = Annotated[int, Field(ge=1, le=65_536)]
SMALLEST_SIDE = 8  # pixels
Side = Annotated[int, Field(ge=SMALLEST_SIDE, le=4096)]
Positive = Annotated[float, Field(gt=0)]

_alike = BeforeValidator(lambda value: (value,) * 3 if isinstance(value, int | float) else value)
_ROUNDING = 0.01  # seconds: tables print a clip_duration with two digits


class TransformConfig(Settings):
    """How clips become pixels; the same for training (which varies it), evaluation and boards.

    Made from options, or from the name of a preset: `TransformConfig(preset="course", num_clips=2)`; a
    `clip_duration` may be given and must then agree. Raises UsageError naming an option that does not fit.
    """

    side_size: Side = 64  # the shorter side of the decoded frames
    crop_size: Side = 64  # height and width of what the network sees
    num_frames: Count = 8
    sampling: Literal["segment", "dense"] = "segment"  # TSN: spread over the clip; dense: a short window
    sampling_rate: Count = 1  # dense: every so many frames
    frames_per_second: Positive = 30.0  # of the videos
    crop: Literal["centre", "square", "whole", "motion", "both"] = "centre"  # see `crop_boxes`
    num_clips: Count = 1  # views in time that evaluation averages over
    num_crops: Literal[1, 3] = 1  # views in space: the middle, or also both ends of the longer side
    mirror: bool = False  # evaluation averages over each view and its mirror image
    mean: Annotated[tuple[float, float, float], _alike] = (0.0, 0.0, 0.0)  # R, G, B, as shares of the full
    std: Annotated[tuple[Positive, Positive, Positive], _alike] = (1.0, 1.0, 1.0)  # range: what pretrained
    # weights expect; it is folded into their first layer, pixels stay pixels
    slowfast_alpha: Count = 4  # frames of the fast path for one of the slow

    @model_validator(mode="wrap")
    @classmethod
    def _from_preset(cls, values: Any, handler: ModelWrapValidatorHandler) -> "TransformConfig":
        if not isinstance(values, str | dict):
            return handler(values)
        given = {"preset": values} if isinstance(values, str) else dict(values)
        if "preset" in given:
            given = _preset(given.pop("preset")) | given
        duration = given.pop("clip_duration", None)
        config = handler(given)
        if isinstance(duration, int | float) and abs(duration - config.clip_duration) > _ROUNDING:
            raise UsageError(
                f"clip_duration={duration} is not num_frames * sampling_rate / frames_per_second = "
                f"{config.clip_duration:.3f}; leave it out, or correct one of the three"
            )
        return config

    @model_validator(mode="after")
    def _fits_together(self) -> "TransformConfig":
        if self.crop == "centre" and self.crop_size > self.side_size:
            raise UsageError(
                f"crop_size={self.crop_size} is larger than side_size={self.side_size}; enlarge side_size, or "
                f"choose another crop"
            )
        if self.crop in ("whole", "motion", "both") and self.num_crops > 1:
            raise UsageError(
                f"num_crops={self.num_crops}: crop={self.crop!r} gives one picture; choose num_crops=1, or "
                f"crop='centre' or 'square'"
            )
        return self

    @property
    def clip_duration(self) -> float:
        """Seconds that the frames of a dense view span."""
        return self.num_frames * self.sampling_rate / self.frames_per_second

    @classmethod
    def preset(cls, name: str) -> "TransformConfig":
        """The preset of that name. Raises UsageError for another one."""
        return cls(**_preset(name))

    def one_view(self) -> "TransformConfig":
        """The same with one view of each clip, the middle one: what a board sees."""
        crop = "whole" if self.crop == "both" else self.crop
        return self.model_copy(update={"num_clips": 1, "num_crops": 1, "mirror": False, "crop": crop})

    @classmethod
    def of(cls, frames: int, size: int) -> "TransformConfig":
        """One view: the middle frames of equal segments, the centre of the picture."""
        return cls(num_frames=frames, side_size=size, crop_size=size)


PRESETS: dict[str, dict[str, Any]] = {
    # The course's table for its SlowFast, TSN and TSM networks.
    "course": {
        "side_size": 256, "crop_size": 256, "num_frames": 32, "sampling": "dense", "sampling_rate": 2,
        "frames_per_second": 30, "num_clips": 10, "num_crops": 3, "mean": 0.45, "std": 0.225,
        "slowfast_alpha": 4,
    },
    "embedded": {"side_size": 64, "crop_size": 64, "num_frames": 8},  # tsm-lite on a board
    "mobilenet": {"side_size": 96, "crop_size": 96, "num_frames": 8},  # tsm-mobilenet on a board
    "mobilenet-wide": {"side_size": 144, "crop_size": 96, "num_frames": 8, "crop": "square"},  # room to vary
    "motion": {"side_size": 192, "crop_size": 96, "num_frames": 8, "crop": "motion"},  # where it moves
    "both": {"side_size": 192, "crop_size": 96, "num_frames": 8, "crop": "both", "mirror": True},  # averaged
}  # fmt: skip


def _preset(name: object) -> dict[str, Any]:
    if not isinstance(name, str) or name not in PRESETS:
        raise UsageError(f"preset={name!r} is not one of the transforms; choose one of {list(PRESETS)}")
    return PRESETS[name]


class AugmentConfig(Settings):
    """How far training changes a clip; each frame of it alike. All zero (and scale_min 1): not at all."""

    scale_min: Annotated[float, Field(gt=0, le=1)] = 0.5  # least share of the picture's area that is kept
    ratio: Annotated[float, Field(ge=1)] = 1.2  # most stretch of the box, either way
    flip: Annotated[float, Field(ge=0, le=1)] = 0.5  # probabilities: mirrored left to right,
    gray: Annotated[float, Field(ge=0, le=1)] = 0.2  # colours lost,
    erase: Annotated[float, Field(ge=0, le=1)] = 0.0  # a box blackened
    rotation: Annotated[float, Field(ge=0, le=180)] = 8.0  # degrees, either way
    brightness: Annotated[float, Field(ge=0)] = 0.3  # factors from 1 - x to 1 + x
    contrast: Annotated[float, Field(ge=0)] = 0.3
    saturation: Annotated[float, Field(ge=0)] = 0.3
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0  # share of the colour circle, either way


class Box(NamedTuple):
    """A part of a picture, pixels."""

    top: int
    left: int
    height: int
    width: int


def view(frames: Frames, indices: list[int], box: Box, size: int) -> Frames:
    """The chosen frames' `box` at size x size: (T, size, size, 3). A box of that size is copied as it is."""
    top, left, height, width = box
    part = np.ascontiguousarray(frames[indices, top : top + height, left : left + width])
    if (height, width) == (size, size):
        return part
    small = pictures.resize(_channels_first(part), [size, size], antialias=True)
    return _channels_last(small)


def _channels_first(frames: Frames) -> Tensor:
    return torch.from_numpy(frames).permute(0, 3, 1, 2)


def _channels_last(clip: Tensor) -> Frames:
    return clip.permute(0, 2, 3, 1).contiguous().numpy()


def evaluation_views(frames: Frames, config: TransformConfig) -> Frames:
    """All views of a clip, (V, T, S, S, 3): the crops of the first in time, then the next, then their mirror images.

    Raises UsageError when there are fewer frames than `num_frames`.
    """
    boxes = crop_boxes(frames, config)
    views = np.stack(
        [
            view(frames, indices, box, config.crop_size)
            for indices in frame_indices(len(frames), config)
            for box in boxes
        ]
    )
    return np.concatenate([views, views[:, :, :, ::-1]]) if config.mirror else views


def training_view(
    frames: Frames, config: TransformConfig, augment: AugmentConfig, seed: int, region: Box | None = None
) -> Frames:
    """One random view of a clip, (T, S, S, 3); the same for the same seed, whatever ran before.

    The box is drawn inside `region`: by default what `training_region` says. Raises UsageError as
    `evaluation_views` does.
    """
    region = region or training_region(frames, config)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        indices = _random_indices(len(frames), config)
        if config.crop == "both" and torch.rand(()) < 0.5:
            region = Box(0, 0, *frames.shape[1:3])
        squash = config.crop in ("whole", "both")  # as evaluation does; the motion's box is square anyway
        box = _random_box(region, region.width / region.height if squash else 1.0, augment)
        return _vary(view(frames, indices, box, config.crop_size), augment)


def training_region(frames: Frames, config: TransformConfig) -> Box:
    """Where training looks: the whole picture, or the motion's box, wider by a quarter.

    With crop="both" it looks at the whole picture half of the time.
    """
    if config.crop not in ("motion", "both"):
        return Box(0, 0, *frames.shape[1:3])
    box = motion_box(frames)
    return _square(box, min(box.height * 5 // 4, *frames.shape[1:3]), frames.shape[1:3])


def _random_box(region: Box, shape: float, augment: AugmentConfig) -> Box:
    """A part of `region`, about `shape` times as wide as high."""
    ratio = (shape / augment.ratio, shape * augment.ratio)
    choose = v2.RandomResizedCrop(8, scale=(augment.scale_min, 1.0), ratio=ratio)
    found = choose.make_params([torch.empty(1, region.height, region.width)])
    return Box(region.top + found["top"], region.left + found["left"], found["height"], found["width"])


def _vary(clip: Frames, augment: AugmentConfig) -> Frames:
    colours = {key: getattr(augment, key) for key in ("brightness", "contrast", "saturation", "hue")}
    steps: list[tuple[bool, Any]] = [
        (augment.flip > 0, lambda: v2.RandomHorizontalFlip(augment.flip)),
        (augment.rotation > 0, lambda: v2.RandomRotation(augment.rotation, v2.InterpolationMode.BILINEAR)),
        (any(colours.values()), lambda: v2.ColorJitter(**colours)),
        (augment.gray > 0, lambda: v2.RandomGrayscale(augment.gray)),
        (augment.erase > 0, lambda: v2.RandomErasing(augment.erase)),
    ]
    varied = _channels_first(clip)
    for wanted, step in steps:
        varied = step()(varied) if wanted else varied
    return _channels_last(varied)


def frame_indices(count: int, config: TransformConfig) -> list[list[int]]:
    """Of `count` frames those of each of the `num_clips` views in time.

    segment: the middle of each of T equal segments; several views cut each segment again. dense: windows of
    every `sampling_rate`-th frame, spread evenly; a clip shorter than the window gives what segments give.
    Raises UsageError when there are fewer frames than T.
    """
    frames, views = config.num_frames, config.num_clips
    room = _room(count, config)
    if config.sampling == "segment" or room < 0:
        return [middles(count, frames * views)[view::views] for view in range(views)]
    starts = (
        [(2 * k * room + views - 1) // (2 * (views - 1)) for k in range(views)] if views > 1 else [room // 2]
    )
    return [_window(start, config) for start in starts]


def _random_indices(count: int, config: TransformConfig) -> list[int]:
    """TSN: a random frame of each segment; dense: a window that starts anywhere."""
    frames = config.num_frames
    room = _room(count, config)
    if config.sampling == "dense" and room >= 0:
        return _window(int(torch.randint(room + 1, ())), config)
    at = torch.arange(frames, dtype=torch.float64) + torch.rand(frames, dtype=torch.float64)
    return (at * count / frames).long().clamp(max=count - 1).tolist()


def _room(count: int, config: TransformConfig) -> int:
    """By how many frames a dense window can move; negative when it does not fit."""
    if count < config.num_frames:
        raise UsageError(
            f"{count} frames can be decoded, {config.num_frames} are needed; give a longer clip or fewer frames"
        )
    return count - 1 - (config.num_frames - 1) * config.sampling_rate


def _window(start: int, config: TransformConfig) -> list[int]:
    return list(range(start, start + config.num_frames * config.sampling_rate, config.sampling_rate))


def middles(count: int, frames: int) -> list[int]:
    """The frame in the middle of each of `frames` equal segments of `count` frames.

    Symmetric: a clip played backwards gives the same frames backwards (middle one excepted).
    """
    # (2k + 1) * count / (2 * frames) - 1/2, rounded, halves down here and up in the mirrored half
    early = [-((2 * frames - (2 * k + 1) * count) // (2 * frames)) for k in range((frames + 1) // 2)]
    return early + [count - 1 - index for index in early[: frames // 2]][::-1]


def crop_boxes(frames: Frames, config: TransformConfig) -> list[Box]:
    """The boxes that evaluation looks at, all resized to crop_size.

    centre: crop_size x crop_size; square: as high as the shorter side; both in the middle, or with
    num_crops=3 at both ends of the longer side as well. whole: all of it, squashed. motion: `motion_box`. both: these
    two.
    """
    height, width = frames.shape[1:3]
    if config.crop == "whole":
        return [Box(0, 0, height, width)]
    if config.crop == "motion":
        return [motion_box(frames)]
    if config.crop == "both":
        return [Box(0, 0, height, width), motion_box(frames)]
    side = config.crop_size if config.crop == "centre" else min(height, width)
    down, right = height - side, width - side
    middle = Box(down // 2, right // 2, side, side)
    if config.num_crops == 1:
        return [middle]
    if height > width:
        return [Box(0, right // 2, side, side), middle, Box(down, right // 2, side, side)]
    return [Box(down // 2, 0, side, side), middle, Box(down // 2, right, side, side)]


def motion_box(frames: Frames) -> Box:
    """The square around where the clip moves, by integer arithmetic alone; without motion, the middle.

    Motion is the change of gray from frame to frame, summed over the clip, above the camera's noise. The
    square is a quarter wider than the shortest stretch of either axis that holds 90 % of it, at least 40 % and at
    most all of the shorter side.
    """
    height, width = frames.shape[1:3]
    motion = _motion(frames)
    short = min(height, width)
    if not motion.any():
        return _square(Box(0, 0, height, width), short, (height, width))
    top, bottom = _stretch(motion.sum(1))
    left, right = _stretch(motion.sum(0))
    side = min(short, max(5 * max(bottom - top, right - left) // 4, -(-2 * short // 5)))
    return _square(Box(top, left, bottom - top, right - left), side, (height, width))


def gray(frames: Frames) -> Frames:
    """The brightness of RGB pixels (..., 3), rounded down: (...)."""
    return ((frames @ _GRAY) >> 8).astype(np.uint8)


_STILL = 4  # gray levels from frame to frame that are noise
_GRAY = np.array([77, 150, 29], np.int32)  # R, G, B; of 256


def _motion(frames: Frames) -> NDArray[np.int64]:
    """(H, W): how much each pixel changes; 0 where that is noise."""
    total = np.zeros(frames.shape[1:3], np.int64)
    before = None
    for frame in frames:
        now = gray(frame).astype(np.int32)
        if before is not None:
            change = np.abs(now - before)
            total += np.where(change > _STILL, change, 0)
        before = now
    usual = int(np.sort(total, axis=None)[total.size // 2])  # a camera that shakes moves every pixel
    return np.maximum(total - 2 * usual, 0)


def _stretch(profile: NDArray[np.int64]) -> tuple[int, int]:
    """The shortest range that holds at least 90 % of `profile`; the first of equals."""
    sums = [0, *np.cumsum(profile).tolist()]
    need = -(-9 * sums[-1] // 10)
    best, begin = (0, len(profile)), 0
    for end in range(1, len(sums)):
        while sums[end] - sums[begin + 1] >= need:
            begin += 1
        if sums[end] - sums[begin] >= need and end - begin < best[1] - best[0]:
            best = (begin, end)
    return best


def _square(box: Box, side: int, picture: tuple[int, ...]) -> Box:
    """A square of that side around the middle of `box`, moved into the picture."""
    top = box.top + (box.height - side) // 2
    left = box.left + (box.width - side) // 2
    return Box(max(0, min(top, picture[0] - side)), max(0, min(left, picture[1] - side)), side, side)
