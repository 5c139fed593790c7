# SPDX-License-Identifier: Apache-2.0
"""The hardware kernels: one Python file, one SystemVerilog file and one test each."""
