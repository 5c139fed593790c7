# SPDX-License-Identifier: Apache-2.0
"""The channels, strides and depths of MobileNetV2: what a configuration knows of the network without building it."""

# Sandler et al. (2018), table 2: the stem, then seven stages; all but the first expand by 6.
WIDTHS = (32, 16, 24, 32, 64, 96, 160, 320)
STRIDES = (2, 1, 2, 2, 2, 1, 2, 1)
DEPTHS = (1, 2, 3, 4, 3, 3, 1)


def widths(alpha: float) -> tuple[int, ...]:
    """Channels of the stem and of each stage: the nearest multiple of 8, but not less than 90 % of the share."""
    return tuple(_multiple_of_8(width * alpha) for width in WIDTHS)


def _multiple_of_8(width: float) -> int:
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * width else nearest + 8
