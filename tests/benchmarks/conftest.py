# SPDX-License-Identifier: Apache-2.0
"""The command line, as the tests of the commands call it."""

from tests.cli.conftest import framegate

__all__ = ["framegate"]
