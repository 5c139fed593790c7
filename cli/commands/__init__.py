# SPDX-License-Identifier: Apache-2.0
"""The commands: one file each, without logic of its own."""
