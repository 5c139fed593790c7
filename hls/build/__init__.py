# SPDX-License-Identifier: Apache-2.0
"""A build folder: its files, its steps, what makes each stale."""
