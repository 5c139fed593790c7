# SPDX-License-Identifier: Apache-2.0
"""From QONNX to FINN's hardware nodes, and from those to the dataflow."""
