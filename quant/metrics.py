# SPDX-License-Identifier: Apache-2.0
"""How good a network is on clips: its classes, its alarm, and how sure that is.

Every figure of the alarm is of its score, a logit (see `framegate.quant.threshold`). Confidence intervals come from
drawing sources, not clips. A figure that the clips cannot give (AUC with one side only) is None.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from framegate.errors import UsageError
from framegate.quant.bootstrap import DRAWS, Resample, interval, rates
from framegate.quant.clips import Clip, decode_all, decode_views, seconds
from framegate.quant.datasets import NORMAL, frames_or_trouble, too_many
from framegate.quant.networks import Network, NetworkConfig, logits
from framegate.quant.threshold import Choice, Rule, Thresholds, alarms_of, choose, sweep
from framegate.quant.transforms import TransformConfig, evaluation_views
from sklearn import metrics as measure
from torch import Tensor

_BATCH = 32  # clips in memory at a time
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
    truth = _truth(targets, config)
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
    return found | _alarm(
        margins[:, k], truth[:, k], sources, thresholds.get(config.positive, Choice()), found["intervals"]
    )


def _alarm(
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


def _truth(targets: Tensor | np.ndarray, config: NetworkConfig) -> np.ndarray:
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


def evaluate(
    network: Network,
    clips: Sequence[Clip],
    model: str,
    thresholds: Thresholds | None = None,
    cache: Path | None = None,
    views: TransformConfig | None = None,
) -> dict[str, Any]:
    """The figures of `network`, called `model`, on clips, with its prediction for each.

    Labels are the network's classes, or 0 and 1 for the alarm; without labels the figures are None.
    Raises UsageError for other labels, videos that cannot be decoded and logits that are not numbers.
    """
    return report(network.config, clips, clip_logits(network, clips, cache, views), model, thresholds)


def clip_logits(
    network: Network, clips: Sequence[Clip], cache: Path | None = None, views: TransformConfig | None = None
) -> Tensor:
    """Logits (N, K) of clips: the mean over `views`, by default those that the network's transform asks for.

    Raises UsageError naming a clip whose logits are not numbers.
    """
    views = views or network.config.transform
    if views == views.one_view():
        parts = [
            logits(network, decode_all(clips[start : start + _BATCH], views, cache))
            for start in range(0, len(clips), _BATCH)
        ]
        values = torch.cat(parts) if parts else torch.zeros(0, len(network.config.classes))
    else:
        values = torch.stack([view_logits(network, decode_views(c.path, views, cache)) for c in clips])
    return finite(values, clips)


def readable_logits(
    network: Network, clips: Sequence[Clip], views: TransformConfig
) -> tuple[list[Clip], Tensor, list[str]]:
    """The clips that can be decoded, their logits (mean over `views`), and a sentence for each of the others.

    Raises UsageError with the names when more than 5 % cannot, and as `clip_logits` does.
    """
    good, rows, broken = [], [], []
    for clip in clips:
        frames = frames_or_trouble(clip, views)
        if isinstance(frames, str):
            broken.append(frames)
        else:
            good.append(clip)
            rows.append(view_logits(network, evaluation_views(frames, views)))
    if trouble := too_many(broken, len(clips)):
        raise UsageError(trouble if len(clips) > 1 else broken[0])
    return good, finite(torch.stack(rows), good), broken


def view_logits(network: Network, views: np.ndarray) -> Tensor:
    """The mean (K,) of the logits of all views (V, T, S, S, 3) of a clip."""
    return logits(network, torch.from_numpy(views)).mean(dim=0)


def alarm_cases(
    values: Tensor | np.ndarray, clips: Sequence[Clip], config: NetworkConfig
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each alarm of the network its scores (N,) and the truth (N,), bool.

    Raises UsageError for clips without labels and as `figures` does.
    """
    scored = class_scores(values, config)
    found = alarm_truth(clips, config)
    if found is not None and config.positive is not None:
        return {config.positive: (scored[:, config.classes.index(config.positive)], found)}
    targets = class_targets(clips, config)
    if targets is None:
        raise UsageError(
            "the clips have no labels; put them into one sub-folder per class, or list them in a clips.csv"
        )
    truth, classes = _truth(targets, config), list(config.classes)
    return {name: (scored[:, k], truth[:, k]) for k, name in enumerate(classes) if name in alarms_of(config)}


def choose_for(
    values: Tensor | np.ndarray, clips: Sequence[Clip], config: NetworkConfig, rule: Rule
) -> dict[str, Choice]:
    """The threshold of each alarm, chosen by `rule` on labelled clips.

    Raises UsageError when there is no alarm, a class that all or none of the clips have, or the rule cannot be kept.
    """
    if not alarms_of(config):
        raise UsageError(
            "the network has no alarm to choose a threshold for; name a positive class in training"
        )
    lengths = [seconds(clip.path) for clip in clips] if rule.max_false_alarms is not None else None
    chosen = {}
    for name, (scores, truth) in alarm_cases(values, clips, config).items():
        try:
            chosen[name] = choose(sweep(scores, truth, lengths), rule)
        except UsageError as error:
            raise UsageError(f"threshold of {name!r}: {error}") from None
    return chosen


