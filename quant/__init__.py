# SPDX-License-Identifier: Apache-2.0
"""Clips, networks, fine-tuning and QONNX export."""
