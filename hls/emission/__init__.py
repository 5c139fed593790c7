# SPDX-License-Identifier: Apache-2.0
"""From dataflow to SystemVerilog: the top and the memory images."""
