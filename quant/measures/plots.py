# SPDX-License-Identifier: Apache-2.0
"""Pictures of how good a network is: curves with their 95 % bands, the threshold sweep, confusion, scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from framegate.files import LOOK, save_figure
from framegate.quant.measures.alarm_threshold import Choice, Thresholds, sweep
from framegate.quant.measures.bootstrap import LEVEL, Resample, rates
from framegate.quant.measures.metrics import binary_figures
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Cases = Mapping[str, tuple[np.ndarray, np.ndarray]]  # by alarm: scores (N,) and truth (N,)

_DASHES = ("-", "--", ":", "-.")
_GRID = np.linspace(0, 1, 201)


def _figure(width: float = 5.6, height: float = 4.6) -> tuple[Figure, Axes]:
    """A figure of that size, in inches, and its axes."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def draw(
    folder: Path, cases: Cases, thresholds: Thresholds, sources: Sequence[str], confusion: Any = None
) -> list[Path]:
    """Write the PNGs to `folder`; return their paths. `confusion`: (classes, matrix) of one of several classes.

    An alarm of which the clips have one side only has no curves.
    """
    both = {name: case for name, case in cases.items() if case[1].any() and not case[1].all()}
    drawn = Resample.of(sources)
    with style.context(LOOK):
        made: dict[str, Figure] = {}
        if both:
            made["roc"] = _curves(both, thresholds, drawn, "roc")
            made["precision_recall"] = _curves(both, thresholds, drawn, "precision_recall")
        for name, (scores, truth) in both.items():
            suffix = f"_{name}" if len(both) > 1 else ""
            choice = thresholds.get(name, Choice())
            made[f"thresholds{suffix}"] = _sweep(name, scores, truth, choice, drawn)
            made[f"scores{suffix}"] = _histogram(name, scores, truth, choice)
        if confusion is not None:
            made["confusion"] = _matrix(*confusion)
        return [save_figure(figure, folder / f"{name}.png") for name, figure in made.items()]


