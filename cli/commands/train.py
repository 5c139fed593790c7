# SPDX-License-Identifier: Apache-2.0
"""`framegate train`: fine-tune a network on clips."""

from pathlib import Path
from typing import Annotated, Any

import typer
from framegate.commands.console import Json, say, show
from framegate.commands.options import LARGEST_SEED, MANY, Only, Source, within

EPILOG = "Example: `framegate train clips --run run --positive conceal --test test_clips`"


Clips = Annotated[Path, typer.Argument(help="Folder of class folders, or with a clips.csv.")]
Run = Annotated[Path, typer.Option(help="Folder to write; a run that was interrupted there continues.")]
RecipeName = Annotated[
    str | None, typer.Option(help="shoplifting, course, or a TOML file; the flags here override it.")
]
Weights = Annotated[
    str | None, typer.Option(help="Pretrained weights to start from: a Keras .h5 or a torch checkpoint.")
]
Test = Annotated[Path | None, typer.Option(help="Folder of clips to measure on at the end.")]
Inflate = Annotated[str | None, typer.Option(help="Checkpoint of tsn-lite from which i3d-lite starts.")]
Model = Annotated[
    str | None,
    typer.Option(
        help="tsn-lite, tsm-lite, tsm-mobilenet, tsm-mobilenetv2, i3d-lite, slowfast-lite, c3d-lite, "
        "r2plus1d-lite, x3d-lite, or a full size: tsm-mobilenetv2-full, slowfast-r50, c3d, r2plus1d-18, x3d-m."
    ),
]
Positive = Annotated[str | None, typer.Option(help="The class that raises the alarm.")]
Labels = Annotated[
    str | None, typer.Option(help="single, or independent: several classes, or none, per clip.")
]
Frames = Annotated[int | None, typer.Option(min=1, max=MANY, help="Frames taken of each clip.")]
Size = Annotated[int | None, typer.Option(min=1, max=MANY, help="Height and width of the input, pixels.")]
Shift = Annotated[str | None, typer.Option(help="bidirectional or online (needs no future frame).")]
Causal = Annotated[
    bool | None, typer.Option("--causal/--centred", help="Temporal convolutions see no future frame.")
]
Bits = Annotated[str | None, typer.Option(help="2 to 8, or float.")]
EdgeBits = Annotated[str | None, typer.Option(help="First and last weights: 2 to 8, or float.")]
FloatEpochs = Annotated[int | None, typer.Option(min=0, max=MANY, help="Epochs of the float network.")]
QuantizedEpochs = Annotated[
    int | None, typer.Option(min=0, max=MANY, help="Epochs of the quantized one after it.")
]
Prune = Annotated[
    float | None,
    typer.Option(
        help="Share of the channels inside blocks that go after the float epochs; 0 keeps all.",
        callback=within(0, 1, "a share"),
    ),
]
Batch = Annotated[int | None, typer.Option(min=1, max=MANY, help="Clips per step.")]
Patience = Annotated[
    int | None,
    typer.Option(min=0, max=MANY, help="Stop after so many epochs without a better validation AUC."),
]
Validation = Annotated[
    float | None,
    typer.Option(
        help="Share of the sources to validate on; 0 trains on all.", callback=within(0, 1, "a share")
    ),
]
Seed = Annotated[
    int | None, typer.Option(min=0, max=LARGEST_SEED, help="Same seed and threads, same network.")
]
Threads = Annotated[int | None, typer.Option(min=1, max=1000, help="CPU threads; by default one per core.")]
Accelerator = Annotated[str | None, typer.Option(help="auto, cpu or gpu.")]
Devices = Annotated[int | None, typer.Option(min=1, max=1000, help="GPUs (or processes) per node.")]
Nodes = Annotated[int | None, typer.Option(min=1, max=1000, help="Machines, each started with this command.")]


def command(
    clips: Clips,
    run: Run,
    recipe: RecipeName = None,
    weights: Weights = None,
    test: Test = None,
    source: Source = None,
    only: Only = None,
    inflate: Inflate = None,
    model: Model = None,
    positive: Positive = None,
    labels: Labels = None,
    frames: Frames = None,
    size: Size = None,
    shift: Shift = None,
    causal: Causal = None,
    weight_bits: Bits = None,
    act_bits: Bits = None,
    edge_bits: EdgeBits = None,
    float_epochs: FloatEpochs = None,
    quantized_epochs: QuantizedEpochs = None,
    prune: Prune = None,
    batch: Batch = None,
    patience: Patience = None,
    validation: Validation = None,
    seed: Seed = None,
    threads: Threads = None,
    accelerator: Accelerator = None,
    devices: Devices = None,
    nodes: Nodes = None,
    json: Json = False,
) -> None:
    """Train a float network, then quantize and fine-tune it; an interrupted run continues."""
    from framegate.quant.training.recipe import Recipe
    from framegate.quant.training.train import train

    network = {
        "name": model, "positive": positive, "labels": labels, "frames": frames, "size": size, "shift": shift,
        "causal": causal, "weight_bits": weight_bits, "act_bits": act_bits, "edge_bits": edge_bits,
    }  # fmt: skip
    options = {
        "float_epochs": float_epochs, "quantized_epochs": quantized_epochs, "batch": batch, "seed": seed,
        "threads": threads, "accelerator": accelerator, "devices": devices, "nodes": nodes, "weights": weights,
        "inflate": inflate, "patience": patience, "validation": validation, "source": source, "only": only,
        "prune": prune,
    }  # fmt: skip
    settings = Recipe.find(recipe) if recipe is not None else Recipe()
    metrics = train(settings.override(options, network), clips, run, test, say)
    show(metrics, [*_lines(metrics), f"wrote {run / 'checkpoint.pt'}"], json)


def _lines(metrics: dict[str, Any]) -> list[str]:
    return [
        f"{precision}, {where} clips: accuracy {figures['accuracy']:.3f}"
        for precision, sets in metrics.items()
        for where, figures in sets.items()
    ]
