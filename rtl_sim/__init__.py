# SPDX-License-Identifier: Apache-2.0
"""Integer reference, latency prediction and RTL simulation."""
