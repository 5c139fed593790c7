# SPDX-License-Identifier: Apache-2.0
"""`framegate crossvalidate`: measure a recipe on sources that its networks have not seen."""

from pathlib import Path
from typing import Annotated

import typer
from framegate.console import Json, say, show

EPILOG = (
    "Example: `framegate crossvalidate clips --recipe shoplifting --weights vww_96.h5 --run folds --jobs 2`"
)


def command(
    clips: Annotated[Path, typer.Argument(help="Folder or list of labelled clips.")],
    run: Annotated[Path, typer.Option(help="Folder to write; an interrupted run continues there.")],
    recipe: Annotated[str, typer.Option(help="shoplifting, course, or a TOML file.")] = "shoplifting",
    weights: Annotated[str | None, typer.Option(help="Pretrained weights to start from.")] = None,
    folds: Annotated[int, typer.Option(help="How many; by source, stratified by class.")] = 5,
    bits: Annotated[
        str, typer.Option(help="Bits of weights and activations, several separated by commas; or float.")
    ] = "float,8,4,3,2",
    jobs: Annotated[int, typer.Option(help="Folds that are trained at a time.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Same seed and threads, same folds and networks.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads of each job.")] = None,
    json: Json = False,
) -> None:
    """K-fold cross-validation by source: AUC and F1 per precision, with intervals over the sources."""
    from framegate.quant.crossval import cross_validate
    from framegate.quant.recipe import Recipe

    options = {"seed": seed, "threads": threads, "weights": weights}
    settings = Recipe.find(recipe).override(options, {})
    table = cross_validate(settings, clips, run, folds, bits.split(","), jobs, say)
    show(table, [*_rows(table["rows"]), f"wrote {run / 'folds.json'}, scores.csv, threshold-*.json"], json)


def _rows(rows: list[dict]) -> list[str]:
    return [
        f"{row['bits']:>5}: " + ", ".join(f"{name.upper()} {_shown(row[name])}" for name in ("auc", "f1"))
        for row in rows
    ]


def _shown(figure: dict) -> str:
    low, high = figure["interval"]
    return f"{figure['value']:.3f} [{low:.3f}, {high:.3f}]"
