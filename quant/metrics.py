# SPDX-License-Identifier: Apache-2.0
"""How good a network is on clips: accuracy and confusion, and AUC, F1, precision and recall of its alarm."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from framegate.errors import UsageError
from framegate.files import read_json
from framegate.quant.clips import Clip, decode_all
from framegate.quant.networks import Network, NetworkConfig, logits
from torch import Tensor
from torchmetrics.functional import confusion_matrix, f1_score, precision, recall
from torchmetrics.functional.classification import binary_auroc, multiclass_auroc

NO_LABELS = dict.fromkeys(("auc", "f1", "precision_score", "recall", "accuracy", "confusion"))


def alarm_scores(values: Tensor, config: NetworkConfig) -> Tensor:
    """The probability (N,) of the positive class from logits (N, K)."""
    assert config.positive is not None
    return values.softmax(1)[:, config.classes.index(config.positive)]


def scores(values: Tensor, targets: Tensor, config: NetworkConfig, threshold: float = 0.5) -> dict[str, Any]:
    """Figures for logits (N, K) and class indices (N,).

    With a positive class AUC, F1, precision and recall are of the alarm (its probability >= `threshold`);
    without one they are means over the classes. AUC is None when only one side is present.
    """
    classes = len(config.classes)
    many: Any = {"task": "multiclass", "num_classes": classes}
    found = {
        "accuracy": (values.argmax(1) == targets).float().mean().item(),
        "confusion": _confusion(targets, values.argmax(1), classes),
    }
    if config.positive is not None:
        truth = targets == config.classes.index(config.positive)
        return found | alarm(alarm_scores(values, config), truth, threshold)
    mean = many | {"average": "macro"}
    return found | {
        "auc": multiclass_auroc(values.softmax(1), targets, classes).item()
        if len(targets.unique()) == classes
        else None,
        "f1": f1_score(values, targets, **mean).item(),
        "precision_score": float(precision(values, targets, **mean)),
        "recall": float(recall(values, targets, **mean)),
        "threshold": None,
    }


def _confusion(targets: Tensor, predicted: Tensor, classes: int) -> list[list[int]]:
    return confusion_matrix(predicted, targets, task="multiclass", num_classes=classes).tolist()


def alarm(probability: Tensor, truth: Tensor, threshold: float) -> dict[str, Any]:
    """Figures of an alarm at `probability` (N,) >= `threshold` against `truth` (N,), bool."""
    raised, truth = (probability >= threshold).long(), truth.long()
    return {
        "auc": binary_auroc(probability, truth).item() if len(truth.unique()) == 2 else None,
        "f1": f1_score(raised, truth, task="binary").item(),
        "precision_score": float(precision(raised, truth, task="binary")),
        "recall": float(recall(raised, truth, task="binary")),
        "threshold": threshold,
    }


def best_threshold(probability: Tensor, truth: Tensor) -> float:
    """The threshold of the highest F1: half-way between two scores, the middle one among equals."""
    edges = torch.cat([torch.zeros(1), probability.unique(), torch.ones(1)])
    candidates = (edges[1:] + edges[:-1]) / 2
    f1 = torch.stack([f1_score((probability >= c).long(), truth.long(), task="binary") for c in candidates])
    best = (f1 == f1.max()).nonzero().flatten()
    return candidates[best[len(best) // 2]].item()


def threshold_beside(checkpoint: Path) -> float:
    """The alarm threshold that training chose for a checkpoint file; 0.5 when there is none beside it."""
    file = checkpoint.with_name("threshold.json")
    if not file.is_file():
        return 0.5
    return float(read_json(file, "delete it, or train again")["threshold"])


def evaluate(
    network: Network, clips: Sequence[Clip], model: str, threshold: float = 0.5, cache: Path | None = None
) -> dict[str, Any]:
    """The figures of `network`, called `model`, on clips, with its prediction for each.

    Labels are the network's classes, or 0 and 1 for the alarm; without labels the figures are None.
    Raises UsageError for other labels and for videos that cannot be decoded.
    """
    config = network.config
    values = logits(network, decode_all(clips, config.frames, config.size, cache))
    return {
        "model": model,
        "precision": config.precision,
        "clips": len(clips),
        "classes": list(config.classes),
        **figures(values, clips, config, threshold),
        "predictions": [
            {
                "path": str(clip.path),
                "label": clip.label,
                "prediction": config.classes[row.argmax()],
                "logits": row.tolist(),
            }
            for clip, row in zip(clips, values, strict=True)
        ],
    }


def figures(values: Tensor, clips: Sequence[Clip], config: NetworkConfig, threshold: float) -> dict[str, Any]:
    """`scores` if the labels are the network's classes, the alarm's if they are 0 and 1, None without labels.

    Raises UsageError for other labels.
    """
    labels = {clip.label for clip in clips}
    if labels == {None}:
        return {**NO_LABELS, "threshold": threshold if config.positive else None}
    if labels <= set(config.classes):
        targets = torch.tensor([config.classes.index(str(clip.label)) for clip in clips])
        return scores(values, targets, config, threshold)
    if labels <= {"0", "1"} and config.positive is not None:
        truth = torch.tensor([clip.label == "1" for clip in clips])
        probability = alarm_scores(values, config)
        right = ((probability >= threshold) == truth).float().mean().item()
        return {"accuracy": right, "confusion": None, **alarm(probability, truth, threshold)}
    raise UsageError(
        f"classes {sorted(map(str, labels))}: the network knows {list(config.classes)}"
        f"{', or 0 and 1 for its alarm' if config.positive else ''}; rename the class folders"
    )
