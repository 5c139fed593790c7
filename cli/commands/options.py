# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have."""

import math
from collections.abc import Callable
from typing import Annotated

import typer
from framegate.errors import UsageError


def within(
    least: float, most: float, what: str
) -> Callable[[typer.CallbackParam, float | None], float | None]:
    """What checks a number from the command line; no comparison holds for nan, so typer's own ranges let it pass."""

    def check(param: typer.CallbackParam, value: float | None) -> float | None:
        if value is not None and not (math.isfinite(value) and least <= value <= most):
            raise UsageError(f"{param.opts[0]} {value:g}: give {what} from {least:g} to {most:g}")
        return value

    return check


LARGEST_SEED = 2**32 - 1  # of numpy and torch
MANY = 1_000_000  # clips, epochs and the like: above every use, and far below where memory ends

Source = Annotated[
    str | None, typer.Option(help="Pattern with one group that finds a clip's source in its path.")
]
Only = Annotated[list[str] | None, typer.Option(help="Take this class only; may be given several times.")]
Network = Annotated[
    str, typer.Argument(help="A checkpoint.pt, a QONNX file (.onnx), or the name of a built-in network.")
]
Board = Annotated[str, typer.Option(help="The board.")]
Clock = Annotated[
    float | None, typer.Option(help="MHz; by default the board's.", callback=within(1, 1000, "MHz"))
]
