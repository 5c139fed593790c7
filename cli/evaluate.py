# SPDX-License-Identifier: Apache-2.0
"""`framegate evaluate`: how good a network is on clips."""

from pathlib import Path
from typing import Annotated

import typer
from framegate.console import Json, show

EPILOG = "Example: `framegate evaluate --clips my_clips --model run/checkpoint.pt`"


def command(
    clips: Annotated[
        Path, typer.Option(help="A video, or a folder of class folders, of videos, or with a clips.csv.")
    ],
    model: Annotated[
        str, typer.Option(help="A checkpoint.pt, or the name of a built-in network.")
    ] = "tsm-lite",
    json: Json = False,
) -> None:
    """Run the network on real videos: accuracy, AUC, F1, precision, recall; the prediction for each clip."""
    from framegate.quant import threshold
    from framegate.quant.clips import find_clips
    from framegate.quant.metrics import evaluate
    from framegate.quant.networks import find

    network = find(model)
    result = evaluate(network, find_clips(clips), model, threshold.of_model(model, network.config))
    show(result, _lines(result), json)


def _lines(result: dict) -> list[str]:
    keys = ("accuracy", "auc", "f1", "precision_score", "recall", "threshold")
    figures = [f"{key}: {result[key]:.3f}" for key in keys if result[key] is not None]
    each = [f"{clip['path']}: {clip['prediction']}" for clip in result["predictions"][:10]]
    more = [f"… and {result['clips'] - 10} more; all with --json"] if result["clips"] > 10 else []
    return [f"{result['model']} ({result['precision']}) on {result['clips']} clips", *figures, *each, *more]
