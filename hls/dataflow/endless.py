# SPDX-License-Identifier: Apache-2.0
"""Streaming: a network of clips as one that runs for ever, with a score per step of frames and no look ahead."""

from dataclasses import replace
from math import lcm

from framegate.errors import UsageError
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.kernels import FrameGather, Kernel, Mean, Shift, SlidingMean
from framegate.hls.stream import Stream


def endless(dataflow: Dataflow) -> Dataflow:
    """`dataflow`, unfolded, without clips: a step of as few frames as give a score takes the place of a clip.

    A step is one frame, or where frames are skipped the product of the strides. Frames before the first are zero, and
    the score is that of the last `dataflow.pixels.frames` frames: so after that many frames it is the clip's.
    Raises UsageError naming the layer that looks ahead.
    """
    step = _step(dataflow)
    streams = {(PIXELS, 0): replace(dataflow.pixels, frames=step)}
    kernels = []
    for kernel in dataflow.kernels:
        taken = [streams[link.producer, link.port] for link in dataflow.links_into(kernel.name)]
        kernels.append(_without_clips(kernel, taken))
        streams |= {(kernel.name, port): stream for port, stream in enumerate(kernels[-1].outputs)}
    window = dataflow.pixels.frames
    return replace(dataflow, pixels=streams[PIXELS, 0], kernels=tuple(kernels), window=window).check(
        "streaming"
    )


def _step(dataflow: Dataflow) -> int:
    """Frames from one score to the next."""
    frames = dataflow.pixels.frames
    every = {PIXELS: 1}  # frames that enter per frame that a kernel gives
    for kernel in dataflow.kernels:
        every[kernel.name] = lcm(*(every[link.producer] for link in dataflow.links_into(kernel.name)))
        if isinstance(kernel, FrameGather):
            every[kernel.name] *= kernel.stride_t
    step = lcm(*every.values())
    for kernel in dataflow.kernels:
        if isinstance(kernel, FrameGather | Shift) and kernel.lookahead:
            raise UsageError(
                f"{kernel.name}: looks {kernel.lookahead} frames ahead, which a camera that never ends cannot give; "
                f"train the network with shift=online or causal=true"
            )
    if frames % step:
        raise UsageError(
            f"{dataflow.model}: gives a score every {step} frames, which do not divide the {frames} frames of a clip; "
            f"train with a number of frames that they do divide"
        )
    return step


def _without_clips(kernel: Kernel, taken: list[Stream]) -> Kernel:
    if isinstance(kernel, Mean) and kernel.over == "clip":
        return SlidingMean(name=kernel.name, input=taken[0], window=kernel.input.frames)
    if isinstance(kernel, FrameGather):
        return replace(kernel, input=taken[0], output_frames=0, endless=True)
    if isinstance(kernel, Shift):
        return replace(kernel, input=taken[0], endless=True)
    return kernel.taking(*taken)
