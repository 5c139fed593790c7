# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have."""

from typing import Annotated

import typer

Source = Annotated[
    str | None, typer.Option(help="Pattern with one group that finds a clip's source in its path.")
]
Only = Annotated[list[str] | None, typer.Option(help="Take this class only; may be given several times.")]
Network = Annotated[
    str, typer.Argument(help="A checkpoint.pt, a QONNX file (.onnx), or the name of a built-in network.")
]
Board = Annotated[str, typer.Option(help="The board.")]
Clock = Annotated[float | None, typer.Option(help="MHz; by default the board's.")]
