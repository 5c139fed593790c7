# SPDX-License-Identifier: Apache-2.0
"""How good a network is: logits, figures with intervals, thresholds of alarms, plots."""
