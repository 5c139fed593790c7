# SPDX-License-Identifier: Apache-2.0
"""How good a network is on clips: its classes, its alarm, and how sure that is.

Every figure of the alarm is of its score, a logit (see `alarm_threshold`). Confidence intervals come from
drawing sources, not clips. A figure that the clips cannot give (AUC with one side only) is None.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from framegate.quant.measures.alarm_threshold import Choice, Thresholds
from framegate.quant.measures.bootstrap import DRAWS, Resample, interval, rates
from framegate.quant.networks.checkpoint import NetworkConfig
from sklearn import metrics as measure
from torch import Tensor

HEADLINE = ("accuracy", "auc", "f1", "precision_score", "recall")  # what other programs read


def class_scores(values: Tensor | np.ndarray, config: NetworkConfig) -> np.ndarray:
    """The alarm score of every class: logits (N, K) to logits (N, K), float64.

    With independent labels a class's own logit, else how far it is above the best other one.
    """
    table = np.asarray(values, dtype=np.float64)
    if is_independent(config):
        return table
    order = np.sort(table, axis=1)
    best_other = np.where(table == order[:, -1:], order[:, -2:-1], order[:, -1:])
    return table - best_other


def alarm_scores(values: Tensor | np.ndarray, config: NetworkConfig) -> np.ndarray:
    """The alarm score (N,), a logit, of the positive class from logits (N, K)."""
    assert config.positive is not None
    return class_scores(values, config)[:, config.classes.index(config.positive)]


def is_independent(config: NetworkConfig) -> bool:
    """Whether each class is a decision of its own."""
    return config.labels == "independent"


@dataclass(frozen=True, eq=False)
class Figures:
    """Figures by name, and what they are in each draw of the sources (empty without sources)."""

    values: dict[str, float | None]
    draws: dict[str, np.ndarray]

    def intervals(self) -> dict[str, list[float]]:
        """[low, high] of every figure that the draws give."""
        found = {name: interval(values) for name, values in self.draws.items()}
        return {name: ends for name, ends in found.items() if ends is not None}

    def plain(self) -> dict[str, Any]:
        """The values, and the intervals beside them."""
        intervals = self.intervals()
        return {**self.values, **({"intervals": intervals} if intervals else {})}


def binary_figures(
    scores: np.ndarray,
    truth: np.ndarray,
    sources: Sequence[str] | None,
    threshold: float | np.ndarray = 0.0,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Figures of an alarm at scores (N,) >= `threshold` against truth (N,), bool, one threshold or one per clip.

    Each of AUC, average precision, F1, precision, recall, specificity and accuracy is {"value", "interval"}, the
    interval over `sources` (N,): [low, high], or None without them. Draws that lack one side are left out and
    counted as "degenerate". Also "confusion": [[quiet and right, false alarm], [missed, found]], "clips",
    "sources", "draws". Scores of several folds may be pooled: the threshold is then one per clip.
    """
    scores, truth = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=bool)
    raised = scores >= threshold
    drawn = Resample.of(sources, draws, seed) if sources is not None and len(truth) else None
    found = _ranked(scores, truth, drawn), _decided(raised, truth, drawn)
    values = found[0].values | found[1].values
    intervals = found[0].intervals() | found[1].intervals()
    result: dict[str, Any] = {
        name: {"value": value, "interval": intervals.get(name)} for name, value in values.items()
    }
    result |= {"confusion": _confusion(raised, truth), "clips": len(truth)}
    if drawn is None:
        return result
    degenerate = int((~drawn.whole(truth)).sum())
    return result | {"sources": drawn.sources, "draws": draws, "degenerate": degenerate}


def _ranked(scores: np.ndarray, truth: np.ndarray, drawn: Resample | None) -> Figures:
    """What does not depend on a threshold."""
    if truth.all() or not truth.any():
        return Figures({"auc": None, "average_precision": None}, {})
    values: dict[str, float | None] = {
        "auc": float(measure.roc_auc_score(truth, scores)),
        "average_precision": float(measure.average_precision_score(truth, scores)),
    }
    if drawn is None:
        return Figures(values, {})
    draws = {
        "auc": drawn.auc(scores, truth),
        "average_precision": drawn.average_precision(scores, truth),
    }
    return Figures(values, draws)


def _decided(raised: np.ndarray, truth: np.ndarray, drawn: Resample | None) -> Figures:
    """What follows from yes and no; draws with one side only count where all clips are of that side."""
    values: dict[str, float | None] = {
        "f1": float(measure.f1_score(truth, raised, zero_division=0)),
        "precision_score": float(measure.precision_score(truth, raised, zero_division=0)),
        "recall": float(measure.recall_score(truth, raised, zero_division=0)),
        "specificity": float(measure.recall_score(~truth, ~raised, zero_division=0)),
        "accuracy": float(measure.accuracy_score(truth, raised)),
    }
    if drawn is None:
        return Figures(values, {})
    draws = rates(drawn.counts(raised, truth))
    if truth.any() and not truth.all():
        draws = {name: np.where(drawn.whole(truth), found, np.nan) for name, found in draws.items()}
    return Figures(values, draws)


def _confusion(raised: np.ndarray, truth: np.ndarray) -> list[list[int]]:
    return measure.confusion_matrix(truth, raised, labels=[False, True]).tolist()


