# SPDX-License-Identifier: Apache-2.0
"""What the commands print: words and progress on stderr, results on stdout, as text or as JSON."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

_ERR = Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Tell the person at the terminal, on stderr."""
    _ERR.print(message, markup=False)


def progress() -> Progress:
    """A progress bar on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=_ERR)


def print_tables(tables: list[Table]) -> None:
    """Tables for reading, on stdout."""
    for table in tables:
        Console(highlight=False).print(table)


def markdown(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table, numbers to the right."""
    table = Table(*heads, box=box.MARKDOWN)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    console = Console(width=1000, highlight=False)
    with console.capture() as captured:
        console.print(table, markup=False)
    return [line.rstrip() for line in captured.get().splitlines() if line.strip()]


def first_of(names: Sequence[str]) -> str:
    """Three names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def show(result: dict[str, Any], lines: list[str], as_json: bool) -> None:
    """Print the result of a command on stdout: `result` as JSON, or `lines` for reading."""
    typer.echo(json.dumps(result, indent=2) if as_json else "\n".join(lines))
