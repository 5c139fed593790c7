# SPDX-License-Identifier: Apache-2.0
"""A network of every family that is small enough to make and export in a test."""

from collections.abc import Iterable

from _pytest.mark.structures import ParameterSet
from framegate.quant.networks.checkpoint import NetworkConfig

from tests.slow import slow_if

SMALL = {"classes": ("a", "b", "c"), "frames": 4, "size": 16}
OPTIONS = {
    "tsn-lite": {"widths": (8, 16), "strides": (2, 2)},
    "tsm-lite": {"widths": (8, 8, 16), "strides": (2, 1, 2), "shift": "online", "shift_place": "in-place"},
    "i3d-lite": {"widths": (8, 8), "strides": (2, 2)},
    "tsm-mobilenet": {"widths": (8, 8), "strides": (2, 2), "head_hidden": (8,)},
    "tsm-mobilenetv2": {
        "widths": (8, 8, 8),
        "strides": (2, 1, 2),
        "depths": (1, 2),
        "expansion": 2,
        "last_width": 16,
    },
    "slowfast-lite": {
        "widths": (4, 4, 4, 8),
        "strides": (2, 1, 2, 2),
        "depths": (1, 1, 1),
        "speed_ratio": 2,
        "channel_ratio": 2,
    },
    "c3d-lite": {
        "size": 12,  # 6, 3 and padded 2
        "widths": (4, 8, 8),
        "strides": (2, 2, 2),
        "depths": (1, 1, 1),
        "head_hidden": (8,),
    },
    "r2plus1d-lite": {"widths": (4, 4, 8), "strides": (2, 1, 2), "depths": (1, 1)},
    "x3d-lite": {
        "widths": (4, 8),
        "strides": (2, 2),
        "depths": (2,),
        "last_width": 12,
        "head_hidden": (8,),
    },
}
LARGE = ("slowfast-lite", "r2plus1d-lite")
CAUSAL = ("i3d-lite", "slowfast-lite", "r2plus1d-lite", "x3d-lite")  # those with the option


def small(name: str, **options: object) -> NetworkConfig:
    """The small network of that name."""
    return NetworkConfig(**{"name": name, **SMALL, **OPTIONS[name], **options})


def large_ones_slow(names: Iterable[str]) -> list[ParameterSet]:
    """`names` to parametrize a test with, which takes the largest networks half a minute each."""
    return slow_if(LARGE.__contains__, names)