def scores(
    values: Tensor | np.ndarray,
    targets: Tensor | np.ndarray,
    config: NetworkConfig,
    thresholds: Thresholds | None = None,
    sources: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Figures for logits (N, K) and class indices (N,), or with independent labels a bool (N, K).

    With a positive class AUC, F1, precision and recall are of its alarm; without one they are means over the
    classes. With `sources` (N,) "intervals" has [low, high] of the figures.
    """
    table, thresholds = np.asarray(values, dtype=np.float64), thresholds or {}
    truth = class_truth(targets, config)
    drawn = Resample.of(sources) if sources is not None else None
    margins = class_scores(table, config)
    limits = np.array([thresholds.get(name, Choice()).logit for name in config.classes])
    said = _decisions(table, margins, limits, config)
    each = {
        name: _together(_ranked(margins[:, k], truth[:, k], drawn), _decided(said[:, k], truth[:, k], drawn))
        for k, name in enumerate(config.classes)
    }
    mean = _macro(list(each.values()))
    whole = _of_all_classes(table, truth, said, config, drawn)
    found: dict[str, Any] = {
        **mean.values,
        **whole.values,
        "intervals": mean.intervals() | whole.intervals(),
        "threshold": None,
        "confusion": None if is_independent(config) else _class_confusion(said, truth),
        "per_class": {
            name: {
                **figures.plain(),
                "clips": int(truth[:, k].sum()),
                "confusion": _confusion(said[:, k], truth[:, k]),
            }
            for k, (name, figures) in enumerate(each.items())
        },
        "macro": mean.plain(),
    }
    if is_independent(config):
        for name, limit in zip(config.classes, limits, strict=True):
            found["per_class"][name]["threshold"] = Choice(limit).probability
    if config.positive is None:
        return found
    k = config.classes.index(config.positive)
    return found | alarm_figures(
        margins[:, k], truth[:, k], sources, thresholds.get(config.positive, Choice()), found["intervals"]
    )


def alarm_figures(
    margins: np.ndarray,
    truth: np.ndarray,
    sources: Sequence[str] | None,
    choice: Choice,
    intervals: dict[str, list[float]],
) -> dict[str, Any]:
    """The alarm's figures, in front and as "alarm"; in front, accuracy stays that of the classes."""
    found = binary_figures(margins, truth, sources, choice.logit)
    names = [name for name, entry in found.items() if isinstance(entry, dict)]
    own = {name: found[name]["interval"] for name in names if found[name]["interval"] is not None}
    values = {name: found.pop(name)["value"] for name in names}
    shared = [name for name in names if name != "accuracy"]
    plain = {"threshold": choice.probability, "logit": choice.logit, "chosen_by": choice.chosen_by}
    return {
        **{name: values[name] for name in shared},
        "intervals": intervals | {name: own[name] for name in shared if name in own},
        "threshold": choice.probability,
        "alarm": {**values, **plain, **found, "intervals": own},
    }


def class_truth(targets: Tensor | np.ndarray, config: NetworkConfig) -> np.ndarray:
    given = np.asarray(targets)
    return given.astype(bool) if given.ndim == 2 else given[:, None] == np.arange(len(config.classes))


def _decisions(
    table: np.ndarray, margins: np.ndarray, limits: np.ndarray, config: NetworkConfig
) -> np.ndarray:
    """Which classes the network says, bool (N, K)."""
    if is_independent(config):
        return margins >= limits
    return table.argmax(axis=1)[:, None] == np.arange(len(config.classes))


def _together(*parts: Figures) -> Figures:
    values = {name: value for part in parts for name, value in part.values.items()}
    return Figures(values, {name: draws for part in parts for name, draws in part.draws.items()})


def _macro(each: list[Figures]) -> Figures:
    """Means over the classes; None as soon as one class cannot give the figure."""
    values: dict[str, float | None] = {}
    draws: dict[str, np.ndarray] = {}
    for name in ("auc", "average_precision", "f1", "precision_score", "recall"):
        found = [figures.values[name] for figures in each]
        values[name] = None if None in found else float(np.mean(np.array(found, dtype=float)))
        if all(name in figures.draws for figures in each):
            draws[name] = np.mean([figures.draws[name] for figures in each], axis=0)
    return Figures(values, draws)


def _of_all_classes(
    table: np.ndarray, truth: np.ndarray, said: np.ndarray, config: NetworkConfig, drawn: Resample | None
) -> Figures:
    """Accuracy (top 1) and top 5; with independent labels the share of right answers, and of clips all right."""
    right = said == truth
    if is_independent(config):
        parts = {"accuracy": right.mean(axis=1), "exact_match": right.all(axis=1).astype(float)}
    else:
        best = np.argsort(-table, axis=1, kind="stable")[:, :5]
        parts = {
            "accuracy": right.all(axis=1).astype(float),
            "top1": right.all(axis=1).astype(float),
            "top5": np.take_along_axis(truth, best, axis=1).any(axis=1).astype(float),
        }
    draws = {name: drawn.mean(values) for name, values in parts.items()} if drawn is not None else {}
    return Figures({name: float(values.mean()) for name, values in parts.items()}, draws)


def _class_confusion(said: np.ndarray, truth: np.ndarray) -> list[list[int]]:
    """Rows: the class it was; columns: the class that the network said."""
    classes = np.arange(truth.shape[1])
    return measure.confusion_matrix(truth.argmax(axis=1), said.argmax(axis=1), labels=classes).tolist()
