# SPDX-License-Identifier: Apache-2.0
"""From a QONNX graph to SystemVerilog and a bitstream."""
