# SPDX-License-Identifier: Apache-2.0
"""framegate: frames in, gates out."""

__version__ = "0.4.0"
