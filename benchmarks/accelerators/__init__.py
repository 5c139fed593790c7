# SPDX-License-Identifier: Apache-2.0
"""The float networks on a GPU or a CPU: how long one clip takes, with its tail, and what it costs in energy."""
