# SPDX-License-Identifier: Apache-2.0
"""`framegate data`: make clips, look through clips."""

from pathlib import Path
from typing import Annotated, Any

import typer
from framegate.commands.console import Json, print_tables, progress, say, show
from framegate.commands.options import LARGEST_SEED, MANY, Only, Source
from rich.table import Table

app = typer.Typer(help="Make a folder of synthetic clips, or check one of your own.", no_args_is_help=True)


@app.command(epilog="Example: `framegate data shop clips --clips-per-class 200 --seed 1`")
def shop(
    out: Annotated[Path, typer.Argument(help="Folder to write, one sub-folder per action.")],
    clips_per_class: Annotated[
        int, typer.Option(min=1, max=MANY, help="Clips of each of the five actions.")
    ] = 200,
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help="The same seed gives the same clips.")
    ] = 0,
    json: Json = False,
) -> None:
    """Render the synthetic shop: five actions at a shelf, seen from above, as mp4 files."""
    from framegate.quant.clips.shop import ACTIONS, generate

    with progress() as bar:
        task = bar.add_task("rendering", total=len(ACTIONS) * clips_per_class)
        generate(out, clips_per_class, seed, lambda: bar.advance(task))
    say(f"wrote {out}")
    clips = len(ACTIONS) * clips_per_class
    show({"path": str(out), "clips": clips, "classes": list(ACTIONS)}, [f"{clips} clips in {out}"], json)


@app.command(epilog="Example: `framegate data check my_clips --folds 5`")
def check(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Clips in any layout of docs/data.md; several folders are train, test …"),
    ],
    folds: Annotated[
        int | None, typer.Option(min=2, max=1000, help="Fold them by source, as training would.")
    ] = None,
    splits: Annotated[Path | None, typer.Option(help="List with path,split: the parts to compare.")] = None,
    source: Source = None,
    only: Only = None,
    frames: Annotated[
        int, typer.Option(min=1, max=MANY, help="Frames that a network will need of each clip.")
    ] = 8,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Of the folds.")] = 0,
    json: Json = False,
) -> None:
    """Decode every clip: what is there, what is broken, and what is in two classes or on two sides of a split."""
    from framegate.quant.clips import duplicates
    from framegate.quant.clips.layouts import read_splits

    parts = read_splits(folders, splits, source=source, only=only or ())
    with progress() as bar:
        task = bar.add_task("decoding", total=sum(len(part.clips) for part in parts.values()))
        found = duplicates.check(parts, frames, folds, seed, lambda: bar.advance(task))
    result = {"path": ", ".join(map(str, folders)), **found}
    if not json:
        print_tables(_tables(found))
    show(result, _findings(result), json)
    if found["error"]:  # the findings are out already: no second object on stdout
        say(f"framegate: {found['error']}")
        raise typer.Exit(found["exit_code"])


def _tables(found: dict[str, Any]) -> list[Table]:
    """Clips per class, and per split."""
    columns = {"all": {key: found[key] for key in ("clips", "sources", "classes")}, **found["splits"]}
    table = Table("class", *columns, title=f"{found['layout']}: {found['clips']} clips")
    for name in found["classes"]:
        table.add_row(name, *(str(part["classes"].get(name, 0)) for part in columns.values()))
    table.add_section()
    for name in ("clips", "sources"):
        table.add_row(name, *(str(part[name]) for part in columns.values()))
    return [table]


def _findings(result: dict[str, Any]) -> list[str]:
    ranges = [
        f"{name}: {result[name]['least']:g} to {result[name]['most']:g}, median {result[name]['median']:g}"
        for name in ("frames", "seconds")
        if result[name]
    ]
    tallies = [
        f"{name.replace('_', ' ')}: "
        + ", ".join(f"{value} ({count})" for value, count in result[name].items())
        for name in ("sizes", "frames_per_second")
        if result[name]
    ]
    lists = [
        *_listed("broken", result["broken"]),
        *_listed("left aside", result["left_out"]),
        *_listed("the same scene twice", [" and ".join(pair["clips"]) for pair in result["duplicates"]]),
        *_listed("leaks", result["leaks"]),
    ]
    good = result["clips"] - len(result["broken"])
    return [*ranges, *tallies, *lists, f"{result['path']}: {good} clips can be used"]


def _listed(title: str, lines: list[str]) -> list[str]:
    more = [f"  … and {len(lines) - 20} more; all with --json"] if len(lines) > 20 else []
    return [f"{title}: {len(lines)}", *(f"  {line}" for line in lines[:20]), *more] if lines else []
