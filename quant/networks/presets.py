# SPDX-License-Identifier: Apache-2.0
"""The networks' names: the family of each, its usual options, and which options a family has of its own.

A `-lite` one is small enough to be trained on two cores; the others are the papers' sizes.
"""

from typing import Any, Literal

from framegate.quant.networks import mobilenet_shape, mobilenetv2_shape

Family = Literal["residual", "mobilenet", "mobilenetv2", "slowfast", "c3d", "r2plus1d", "x3d"]
Name = Literal[
    "tsm-lite",
    "tsn-lite",
    "i3d-lite",
    "tsm-mobilenet",
    "tsm-mobilenetv2",
    "tsm-mobilenetv2-full",
    "slowfast-lite",
    "slowfast-r50",
    "c3d-lite",
    "c3d",
    "r2plus1d-lite",
    "r2plus1d-18",
    "x3d-lite",
    "x3d-m",
]

_SHIFT = {"shift", "shift_share", "shift_blocks"}
# Of the options that not every family has: those of each. `widths` and `strides` are of all.
OWN: dict[Family, set[str]] = {
    "residual": {*_SHIFT, "shift_place", "kernel_t", "causal"},
    "mobilenet": {*_SHIFT, "alpha"},
    "mobilenetv2": {
        *_SHIFT,
        "shift_place",
        "alpha",
        "depths",
        "expansion",
        "last_width",
        "feature_bits",
    },
    "slowfast": {
        "depths",
        "expansion",
        "stem_kernel",
        "speed_ratio",
        "channel_ratio",
        "causal",
        "feature_bits",
    },
    "c3d": {"depths"},
    "r2plus1d": {"depths", "stem_kernel", "causal", "feature_bits"},
    "x3d": {"depths", "expansion", "last_width", "causal", "feature_bits"},
}

FAMILIES: dict[Name, Family] = {
    "tsm-lite": "residual",
    "tsn-lite": "residual",
    "i3d-lite": "residual",
    "tsm-mobilenet": "mobilenet",
    "tsm-mobilenetv2": "mobilenetv2",
    "tsm-mobilenetv2-full": "mobilenetv2",
    "slowfast-lite": "slowfast",
    "slowfast-r50": "slowfast",
    "c3d-lite": "c3d",
    "c3d": "c3d",
    "r2plus1d-lite": "r2plus1d",
    "r2plus1d-18": "r2plus1d",
    "x3d-lite": "x3d",
    "x3d-m": "x3d",
}

MOST_ALPHA = 100.0  # far more than any MobileNet has
_NO_SHIFT = {"shift": "none"}
PRESETS: dict[Name, dict[str, Any]] = {
    "tsm-lite": {},
    "tsn-lite": _NO_SHIFT,
    "i3d-lite": _NO_SHIFT | {"kernel_t": 3},
    "tsm-mobilenet": {
        "size": 96,
        "alpha": 0.25,
        "strides": mobilenet_shape.STRIDES,
        "norm_eps": 1e-3,
        "head_bias": True,
    },
    "tsm-mobilenetv2": {
        "size": 64,
        "alpha": 0.35,
        "strides": (2, 2, 1, 2, 2, 1, 1, 1),
        "depths": (1, 2, 2, 2, 2, 1, 1),
        "expansion": 6,
        "last_width": 256,
    },
    # Lin, Gan and Han, TSM (2019), on MobileNetV2: 8 frames of 224x224.
    "tsm-mobilenetv2-full": {
        "size": 224,
        "alpha": 1.0,
        "strides": mobilenetv2_shape.STRIDES,
        "depths": mobilenetv2_shape.DEPTHS,
        "expansion": 6,
        "last_width": 1280,
        "feature_bits": 6,
        "head_bias": True,
    },
    "slowfast-lite": _NO_SHIFT
    | {
        "widths": (16, 8, 16, 32, 64),
        "strides": (2, 1, 2, 2, 2),
        "depths": (1, 1, 1, 1),
        "expansion": 2,
        "stem_kernel": 3,
        "speed_ratio": 4,
        "channel_ratio": 4,
    },
    # Feichtenhofer et al., SlowFast (2019), table 1: 4x16, ResNet-50.
    "slowfast-r50": _NO_SHIFT
    | {
        "frames": 32,
        "size": 224,
        "widths": (64, 64, 128, 256, 512),
        "strides": (2, 1, 2, 2, 2),
        "depths": (3, 4, 6, 3),
        "expansion": 4,
        "stem_kernel": 7,
        "speed_ratio": 8,
        "channel_ratio": 8,
        "feature_bits": 6,
        "head_bias": True,
    },
    "c3d-lite": _NO_SHIFT
    | {"widths": (8, 16, 32, 32), "strides": (2, 2, 2, 2), "depths": (1, 1, 1, 1), "head_hidden": (64,)},
    # Tran et al., Learning spatiotemporal features with 3D convolutional networks (2015).
    "c3d": _NO_SHIFT
    | {
        "frames": 16,
        "size": 112,
        "widths": (64, 128, 256, 512, 512),
        "strides": (2, 2, 2, 2, 2),
        "depths": (1, 1, 2, 2, 2),
        "head_hidden": (4096, 4096),
        "head_bias": True,
    },
    "r2plus1d-lite": _NO_SHIFT
    | {"widths": (8, 8, 16, 32), "strides": (2, 2, 2, 2), "depths": (1, 1, 1), "stem_kernel": 3},
    # Tran et al., A closer look at spatiotemporal convolutions (2018), 18 layers.
    "r2plus1d-18": _NO_SHIFT
    | {
        "frames": 16,
        "size": 112,
        "widths": (64, 64, 128, 256, 512),
        "strides": (2, 1, 2, 2, 2),
        "depths": (2, 2, 2, 2),
        "stem_kernel": 7,
        "head_bias": True,
    },
    "x3d-lite": _NO_SHIFT
    | {
        "size": 48,
        "widths": (12, 12, 24, 48),
        "strides": (2, 2, 2, 2),
        "depths": (1, 2, 2),
        "expansion": 2.25,
        "last_width": 108,
        "head_hidden": (64,),
    },
    # Feichtenhofer, X3D (2020), size M.
    "x3d-m": _NO_SHIFT
    | {
        "frames": 16,
        "size": 224,
        "widths": (24, 24, 48, 96, 192),
        "strides": (2, 2, 2, 2, 2),
        "depths": (3, 5, 11, 7),
        "expansion": 2.25,
        "last_width": 432,
        "head_hidden": (2048,),
        "head_bias": True,
    },
}


def usual(name: Name, given: dict[str, Any]) -> dict[str, Any]:
    """What the options of a network are that `given` leaves out."""
    found = dict(PRESETS[name])
    alpha = given.get("alpha", found.pop("alpha", None))
    if "widths" in given or not isinstance(alpha, int | float) or not 0 < alpha <= MOST_ALPHA:
        return found
    of_paper = {"mobilenet": mobilenet_shape.widths, "mobilenetv2": mobilenetv2_shape.widths}.get(
        FAMILIES[name]
    )
    return found if of_paper is None else found | {"alpha": alpha, "widths": of_paper(alpha)}


def owners(option: str) -> list[str]:
    """The names of the networks that have an option of some families."""
    return [name for name, family in FAMILIES.items() if option in OWN[family]]
