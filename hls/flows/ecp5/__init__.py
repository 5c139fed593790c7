# SPDX-License-Identifier: Apache-2.0
"""Lattice ECP5 with Yosys, nextpnr and ecppack."""
