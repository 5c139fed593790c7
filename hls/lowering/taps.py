# SPDX-License-Identifier: Apache-2.0
"""3-D windows as frame gathers: which frames the taps see, and the weights in their order."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Taps:
    """What a 3-D window does along time: `size` taps, `dilation` frames apart, every `stride` frames."""

    size: int
    stride: int = 1
    dilation: int = 1
    before: int = 0  # frames of zeros before the clip
    after: int = 0

    @property
    def offsets(self) -> list[int]:
        """The frame of each tap, seen from frame stride * j for output frame j."""
        return [tap * self.dilation - self.before for tap in range(self.size)]

    @property
    def one_to_one(self) -> bool:
        """Whether each output frame sees the input frame of its number, alone."""
        return self.offsets == [0] and self.stride == 1 and not self.after

    def outputs(self, frames: int) -> int:
        """Output frames for a clip of `frames`."""
        return (frames + self.before + self.after - self.dilation * (self.size - 1) - 1) // self.stride + 1

    def frame_major(self, channels: int) -> list[tuple[int, int, int]]:
        """Groups of a FrameGather: all channels of a frame, then those of the next."""
        return [(0, channels, offset) for offset in self.offsets]

    def channel_major(self, channels: int) -> list[tuple[int, int, int]]:
        """Groups of a FrameGather: all frames of a channel, then those of the next."""
        return [(channel, channel + 1, offset) for channel in range(channels) for offset in self.offsets]


def flat_weights(weights: np.ndarray, *, depthwise: bool = False) -> np.ndarray:
    """(O, C, k_t, ky, kx) as (O, k_t*C, ky, kx), which reads frame-major groups; depthwise (C, 1, k_t, ky, kx) as
    (C, k_t, ky, kx), which reads channel-major ones.
    """
    if depthwise:
        return weights[:, 0]
    return weights.swapaxes(1, 2).reshape(len(weights), -1, *weights.shape[3:])
