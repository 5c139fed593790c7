# SPDX-License-Identifier: Apache-2.0
"""The operators that FINN lacks, as an ONNX domain: QONNX imports this module, whose name is the domain.

Importing it also registers `FrameGather_rtl` with FINN's RTL operators, and replaces QONNX's Im2Col and FINN's VVAU
by ones that are right for more than one frame on the batch axis: qonnx 1.0.0 mixes the frames, finn-plus 1.6.1 takes
one.
"""

from framegate.hls.operators.batch_fixes import VVAU, Im2Col
from framegate.hls.operators.datatype import datatype
from framegate.hls.operators.frame_gather import FrameGather
from framegate.hls.operators.frame_gather_rtl import FrameGather_rtl, SpecializeFrameGather
from framegate.hls.operators.frame_mean import FrameMean
from framegate.hls.operators.pools import ChannelMax, SumPool
from qonnx.custom_op.registry import add_op_to_domain

DOMAIN = __name__
__all__ = [
    "DOMAIN",
    "ChannelMax",
    "FrameGather",
    "FrameGather_rtl",
    "FrameMean",
    "SpecializeFrameGather",
    "SumPool",
    "datatype",
]


add_op_to_domain("qonnx.custom_op.general", Im2Col)


add_op_to_domain("finn.custom_op.fpgadataflow", VVAU)