def finite(values: Tensor, clips: Sequence[Clip]) -> Tensor:
    """`values` (N, K) if they are all numbers. Raises UsageError naming the first clip with one that is not."""
    wrong = (~torch.isfinite(values)).any(dim=1).nonzero().flatten().tolist()
    if wrong:
        raise UsageError(
            f"{clips[wrong[0]].path}: the network gives {values[wrong[0]].tolist()}, which are no numbers; its "
            f"weights are broken, train it again with a lower rate"
        )
    return values


def report(
    config: NetworkConfig,
    clips: Sequence[Clip],
    values: Tensor,
    model: str,
    thresholds: Thresholds | None = None,
) -> dict[str, Any]:
    """What `evaluate` returns, for logits (N, K) that are there already."""
    thresholds = thresholds or {}
    return {
        "model": model,
        "precision": config.precision,
        "clips": len(clips),
        "classes": list(config.classes),
        **figures(values, clips, config, thresholds),
        "predictions": list(_predictions(values, clips, config, thresholds)),
    }


def _predictions(
    values: Tensor, clips: Sequence[Clip], config: NetworkConfig, thresholds: Thresholds
) -> Iterator[dict[str, Any]]:
    alarms = {name: config.classes.index(name) for name in alarms_of(config)}
    limits = {name: thresholds.get(name, Choice()).logit for name in alarms}
    for clip, row, margins in zip(clips, values, class_scores(values, config), strict=True):
        raised = [name for name, k in alarms.items() if margins[k] >= limits[name]]
        entry = {
            "path": str(clip.path),
            "label": clip.label,
            "prediction": ("+".join(raised) or NORMAL)
            if is_independent(config)
            else config.classes[int(row.argmax())],
            "logits": row.tolist(),
        }
        if config.positive is not None:
            entry["alarm"] = config.positive in raised
        if is_independent(config):
            entry["alarms"] = raised
        yield entry


def figures(
    values: Tensor, clips: Sequence[Clip], config: NetworkConfig, thresholds: Thresholds | None = None
) -> dict[str, Any]:
    """`scores` if the labels are the network's classes, the alarm's if they are 0 and 1, None without labels.

    Raises UsageError for other labels, for a part of the clips without any, and for several labels where the
    network tells one.
    """
    thresholds = thresholds or {}
    sources = [clip.source for clip in clips]
    truth = alarm_truth(clips, config)
    if truth is not None:
        choice = thresholds.get(str(config.positive), Choice())
        found = _alarm(alarm_scores(values, config), truth, sources, choice, {})
        accuracy = found["alarm"]["accuracy"]
        return {"accuracy": accuracy, "confusion": None, **found, "intervals": found["alarm"]["intervals"]}
    targets = class_targets(clips, config)
    if targets is None:
        choice = thresholds.get(str(config.positive), Choice())
        nothing = dict.fromkeys((*HEADLINE, "confusion"))
        return {**nothing, "threshold": choice.probability if config.positive is not None else None}
    return scores(values, targets, config, thresholds, sources)


def alarm_truth(clips: Sequence[Clip], config: NetworkConfig) -> np.ndarray | None:
    """For clips labelled 0 and 1, which of them are the alarm's, bool (N,); None for other labels.

    Independent classes need no such rule: see `class_targets`.
    """
    if is_independent(config):
        return None
    found = [clip.labels for clip in clips]
    plain = {labels for labels in found if labels is not None}
    if not plain or not plain <= {("0",), ("1",)} or len(plain) < len(set(found)):
        return None
    if config.positive is None or plain <= {(name,) for name in config.classes}:
        return None
    return np.array([labels == ("1",) for labels in found])


def _meant(labels: tuple[str, ...] | None, config: NetworkConfig) -> tuple[str, ...] | None:
    """The labels in the names of the network's classes."""
    if labels is None or not is_independent(config):
        return labels
    named = [config.positive if label == "1" and config.positive else label for label in labels]
    return tuple(label for label in named if label in config.classes or label not in (NORMAL, "0"))


def class_targets(clips: Sequence[Clip], config: NetworkConfig) -> np.ndarray | None:
    """Class indices (N,), or with independent labels a bool (N, K); None for clips without labels.

    For independent classes 1 is the alarm's class; 0 and `normal` are none of them.
    Raises UsageError as `figures` does.
    """
    found = [_meant(clip.labels, config) for clip in clips]
    if all(labels is None for labels in found):
        return None
    for clip, labels in zip(clips, found, strict=True):
        if labels is None:
            raise UsageError(f"{clip.path}: has no label, other clips have; label all of them or none")
    unknown = {name for labels in found for name in labels or ()} - set(config.classes)
    if unknown:
        every = sorted({name for labels in found for name in labels or ()})
        raise UsageError(
            f"classes {every}: the network knows {list(config.classes)}"
            f"{', or 0 and 1 for its alarm' if config.positive else ''}; rename the class folders"
        )
    if is_independent(config):
        return np.array([[name in (labels or ()) for name in config.classes] for labels in found])
    for clip, labels in zip(clips, found, strict=True):
        if labels is None or len(labels) != 1:
            raise UsageError(
                f"{clip.path}: has the labels {list(labels or ())}, the network tells one of several classes; give one "
                f'label per clip, or a network with labels="independent"'
            )
    return np.array([config.classes.index(labels[0]) for labels in found if labels])
