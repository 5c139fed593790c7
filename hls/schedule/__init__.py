# SPDX-License-Identifier: Apache-2.0
"""When each beat passes: FIFO depths, initiation interval, latency."""
