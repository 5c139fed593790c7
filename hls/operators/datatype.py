# SPDX-License-Identifier: Apache-2.0
"""QONNX's integer types."""

from framegate.hls.stream import bits_for
from qonnx.core.datatype import BaseDataType, DataType


def datatype(low: int, high: int) -> BaseDataType:
    """The smallest QONNX integer type that holds `low` … `high`."""
    bits, signed = bits_for(low, high)
    return DataType[f"{'INT' if signed else 'UINT'}{bits}"]
