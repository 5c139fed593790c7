# SPDX-License-Identifier: Apache-2.0
"""The typed graph of kernels and streams, and its rewrites."""
