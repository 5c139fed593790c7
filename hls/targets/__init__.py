# SPDX-License-Identifier: Apache-2.0
"""Boards and devices, one TOML file each."""
