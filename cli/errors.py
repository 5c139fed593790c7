# SPDX-License-Identifier: Apache-2.0
"""The two kinds of failure that are reported on purpose; everything else is a bug and shows its traceback."""


class FramegateError(Exception):
    """A check did not hold. Reported in one line, without a traceback; the process ends with `exit_code`."""

    exit_code = 1


class UsageError(FramegateError):
    """A file, layer or option is wrong; the message names it and the remedy."""

    exit_code = 2
