# SPDX-License-Identifier: Apache-2.0
"""What clips should give: the truth of classes and of the alarm."""

from collections.abc import Sequence

import numpy as np
from framegate.errors import UsageError
from framegate.quant.clips.layouts import NORMAL
from framegate.quant.clips.video import Clip
from framegate.quant.measures.alarm_threshold import alarms_of
from framegate.quant.measures.metrics import class_scores, class_truth, is_independent
from framegate.quant.networks.checkpoint import NetworkConfig
from torch import Tensor


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
    truth, classes = class_truth(targets, config), list(config.classes)
    return {name: (scored[:, k], truth[:, k]) for k, name in enumerate(classes) if name in alarms_of(config)}


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
