# SPDX-License-Identifier: Apache-2.0
"""The hardware kernels: one Python file, one SystemVerilog file and one test each.

Every kernel in this folder is found, and is in KINDS; those that other rooms name are imported by name as well.
"""

from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Buffer, Instance, Kernel, Stage
from framegate.hls.kernels._memory import LOAD_BITS, Memory, packed
from framegate.hls.kernels._product import MOST_BITS_IN_LUTS, TERNARY_BITS
from framegate.hls.kernels._sources import STREAM_CHECK, hardware, kinds
from framegate.hls.kernels._timing import Beats, Bursts, Timing, each_beat
from framegate.hls.kernels.add import Add
from framegate.hls.kernels.concat import Concat
from framegate.hls.kernels.decide import Decide
from framegate.hls.kernels.depthwise import Depthwise
from framegate.hls.kernels.fifo import Fifo
from framegate.hls.kernels.fork import Fork
from framegate.hls.kernels.frame_gather import FrameGather, gather_kernel
from framegate.hls.kernels.matvec import MatVec
from framegate.hls.kernels.mean import Mean
from framegate.hls.kernels.pace import Pace
from framegate.hls.kernels.pool import Pool
from framegate.hls.kernels.shift import Shift
from framegate.hls.kernels.skid import Skid
from framegate.hls.kernels.slide import Slide
from framegate.hls.kernels.sliding_mean import SlidingMean
from framegate.hls.kernels.threshold import Threshold
from framegate.hls.kernels.width import Width
from framegate.hls.kernels.window import Window

KINDS: dict[str, type[Kernel]] = {kind.__name__: kind for kind in kinds(__name__, __path__)}

__all__ = [
    "KINDS",
    "LOAD_BITS",
    "MOST_BITS_IN_LUTS",
    "STREAM_CHECK",
    "TERNARY_BITS",
    "Add",
    "Beats",
    "Buffer",
    "Bursts",
    "Concat",
    "Cost",
    "Decide",
    "Depthwise",
    "Fifo",
    "Fork",
    "FrameGather",
    "Instance",
    "Kernel",
    "MatVec",
    "Mean",
    "Memory",
    "Pace",
    "Pool",
    "Shift",
    "Skid",
    "Slide",
    "SlidingMean",
    "Stage",
    "Threshold",
    "Timing",
    "Width",
    "Window",
    "each_beat",
    "gather_kernel",
    "hardware",
    "packed",
]
