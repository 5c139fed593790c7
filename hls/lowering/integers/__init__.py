# SPDX-License-Identifier: Apache-2.0
"""From floats to integers: scales, thresholds, products, pools."""
