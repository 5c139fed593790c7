# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have."""

import math
from collections.abc import Callable
from typing import Annotated

import typer
from framegate.errors import UsageError
from framegate.hls.build.rate import frames_per_second
from framegate.hls.targets import load_target


def within(
    least: float, most: float, what: str
) -> Callable[[typer.CallbackParam, float | None], float | None]:
    """What checks a number from the command line; no comparison holds for nan, so typer's own ranges let it pass."""

    def check(param: typer.CallbackParam, value: float | None) -> float | None:
        if value is not None and not (math.isfinite(value) and least <= value <= most):
            raise UsageError(f"{param.opts[0]} {value:g}: give {what} from {least:g} to {most:g}")
        return value

    return check


def _checked(read: Callable[[str], object]) -> Callable[[str | None], str | None]:
    """What lets a word from the command line pass when `read` can read it, before any work is begun."""

    def check(value: str | None) -> str | None:
        if value is not None:
            read(value)
        return value

    return check


known_target = _checked(load_target)
known_rate = _checked(frames_per_second)
LARGEST_SEED = 2**32 - 1  # of numpy and torch
MANY = 1_000_000  # clips, epochs and the like: above every use, and far below where memory ends

Source = Annotated[
    str | None, typer.Option(help="Pattern with one group that finds a clip's source in its path.")
]
Only = Annotated[list[str] | None, typer.Option(help="Take this class only; may be given several times.")]
Network = Annotated[
    str, typer.Argument(help="A checkpoint.pt, a QONNX file (.onnx), or the name of a built-in network.")
]
Board = Annotated[str, typer.Option(help="The board.", callback=known_target)]
Rate = Annotated[
    str,
    typer.Option(
        help='Frames per second to reach, or "max": the fastest that fits.',
        callback=known_rate,
    ),
]
Clock = Annotated[
    float | None, typer.Option(help="MHz; by default the board's.", callback=within(1, 1000, "MHz"))
]
