# SPDX-License-Identifier: Apache-2.0
"""The channels and strides of MobileNetV1: what a configuration knows of the network without building it."""

# Of the paper, for alpha = 1: the stem, then 13 blocks.
WIDTHS = (32, 64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024)
STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)


def widths(alpha: float) -> tuple[int, ...]:
    """Channels of the stem and of each block, rounded down as Keras does."""
    return tuple(int(width * alpha) for width in WIDTHS)
