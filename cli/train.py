# SPDX-License-Identifier: Apache-2.0
"""`framegate train`: fine-tune a network on clips."""

from pathlib import Path
from typing import Annotated

import typer
from framegate.console import Json, say, show
from framegate.options import LARGEST_SEED, MANY, Only, Source, within

EPILOG = "Example: `framegate train clips --run run --positive conceal --test test_clips`"


def command(
    clips: Annotated[Path, typer.Argument(help="Folder of class folders, or with a clips.csv.")],
    run: Annotated[Path, typer.Option(help="Folder to write; a run that was interrupted there continues.")],
    recipe: Annotated[
        str | None, typer.Option(help="shoplifting, course, or a TOML file; the flags here override it.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Pretrained weights to start from: a Keras .h5 or a torch checkpoint.")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="Folder of clips to measure on at the end.")] = None,
    source: Source = None,
    only: Only = None,
    inflate: Annotated[
        str | None, typer.Option(help="Checkpoint of tsn-lite from which i3d-lite starts.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="tsn-lite, tsm-lite, tsm-mobilenet, tsm-mobilenetv2, i3d-lite, slowfast-lite, c3d-lite, "
            "r2plus1d-lite, x3d-lite, or a full size: tsm-mobilenetv2-full, slowfast-r50, c3d, r2plus1d-18, x3d-m."
        ),
    ] = None,
    positive: Annotated[str | None, typer.Option(help="The class that raises the alarm.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="single, or independent: several classes, or none, per clip.")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, max=MANY, help="Frames taken of each clip.")] = None,
    size: Annotated[
        int | None, typer.Option(min=1, max=MANY, help="Height and width of the input, pixels.")
    ] = None,
    shift: Annotated[
        str | None, typer.Option(help="bidirectional or online (needs no future frame).")
    ] = None,
    causal: Annotated[
        bool | None,
        typer.Option("--causal/--centred", help="Temporal convolutions see no future frame."),
    ] = None,
    weight_bits: Annotated[str | None, typer.Option(help="2 to 8, or float.")] = None,
    act_bits: Annotated[str | None, typer.Option(help="2 to 8, or float.")] = None,
    edge_bits: Annotated[str | None, typer.Option(help="First and last weights: 2 to 8, or float.")] = None,
    float_epochs: Annotated[
        int | None, typer.Option(min=0, max=MANY, help="Epochs of the float network.")
    ] = None,
    quantized_epochs: Annotated[
        int | None, typer.Option(min=0, max=MANY, help="Epochs of the quantized one after it.")
    ] = None,
    prune: Annotated[
        float | None,
        typer.Option(
            help="Share of the channels inside blocks that go after the float epochs; 0 keeps all.",
            callback=within(0, 1, "a share"),
        ),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, max=MANY, help="Clips per step.")] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=0, max=MANY, help="Stop after so many epochs without a better validation AUC."),
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(
            help="Share of the sources to validate on; 0 trains on all.", callback=within(0, 1, "a share")
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST_SEED, help="Same seed and threads, same network.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=1000, help="CPU threads; by default one per core.")
    ] = None,
    accelerator: Annotated[str | None, typer.Option(help="auto, cpu or gpu.")] = None,
    devices: Annotated[
        int | None, typer.Option(min=1, max=1000, help="GPUs (or processes) per node.")
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Machines, each started with this command.")
    ] = None,
    json: Json = False,
) -> None:
    """Train a float network, then quantize and fine-tune it; an interrupted run continues."""
    from framegate.quant.recipe import Recipe
    from framegate.quant.train import train

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
    lines = [
        f"{precision}, {where} clips: accuracy {figures['accuracy']:.3f}"
        for precision, sets in metrics.items()
        for where, figures in sets.items()
    ]
    show(metrics, [*lines, f"wrote {run / 'checkpoint.pt'}"], json)
