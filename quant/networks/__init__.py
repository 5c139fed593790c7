# SPDX-License-Identifier: Apache-2.0
"""What a network is: options, layers, families, checkpoints, export."""
