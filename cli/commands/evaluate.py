# SPDX-License-Identifier: Apache-2.0
"""`framegate evaluate`: how good a network is on clips, where its alarm begins, and which of several is best."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from framegate.commands.console import Json, say, show
from framegate.commands.options import MANY, Only, Source, within
from framegate.errors import UsageError

if TYPE_CHECKING:  # at run time they are imported late: torch takes seconds
    from framegate.quant.clips.video import Clip
    from framegate.quant.measures.alarm_threshold import Rule
    from framegate.quant.networks.checkpoint import Network

EPILOG = "Example: `framegate evaluate --clips my_clips --model run/checkpoint.pt --plots run/evaluation`"
CHOOSE, LOOK = "Choose the threshold on these clips", "What to look at"


Clips = Annotated[
    Path, typer.Option(help="A video, or a folder of class folders, of videos, or with a clips.csv.")
]
Model = Annotated[str, typer.Option(help="A checkpoint.pt, or the name of a built-in network.")]
Threshold = Annotated[
    str | None, typer.Option(help="A threshold.json, or a probability; by default what is kept with it.")
]
Views = Annotated[
    str | None,
    typer.Option(
        help="Clips x crops whose logits are averaged, as in 10x3; a board sees 1x1. By default the model's.",
        rich_help_panel=LOOK,
    ),
]
Plots = Annotated[
    Path | None, typer.Option(help="Folder for pictures and evaluation.json.", rich_help_panel=LOOK)
]
OfNetwork = Annotated[
    str | None, typer.Option(help="Refuse a model of another network.", rich_help_panel=LOOK)
]
Precision = Annotated[
    str | None, typer.Option(help="Refuse another one: float, w4a4 …", rich_help_panel=LOOK)
]
AsTable = Annotated[
    bool, typer.Option("--table", help="Accuracy and speed, by model and views.", rich_help_panel=LOOK)
]
Models = Annotated[
    str | None,
    typer.Option(help="For the table: several, with commas; float twins are added.", rich_help_panel=LOOK),
]
Beta = Annotated[
    float | None,
    typer.Option(
        help="For the best F-beta; 1 is F1.", rich_help_panel=CHOOSE, callback=within(0.001, 1000, "a number")
    ),
]
MinRecall = Annotated[
    float | None,
    typer.Option(
        help="For at least this recall, 0 to 1.", rich_help_panel=CHOOSE, callback=within(0, 1, "a share")
    ),
]
MaxFalseAlarms = Annotated[
    float | None,
    typer.Option(
        help="For at most so many in an hour of video.",
        rich_help_panel=CHOOSE,
        callback=within(0, MANY, "alarms per hour"),
    ),
]
SaveThreshold = Annotated[
    Path | None, typer.Option(help="The threshold.json to write.", rich_help_panel=CHOOSE)
]


def command(
    clips: Clips,
    model: Model = "tsm-lite",
    source: Source = None,
    only: Only = None,
    threshold: Threshold = None,
    views: Views = None,
    plots: Plots = None,
    network: OfNetwork = None,
    precision: Precision = None,
    table: AsTable = False,
    models: Models = None,
    beta: Beta = None,
    min_recall: MinRecall = None,
    max_false_alarms: MaxFalseAlarms = None,
    save_threshold: SaveThreshold = None,
    json: Json = False,
) -> None:
    """Run the network on real videos: accuracy, AUC, F1, precision, recall; the prediction for each clip."""
    from framegate.quant.clips.layouts import find_clips
    from framegate.quant.measures.compare import compare
    from framegate.quant.networks.checkpoint import find

    if table or models:
        found = compare(
            (models or model).split(","), find_clips(clips, source=source, only=only or ()), say=say
        )
        show(found, list(_table(found)), json)
        return
    rule = _rule(beta, min_recall, max_false_alarms, save_threshold, threshold)
    loaded = find(model)
    _check(model, network, loaded.config.name, "network")
    _check(model, precision, loaded.config.precision, "precision")
    clip_list = find_clips(clips, source=source, only=only or ())
    result, wrote = _evaluated(
        loaded,
        model,
        clip_list,
        threshold=threshold,
        rule=rule,
        views=views,
        save_to=save_threshold,
        plots=plots,
    )
    show(
        result | {"wrote": list(map(str, wrote))},
        [*_lines(result), *(f"wrote {path}" for path in wrote)],
        json,
    )


def _evaluated(
    network: "Network",
    model: str,
    clips: "list[Clip]",
    *,
    threshold: str | None,
    rule: "Rule | None",
    views: str | None,
    save_to: Path | None,
    plots: Path | None,
) -> tuple[dict[str, Any], list[Path]]:
    """The figures of the network called `model` on clips, and the files that were written of them."""
    from framegate.quant.measures import alarm_threshold, kept_evaluation
    from framegate.quant.measures.compare import name_of, views_of
    from framegate.quant.measures.evaluate import choose_for, report
    from framegate.quant.measures.predict import readable_logits
    from framegate.quant.networks.checkpoint import model_file

    config = network.config
    limits = (
        alarm_threshold.given(threshold, config) if threshold else alarm_threshold.of_model(model, config)
    )
    transform = views_of(views, config.transform) if views else config.transform
    clips, values, broken = readable_logits(network, clips, transform)
    for trouble in broken:
        say(f"skipped {trouble}")
    if rule is not None:
        limits = choose_for(values, clips, config, rule)
    result = report(config, clips, values, model, limits) | {"views": name_of(transform)}
    wrote = []
    if save_to is not None:
        wrote.append(alarm_threshold.save(save_to, config, limits))
    if plots is not None:
        wrote += kept_evaluation.keep(plots, result, values, clips, config, limits, model_file(model))
    return result, wrote


def _rule(
    beta: float | None,
    min_recall: float | None,
    max_false_alarms: float | None,
    save_threshold: Path | None,
    threshold: str | None,
) -> "Rule | None":
    """How to choose a threshold; None to take the one that is there."""
    from framegate.quant.measures.alarm_threshold import Rule

    ask = {"beta": beta, "min_recall": min_recall, "max_false_alarms": max_false_alarms}
    given: dict[str, Any] = {name: value for name, value in ask.items() if value is not None}
    ways = "--beta, --min-recall or --max-false-alarms"
    if len(given) > 1:
        raise UsageError(f"a threshold is chosen in one way; give one of {ways}")
    if given and threshold is not None:
        raise UsageError(f"--threshold {threshold}: is there already; leave out {ways}, or --threshold")
    if not given and save_threshold is not None:
        raise UsageError(f"--save-threshold {save_threshold}: say how to choose it, with {ways}")
    return Rule(**given) if given else None


def _check(model: str, wanted: str | None, found: str, what: str) -> None:
    if wanted is not None and wanted != found:
        raise UsageError(
            f"{model}: its {what} is {found}, not {wanted}; give another checkpoint or --{what} {found}"
        )


_FIGURES = ("accuracy", "top5", "exact_match", "auc", "average_precision", "f1", "precision_score", "recall")


def _lines(result: dict[str, Any]) -> Iterator[str]:
    yield f"{result['model']} ({result['precision']}) on {result['clips']} clips, {result['views']} views"
    intervals = result.get("intervals", {})
    for key in _FIGURES:
        if result.get(key) is not None:
            yield f"{key}: {result[key]:.3f}{_ends(intervals.get(key))}"
    if result.get("auc") is None and result["accuracy"] is not None:
        yield "auc: needs clips with and without each class"
    if (alarm := result.get("alarm")) is not None:
        yield f"threshold: {alarm['threshold']:.3f} (logit {alarm['logit']:.4g}, {alarm['chosen_by']})"
    for name, entry in result.get("per_class", {}).items():
        figures = [f"{key} {entry[key]:.3f}" for key in _FIGURES[3:] if entry.get(key) is not None]
        yield f"  {name}, {entry['clips']} clips: {', '.join(figures)}"
    for clip in result["predictions"][:10]:
        alarm = " ALARM" if clip.get("alarm") else ""
        yield f"{clip['path']}: {clip['prediction']}{alarm}"
    if result["clips"] > 10:
        yield f"… and {result['clips'] - 10} more; all with --json"


def _ends(interval: list[float] | None) -> str:
    return f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""


def _table(found: dict[str, Any]) -> Iterator[str]:
    heads = " ".join(f"{name:>7}" for name in ("top 1", "top 5", "AUC", "F1"))
    yield f"{'model':30} {'bits':7} {'views':6} {heads} {'s/sample':>9} {'videos/s':>9}"
    for row in found["rows"]:
        figures = (row["accuracy"], row["top5"], row["auc"], row["f1"])
        shown = " ".join(f"{value:7.3f}" if value is not None else f"{'-':>7}" for value in figures)
        yield (
            f"{row['model'][-30:]:30} {row['precision']:7} {row['views']:6} {shown} "
            f"{row['seconds_per_sample']:9.4f} {row['videos_per_second']:9.1f}"
        )
    yield f"{found['clips']} clips, {found['threads']} threads; {found['timing']}"
