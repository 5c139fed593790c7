# SPDX-License-Identifier: Apache-2.0
"""AMD UltraScale+ with Yosys and Vivado."""
