# SPDX-License-Identifier: Apache-2.0
"""`framegate crossvalidate`: measure a recipe on sources that its networks have not seen."""

from pathlib import Path
from typing import Annotated

import typer
from framegate.commands.console import Json, say, show
from framegate.commands.options import LARGEST_SEED, Only, Rate, Source, known_target
from framegate.errors import UsageError
from framegate.files import write_json

EPILOG = (
    "Example: `framegate crossvalidate clips --recipe shoplifting --weights vww_96.h5 --run folds --jobs 2`"
)


def command(
    clips: Annotated[Path, typer.Argument(help="Folder or list of labelled clips.")],
    run: Annotated[Path, typer.Option(help="Folder to write; an interrupted run continues there.")],
    recipe: Annotated[str, typer.Option(help="shoplifting, course, or a TOML file.")] = "shoplifting",
    weights: Annotated[str | None, typer.Option(help="Pretrained weights to start from.")] = None,
    source: Source = None,
    only: Only = None,
    folds: Annotated[
        int, typer.Option(min=2, max=1000, help="How many; by source, stratified by class.")
    ] = 5,
    bits: Annotated[
        str, typer.Option(help="Bits of weights and activations, several separated by commas; or float.")
    ] = "float,8,4,3,2",
    jobs: Annotated[int, typer.Option(min=1, max=1000, help="Folds that are trained at a time.")] = 1,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=LARGEST_SEED, help="Same seed and threads, same folds and networks."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=1000, help="CPU threads of each job.")] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="Also compile the first fold's networks for this board, for their area.",
            callback=known_target,
        ),
    ] = None,
    rate: Rate = "1200",
    json: Json = False,
) -> None:
    """K-fold cross-validation by source: AUC and F1 per precision, with intervals over the sources."""
    from framegate.quant.measures.plots import draw_bits
    from framegate.quant.training.crossval import cross_validate
    from framegate.quant.training.recipe import Recipe

    options = {
        "seed": seed,
        "threads": threads,
        "weights": weights,
        "source": source,
        "only": only,
    }
    settings = Recipe.find(recipe).override(options, {})
    table = cross_validate(settings, clips, run, folds, bits.split(","), jobs, say)
    if target is not None:
        table = _with_areas(table, run, target, rate)
    draw_bits(run / "bits.png", table["rows"])
    show(
        table,
        [
            *_rows(table["rows"]),
            f"wrote {run}/folds.json, scores.csv, bits.png, errors-*.png, threshold-*.json",
        ],
        json,
    )


def _with_areas(table: dict, run: Path, target: str, rate: str) -> dict:
    """The table with lut, ff, bram, dsp of each precision (cost model); None where it cannot be compiled."""
    from framegate.hls.build.build import compile_model
    from framegate.quant.training.crossval import TABLE

    rows = []
    for row in table["rows"]:
        area = dict.fromkeys(("lut", "ff", "bram", "dsp"))
        if row["bits"] != "float":
            name = f"w{row['bits']}a{row['bits']}"
            try:
                compiled = compile_model(
                    str(run / "fold1" / f"{name}.pt"), run / "hardware" / name, target, rate, None, say
                )
                area = {key: getattr(compiled, key) for key in area}
            except UsageError as error:
                say(f"{name}: no hardware for {target}: {error}")
        rows.append(row | area)
    table = table | {"target": target, "rate": rate, "rows": rows}
    write_json(run / TABLE, table)
    return table


def _rows(rows: list[dict]) -> list[str]:
    return [
        f"{row['bits']:>5}: " + ", ".join(f"{name.upper()} {_shown(row[name])}" for name in ("auc", "f1"))
        for row in rows
    ]


def _shown(figure: dict) -> str:
    low, high = figure["interval"]
    return f"{figure['value']:.3f} [{low:.3f}, {high:.3f}]"
