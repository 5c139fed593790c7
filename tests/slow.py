# SPDX-License-Identifier: Apache-2.0
"""Parameters of which some take too long for every run."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet


def slow_if(is_slow: Callable[[Any], bool], values: Iterable[Any]) -> list[ParameterSet]:
    """`values`, one or several parameters each, to parametrize a test with; those that are slow are marked."""
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            marks=pytest.mark.slow if is_slow(value) else (),
        )
        for value in values
    ]
