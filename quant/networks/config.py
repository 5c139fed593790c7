# SPDX-License-Identifier: Apache-2.0
"""What a network is: every option of it, checked."""

import math
from typing import Annotated, Literal

from framegate.errors import UsageError
from framegate.quant.clips.transforms import TransformConfig
from framegate.quant.networks import mobilenet_shape, mobilenetv2_shape
from framegate.quant.networks.presets import FAMILIES, MOST_ALPHA, OWN, Family, Name, owners, usual
from framegate.quant.settings import Settings
from pydantic import BeforeValidator, Field, model_validator

Bits = Annotated[
    Annotated[int, Field(ge=2, le=8)] | None,  # None: float, which TOML and the command line spell "float"
    BeforeValidator(lambda value: None if value == "float" else value),
]
# Far more than any network has: a million channels would fill the memory before anything could be said about them.
Count = Annotated[int, Field(ge=1, le=65_536)]
Depth = Annotated[int, Field(ge=1, le=256)]


class NetworkConfig(Settings):
    """What a network is. A bit width of None means float; an option that is left out is as usual for the name.

    Raises UsageError naming an option that does not fit.
    """

    name: Name = "tsm-lite"
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    labels: Literal["single", "independent"] = "single"  # one class per clip, or each class by itself
    positive: str | None = None  # the class that raises the alarm; None: no binary decision
    frames: Count = 8
    size: Annotated[int, Field(ge=8, le=4096)] = 64  # pixels, height and width
    transform: TransformConfig = Field(
        default_factory=lambda known: TransformConfig.of(known.get("frames", 8), known.get("size", 64))
    )
    # Of MobileNets: the share of the paper's channels.
    alpha: Annotated[float, Field(gt=0, le=MOST_ALPHA)] | None = None
    # Channels of the stem, then of each block or stage (of SlowFast: inside its slow pathway's bottlenecks; C3D has
    # no stem), and by what each divides height and width.
    widths: Annotated[tuple[Count, ...], Field(min_length=2)] = (16, 16, 32, 64)
    strides: tuple[Annotated[int, Field(ge=1, le=2)], ...] = (2, 2, 2, 2)
    depths: tuple[Depth, ...] = ()  # blocks of each stage
    expansion: Annotated[float, Field(ge=1, le=1024)] = (
        1  # how much wider a bottleneck's wide end is than its narrow one
    )
    last_width: Count = 1  # channels of the 1x1 convolution before the mean
    stem_kernel: Count = 3  # height and width of the first kernel
    kernel_t: Count = 1  # frames that each convolution of a residual network sees
    causal: bool = False  # temporal windows end with the present frame
    speed_ratio: Count = 1  # of SlowFast: the slow pathway sees one frame in this many (the paper's alpha)
    channel_ratio: Count = (
        1  # of SlowFast: the fast pathway has one channel to this many (1 / the paper's beta)
    )
    norm_eps: Annotated[float, Field(gt=0)] = 1e-5  # of every BatchNorm
    weight_bits: Bits = 4
    act_bits: Bits = 4
    edge_bits: Bits = 8  # weights of the first and the last layer
    feature_bits: Annotated[int, Field(ge=2, le=8)] = 8  # of a clip's means, where these are quantized
    shift: Literal["bidirectional", "online", "none"] = "bidirectional"
    shift_share: Annotated[int, Field(ge=2)] = (
        8  # one channel in this many comes from the frame before (and after)
    )
    shift_blocks: tuple[Annotated[int, Field(ge=0)], ...] | None = None  # counted from 0; None: all of them
    shift_place: Literal["residual", "in-place"] = "residual"  # in place, a block's shortcut sees it too
    head_hidden: tuple[Count, ...] = ()  # features of the layers between the means and the logits
    head_bias: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # before each layer of the head, in training
    weight_scales: Literal["max", "learned"] = "max"  # from the largest weight, or learned

    @model_validator(mode="before")
    @classmethod
    def _usual_of_its_name(cls, values: dict) -> dict:
        """What an option that is left out is for a network of that name."""
        name = values.get("name", "tsm-lite")
        return usual(name, values) | values if isinstance(name, str) and name in FAMILIES else values

    @model_validator(mode="before")
    @classmethod
    def _shape_of_the_transform(cls, values: dict) -> dict:
        """A transform alone also gives frames and size; None stands for the plain one."""
        if values.get("transform") is None:
            return {key: value for key, value in values.items() if key != "transform"}
        transform = TransformConfig.model_validate(values["transform"])
        return {"frames": transform.num_frames, "size": transform.crop_size} | values

    @model_validator(mode="after")
    def _fits_together(self) -> "NetworkConfig":
        self._fits_transform()
        self._fits_classes()
        self._fits_name()
        self._fits_shape()
        self._fits_shift()
        if self.family == "slowfast":
            self._fits_pathways()
        if self.family == "c3d":
            self._fits_pools()
        return self

    def _fits_transform(self) -> None:
        given = (self.transform.num_frames, self.transform.crop_size)
        if given != (self.frames, self.size):
            raise UsageError(
                f"transform: num_frames={given[0]} and crop_size={given[1]} must equal frames={self.frames} and "
                f"size={self.size}; leave out one pair or correct it"
            )

    def _fits_classes(self) -> None:
        if len(set(self.classes)) != len(self.classes):
            raise UsageError(f"classes={self.classes} names a class twice; give each class one name")
        if self.positive is not None and self.positive not in self.classes:
            raise UsageError(f"positive={self.positive!r} is not a class; choose one of {list(self.classes)}")
        if len(self.classes) == 1 and self.labels == "single":
            raise UsageError(
                f"classes={self.classes}: one class tells nothing apart; name two, or use labels=independent"
            )

    def _fits_name(self) -> None:
        """No option of other families, and what tells networks of one family apart."""
        fields = type(self).model_fields
        for option in sorted(set().union(*OWN.values()) - OWN[self.family]):
            value = getattr(self, option)
            if value != ("none" if option == "shift" else fields[option].default):
                raise UsageError(
                    f"{option}={value!r} is not of {self.name} but of {', '.join(owners(option))}; leave it out"
                )
        if self.family != "residual":
            return
        if (self.name == "tsm-lite") == (self.shift == "none"):
            raise UsageError(
                f"shift={self.shift!r} is not of {self.name}; tsn-lite and i3d-lite have 'none', tsm-lite one of "
                f"the others"
            )
        if (self.name == "i3d-lite") == (self.kernel_t == 1) or self.kernel_t % 2 == 0:
            raise UsageError(
                f"kernel_t={self.kernel_t} is not of {self.name}; i3d-lite has an odd one from 3, the others 1"
            )
        if self.causal and self.kernel_t == 1:
            raise UsageError(f"causal=True: {self.name} has no temporal convolution; use shift=online")

    def _fits_shape(self) -> None:
        if len(self.strides) != len(self.widths):
            raise UsageError(f"strides={self.strides} must have one stride for each of widths={self.widths}")
        if "depths" in OWN[self.family] and len(self.depths) != self.stages:
            raise UsageError(
                f"depths={self.depths} must have one number of blocks for each of the {self.stages} stages of "
                f"widths={self.widths}"
            )
        if "shift" in OWN[self.family] and self.size % math.prod(self.strides):
            raise UsageError(
                f"size={self.size} does not divide by {math.prod(self.strides)}, the product of strides"
            )
        meant = {"mobilenet": mobilenet_shape.widths, "mobilenetv2": mobilenetv2_shape.widths}.get(
            self.family
        )
        if self.alpha is not None and meant is not None and self.widths != meant(self.alpha):
            raise UsageError(
                f"alpha={self.alpha} means widths={meant(self.alpha)}, not {self.widths}; "
                f"leave out one of the two"
            )

    def _fits_shift(self) -> None:
        inputs = self.block_inputs
        if self.shift_blocks is not None and any(place >= len(inputs) for place in self.shift_blocks):
            raise UsageError(
                f"shift_blocks={self.shift_blocks}: there are {len(inputs)} blocks; use 0 to {len(inputs) - 1}"
            )
        for place, width in enumerate(inputs):
            if self.shifts(place) and width % self.shift_share:
                raise UsageError(
                    f"widths={self.widths}: {width} channels do not divide by shift_share={self.shift_share}"
                )

    def _fits_pathways(self) -> None:
        if self.frames % self.speed_ratio:
            raise UsageError(
                f"speed_ratio={self.speed_ratio} does not divide {self.frames} frames; "
                f"choose one of {_divisors(self.frames)}"
            )
        if any(width % self.channel_ratio for width in self.widths):
            raise UsageError(
                f"channel_ratio={self.channel_ratio} does not divide each of widths={self.widths}; "
                f"choose one of {_divisors(math.gcd(*self.widths))}"
            )

    def _fits_pools(self) -> None:
        """All pools of C3D but the first halve the frames, until one is left."""
        if self.frames != 2 ** (len(self.widths) - 1):
            raise UsageError(
                f"frames={self.frames}: {len(self.widths)} stages need {2 ** (len(self.widths) - 1)} frames, as "
                f"each but the first halves them until one is left; change frames or widths"
            )

    @property
    def family(self) -> Family:
        """The kind of network that `name` is one of."""
        return FAMILIES[self.name]

    @property
    def stages(self) -> int:
        """Stages behind the stem; C3D has none."""
        return len(self.widths) - (self.family != "c3d")

    @property
    def block_inputs(self) -> tuple[int, ...]:
        """Channels that enter each block of a network of frames."""
        if self.family != "mobilenetv2":
            return self.widths[:-1]
        blocks = zip(self.widths, self.widths[1:], self.depths, strict=False)
        return tuple(width for before, own, depth in blocks for width in (before, *[own] * (depth - 1)))

    @property
    def precision(self) -> str:
        """`float`, or the bit widths of weights and activations, as in `w4a4`."""
        if self.weight_bits is None and self.act_bits is None:
            return "float"
        return f"w{self.weight_bits or 'float'}a{self.act_bits or 'float'}"

    @property
    def streams(self) -> bool:
        """Whether no layer looks ahead, so that the network can run for ever, frame by frame."""
        temporal = "causal" in OWN[self.family] and (self.family != "residual" or self.kernel_t > 1)
        return self.shift != "bidirectional" and self.family != "c3d" and (self.causal or not temporal)

    def as_float(self) -> "NetworkConfig":
        """The same network without any quantizer."""
        return self.model_copy(update={"weight_bits": None, "act_bits": None, "edge_bits": None})

    def shifts(self, block: int) -> bool:
        """Whether a temporal shift stands before block number `block`, from 0."""
        return self.shift != "none" and (self.shift_blocks is None or block in self.shift_blocks)

    def gather_groups(self, channels: int) -> tuple[tuple[int, int, int], ...]:
        """The temporal shift of a tensor of `channels` channels as ranges `(begin, end, frame offset)`."""
        part = channels // self.shift_share
        return {
            "bidirectional": ((0, part, -1), (part, 2 * part, 1), (2 * part, channels, 0)),
            "online": ((0, part, -1), (part, channels, 0)),
            "none": (),
        }[self.shift]


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
