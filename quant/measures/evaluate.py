# SPDX-License-Identifier: Apache-2.0
"""An evaluation: all figures of a network on clips, and a prediction for each."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from framegate.errors import UsageError
from framegate.quant.clips.layouts import NORMAL
from framegate.quant.clips.transforms import TransformConfig
from framegate.quant.clips.video import Clip, seconds
from framegate.quant.measures.alarm_threshold import Choice, Rule, Thresholds, alarms_of, choose, sweep
from framegate.quant.measures.labels import alarm_cases, alarm_truth, class_targets
from framegate.quant.measures.metrics import (
    HEADLINE,
    alarm_figures,
    alarm_scores,
    class_scores,
    is_independent,
    scores,
)
from framegate.quant.measures.predict import clip_logits
from framegate.quant.networks.checkpoint import Network, NetworkConfig
from torch import Tensor


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
    for name, (scored, truth) in alarm_cases(values, clips, config).items():
        try:
            chosen[name] = choose(sweep(scored, truth, lengths), rule)
        except UsageError as error:
            raise UsageError(f"threshold of {name!r}: {error}") from None
    return chosen


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
        found = alarm_figures(alarm_scores(values, config), truth, sources, choice, {})
        accuracy = found["alarm"]["accuracy"]
        return {"accuracy": accuracy, "confusion": None, **found, "intervals": found["alarm"]["intervals"]}
    targets = class_targets(clips, config)
    if targets is None:
        choice = thresholds.get(str(config.positive), Choice())
        nothing = dict.fromkeys((*HEADLINE, "confusion"))
        return {**nothing, "threshold": choice.probability if config.positive is not None else None}
    return scores(values, targets, config, thresholds, sources)
