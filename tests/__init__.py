# SPDX-License-Identifier: Apache-2.0
"""Tests, mirroring the packages; helpers are imported as `tests.<module>`."""
