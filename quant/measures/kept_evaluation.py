# SPDX-License-Identifier: Apache-2.0
"""An evaluation kept in a folder: its figures and its pictures, for the checkpoint that it was made with."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framegate.errors import UsageError
from framegate.files import read_json, write_json
from framegate.quant.clips.video import Clip
from framegate.quant.measures.alarm_threshold import Thresholds, alarms_of
from framegate.quant.measures.labels import alarm_cases, class_targets
from framegate.quant.measures.metrics import class_scores, is_independent
from framegate.quant.networks.checkpoint import NetworkConfig
from torch import Tensor

FOLDER, FILE = "evaluation", "evaluation.json"


def keep(
    folder: Path,
    result: dict[str, Any],
    values: Tensor,
    clips: Sequence[Clip],
    config: NetworkConfig,
    thresholds: Thresholds,
    checkpoint: Path,
) -> list[Path]:
    """Write what `evaluate` found, and its pictures, to `folder`; return the pictures.

    `values`: the logits (N, K) behind it. Raises UsageError for clips without labels.
    """
    from framegate.quant.measures.plots import draw  # takes a second to import

    cases = _cases(values, clips, config)
    confusion = (config.classes, result["confusion"]) if result.get("confusion") else None
    made = draw(folder, cases, thresholds, [clip.source for clip in clips], confusion)
    pictures = [path.name for path in made]
    write_json(folder / FILE, {**result, "pictures": pictures, "checkpoint": fingerprint(checkpoint)})
    return made


def _cases(values: Tensor, clips: Sequence[Clip], config: NetworkConfig) -> dict[str, Any]:
    """The alarms, or without any each class against the others."""
    if alarms_of(config) or is_independent(config):
        return alarm_cases(values, clips, config)
    targets = class_targets(clips, config)
    if targets is None:
        raise UsageError("the clips have no labels; pictures of how right a network is need them")
    table = class_scores(values, config)
    return {name: (table[:, k], targets == k) for k, name in enumerate(config.classes)}


def fingerprint(checkpoint: Path) -> str:
    """Of a checkpoint file's content."""
    return hashlib.sha256(checkpoint.read_bytes()).hexdigest()


def kept(folder: Path, checkpoint: Path) -> dict[str, Any] | None:
    """The evaluation in `folder` if it is of this very checkpoint, its "pictures" as data URIs; else None."""
    if not (folder / FILE).is_file() or not checkpoint.is_file():
        return None
    found = read_json(folder / FILE, "run `framegate evaluate --plots` again")
    if found.get("checkpoint") != fingerprint(checkpoint):
        return None
    pictures = [folder / name for name in found.get("pictures", [])]
    return {**found, "pictures": [_data_uri(path) for path in pictures if path.is_file()]}


def _data_uri(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
