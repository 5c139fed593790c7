# SPDX-License-Identifier: Apache-2.0
"""From a clip to the pixels of a network: which frames, which part of the picture, which size."""

from typing import Annotated, Any, Literal

from framegate.errors import UsageError
from framegate.quant.settings import Settings
from pydantic import BeforeValidator, Field, ModelWrapValidatorHandler, model_validator

Count = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=8)]  # pixels
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
    crop: Literal["centre", "square", "whole", "motion"] = "centre"  # see `crop_boxes`
    num_clips: Count = 1  # views in time that evaluation averages over
    num_crops: Literal[1, 3] = 1  # views in space: the middle, or also both ends of the longer side
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
        if self.crop in ("whole", "motion") and self.num_crops > 1:
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
}  # fmt: skip


def _preset(name: object) -> dict[str, Any]:
    if not isinstance(name, str) or name not in PRESETS:
        raise UsageError(f"preset={name!r} is not one of the transforms; choose one of {list(PRESETS)}")
    return PRESETS[name]
