# SPDX-License-Identifier: Apache-2.0
"""The ONNX and FINN operators of our own."""
