# SPDX-License-Identifier: Apache-2.0
"""Synthesis flows: from emitted RTL to a bitstream or a utilization report."""