def draw_bits(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """AUC and F1 by bits with their intervals, and the LUTs of each where they are known; see `cross_validate`."""
    with style.context(LOOK):
        figure, axes = _figure(7.2)
        at = np.arange(len(rows))
        for number, name in enumerate(("auc", "f1")):
            values = np.array([row[name]["value"] for row in rows])
            ends = np.array([row[name]["interval"] for row in rows]).T
            error = np.abs(ends - values)
            colour, place = f"C{number}", at + 0.14 * number - 0.07
            axes.errorbar(place, values, error, fmt="os"[number], color=colour, capsize=4, label=name.upper())
        axes.set_xticks(at, [_bits_label(row) for row in rows])
        axes.set(ylabel="on sources not trained on", title=f"{rows[0]['clips']} clips, 95 % over the sources")
        axes.set_xlim(-0.5, len(rows) - 0.5)
        axes.legend(loc="lower left")
        return save_figure(figure, path)


def draw_clips(path: Path, cases: Sequence[tuple[str, np.ndarray]], title: str) -> Path:
    """A strip of frames per clip, from captions and pixels (T, S, S, 3), uint8."""
    with style.context([LOOK, {"axes.grid": False}]):
        figure = Figure(figsize=(9, 0.6 + 1.4 * max(1, len(cases))), layout="constrained")
        figure.suptitle(title, fontweight="bold")
        for axes, (caption, pixels) in zip(
            figure.subplots(max(1, len(cases)), 1, squeeze=False).flat, cases, strict=False
        ):
            axes.imshow(np.concatenate(pixels, axis=1))
            axes.set_title(caption, loc="left", fontsize=9, fontweight="normal")
            axes.set_axis_off()
        return save_figure(figure, path)


def _bits_label(row: Mapping[str, Any]) -> str:
    bits = row["bits"] if row["bits"] == "float" else f"{row['bits']} bits"
    return f"{bits}\n{row['lut']:,} LUT" if row.get("lut") else bits


def _curves(cases: Cases, thresholds: Thresholds, drawn: Resample, kind: str) -> Figure:
    """ROC or precision and recall of every alarm, the band of the draws, and the chosen threshold as a point."""
    figure, axes = _figure()
    for number, (name, (scores, truth)) in enumerate(cases.items()):
        colour, dash = f"C{number}", _DASHES[number % len(_DASHES)]
        found = binary_figures(scores, truth, None, thresholds.get(name, Choice()).logit)
        area = found["auc" if kind == "roc" else "average_precision"]["value"]
        counts = sweep(scores, truth).counts
        x, y = _line(counts, kind)
        ends = drawn.auc(scores, truth) if kind == "roc" else drawn.average_precision(scores, truth)
        low, high = np.nanquantile(ends, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        label = f"{name}: {'AUC' if kind == 'roc' else 'AP'} {area:.3f} [{low:.3f}, {high:.3f}]"
        step = "default" if kind == "roc" else "steps-pre"
        axes.plot(x, y, dash, color=colour, label=label, linewidth=2, drawstyle=step)
        if len(cases) <= 3:  # more bands hide each other
            axes.fill_between(
                _GRID, *_band(scores, truth, drawn, kind), color=colour, alpha=0.18, linewidth=0
            )
        (quiet, false), (missed, hit) = found["confusion"]
        recall, fallout = hit / (hit + missed), false / (quiet + false)
        at = (fallout, recall) if kind == "roc" else (recall, hit / max(1, hit + false))
        axes.plot(*at, "o", color=colour, markersize=9, markeredgecolor="white", markeredgewidth=1.5)
    if kind == "roc":
        axes.plot([0, 1], [0, 1], color=mpl.rcParams["xtick.color"], linewidth=1, dashes=(4, 4))
        axes.set(xlabel="false alarms, share of the clips without it", ylabel="recall", title="ROC curve")
    else:
        axes.set(xlabel="recall", ylabel="precision", title="Precision and recall")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    axes.legend(loc="lower right" if kind == "roc" else "lower left", title="dot: the threshold; band: 95 %")
    return figure


def _line(counts: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Curve points: false positive rate and recall, or recall and precision, from the highest threshold on."""
    hit, false, missed, quiet = counts
    recall = hit / (hit + missed)
    if kind == "roc":
        return false / (false + quiet), recall
    precision = np.divide(hit, hit + false, out=np.ones_like(hit), where=hit + false > 0)
    return recall, precision


def _band(scores: np.ndarray, truth: np.ndarray, drawn: Resample, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of the curve at each point of the grid, over the draws with both sides."""
    positives, negatives = drawn.by_score(scores, truth)
    hits, false = np.cumsum(positives, axis=1), np.cumsum(negatives, axis=1)
    lines = []
    for draw in np.flatnonzero((hits[:, -1] > 0) & (false[:, -1] > 0)):
        hit, wrong = np.r_[0, hits[draw]], np.r_[0, false[draw]]
        x, y = _line(np.stack([hit, wrong, hit[-1] - hit, wrong[-1] - wrong]), kind)
        if kind == "roc":
            lines.append(np.interp(_GRID, x, y))
        else:  # the precision of the first threshold that reaches the recall: as the curve's steps
            lines.append(y[np.minimum(np.searchsorted(x, _GRID), len(y) - 1)])
    low, high = np.quantile(lines, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def _sweep(name: str, scores: np.ndarray, truth: np.ndarray, choice: Choice, drawn: Resample) -> Figure:
    figure, axes = _figure(7.2)
    found = sweep(scores, truth)
    logits, lines = found.logits[1:], found.rates  # the first threshold raises nothing: it has no precision
    picked = np.unique(np.linspace(0, len(logits) - 1, 200).astype(int))  # each costs a pass over the draws
    counts = np.stack([drawn.counts(scores >= limit, truth) for limit in logits[picked]], axis=1)
    draws = rates(counts)
    draws["precision_score"][counts[0] + counts[1] == 0] = np.nan
    shown = {"precision_score": "precision", "recall": "recall", "f1": "F1"}
    for number, (key, label) in enumerate(shown.items()):
        look = {"color": f"C{number}", "linestyle": _DASHES[number], "linewidth": 2}
        axes.step(logits, lines[key][1:], where="mid", label=label, **look)
        low, high = np.nanquantile(draws[key], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
        axes.fill_between(logits[picked], low, high, color=f"C{number}", alpha=0.15, linewidth=0)
    _mark(axes, choice)
    axes.set(ylim=(-0.01, 1.02), xlabel="threshold, logit", title=f"What a threshold for {name} gives")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _histogram(name: str, scores: np.ndarray, truth: np.ndarray, choice: Choice) -> Figure:
    figure, axes = _figure(7.2)
    bins = np.histogram_bin_edges(scores, bins=min(40, max(8, len(scores) // 8))).tolist()
    axes.hist(scores[~truth], bins, color="C4", alpha=0.75, label=f"without {name}, {(~truth).sum()} clips")
    axes.hist(
        scores[truth], bins, color="C1", histtype="step", linewidth=2.2, hatch="//",
        label=f"{name}, {truth.sum()} clips",
    )  # fmt: skip
    _mark(axes, choice)
    axes.set(xlabel="score, logit", ylabel="clips", title=f"Scores for {name}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _mark(axes: Axes, choice: Choice) -> None:
    """The threshold as a line, with its logit and its probability."""
    axes.axvline(choice.logit, color=mpl.rcParams["text.color"], linewidth=1.3, dashes=(5, 3))
    axes.annotate(
        f" {choice.logit:.2f} ({choice.probability:.2f})",
        (choice.logit, 0.97),
        xycoords=("data", "axes fraction"),
        va="top",
        fontsize=10,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
    )


def _matrix(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> Figure:
    table = np.array(matrix)
    size = 2.6 + 0.75 * len(classes)
    figure, axes = _figure(size + 0.6, size)
    share = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        axes.text(
            column, row, f"{count}\n{share[row, column]:.0%}", ha="center", va="center",
            color="white" if share[row, column] > 0.55 else mpl.rcParams["text.color"],
            fontsize=10 if len(classes) <= 12 else 6,
        )  # fmt: skip
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="what the network said", ylabel="what it was", title="Confusion")
    return figure
