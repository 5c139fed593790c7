# SPDX-License-Identifier: Apache-2.0
"""The two kinds of failure that are reported on purpose, and the end from outside; the rest are bugs."""


class FramegateError(Exception):
    """A check did not hold. Reported in one line, without a traceback; the process ends with `exit_code`."""

    exit_code = 1


class UsageError(FramegateError):
    """A file, layer or option is wrong; the message names it and the remedy."""

    exit_code = 2


class Interrupted(BaseException):
    """A signal asked us to end; the exit code is the shell's for it. No Exception: nothing on the way may catch it."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.exit_code = 128 + signal
