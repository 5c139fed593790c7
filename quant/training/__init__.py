# SPDX-License-Identifier: Apache-2.0
"""How a network learns: recipes, runs, pretrained weights, pruning, cross-validation."""
