# SPDX-License-Identifier: Apache-2.0
"""Logits of clips, decoded and batched."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from framegate.errors import UsageError
from framegate.quant.clips.transforms import TransformConfig, evaluation_views
from framegate.quant.clips.usable import frames_or_trouble, too_many
from framegate.quant.clips.video import Clip, decode_all, decode_views
from framegate.quant.networks.checkpoint import Network, logits
from torch import Tensor

_BATCH = 32  # clips in memory at a time


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


def finite(values: Tensor, clips: Sequence[Clip]) -> Tensor:
    """`values` (N, K) if they are all numbers. Raises UsageError naming the first clip with one that is not."""
    wrong = (~torch.isfinite(values)).any(dim=1).nonzero().flatten().tolist()
    if wrong:
        raise UsageError(
            f"{clips[wrong[0]].path}: the network gives {values[wrong[0]].tolist()}, which are no numbers; its "
            f"weights are broken, train it again with a lower rate"
        )
    return values
