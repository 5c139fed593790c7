# SPDX-License-Identifier: Apache-2.0
"""Models side by side on the same clips: how right they are and how long they take, by views."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from framegate.errors import UsageError
from framegate.quant.clips.transforms import TransformConfig
from framegate.quant.clips.video import Clip, decode_views, spread
from framegate.quant.measures import alarm_threshold
from framegate.quant.measures.evaluate import evaluate
from framegate.quant.measures.predict import view_logits
from framegate.quant.networks.checkpoint import Network, checkpoint_file, find

VIEWS = ("1x1", "10x3")  # clips x crops
TIMED, WARM_UP = 15, 3  # clips
TIMING = (
    f"seconds per sample: median over up to {TIMED} clips, one clip at a time with all of its views, after "
    f"{WARM_UP} to warm up; the network alone, decoding apart; videos per second: decoding and network together"
)


def views_of(text: str, transform: TransformConfig) -> TransformConfig:
    """`transform` with the views that a text such as `10x3` names: clips in time, crops in space."""
    clips, _, crops = text.partition("x")
    if not clips.isdecimal() or not crops.isdecimal() or int(clips) < 1 or int(crops) not in (1, 3):
        raise UsageError(f"--views {text}: give clips x crops, the crops being 1 or 3, as in 1x1 or 10x3")
    changed = {"num_clips": int(clips), "num_crops": int(crops), "mirror": False}
    return TransformConfig(**(transform.one_view().model_dump() | changed))


def name_of(transform: TransformConfig) -> str:
    """The views of a transform: as `views_of` reads them, and what else they are."""
    crops = 2 if transform.crop == "both" else transform.num_crops
    return f"{transform.num_clips}x{crops}{', mirrored too' if transform.mirror else ''}"


def _possible(text: str, transform: TransformConfig) -> str:
    """The views, with one crop where the transform's picture is one."""
    return f"{text.partition('x')[0]}x1" if transform.crop in ("whole", "motion", "both") else text


def with_twins(models: Sequence[str]) -> list[str]:
    """The models, each quantized one followed by the float network that it came from, where there is one."""
    found: list[str] = []
    for model in models:
        found += [name for name in (model, _twin(model)) if name is not None and name not in found]
    return found


def _twin(model: str) -> str | None:
    if path := checkpoint_file(model):
        twin = path.with_name("float.pt")
        return str(twin) if twin.is_file() and twin != path else None
    name = f"{model}.float"
    try:
        find(name)
    except UsageError:
        return None
    return name


def compare(
    models: Sequence[str],
    clips: Sequence[Clip],
    views: Sequence[str] = VIEWS,
    say: Callable[[str], None] = lambda step: None,
) -> dict[str, Any]:
    """A row per model and views: top 1, top 5, AUC and F1 of the alarm, seconds per sample, videos per second.

    Scores of several views are the mean of their logits. Raises UsageError as `evaluate` does.
    """
    rows = []
    with TemporaryDirectory() as cache:
        for model in with_twins(models):
            network = find(model)
            for text in (_possible(text, network.config.transform) for text in views):
                say(f"{model}, {text} views")
                rows.append(_row(model, network, clips, text, Path(cache)))
    return {
        "clips": len(clips),
        "rows": rows,
        "timing": TIMING,
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "threads": torch.get_num_threads(),
    }


def _row(model: str, network: Network, clips: Sequence[Clip], text: str, cache: Path) -> dict[str, Any]:
    transform = views_of(text, network.config.transform)
    limits = alarm_threshold.of_model(model, network.config)
    found = evaluate(network, clips, model, limits, cache, transform)
    network_seconds, decode_seconds = _times(network, clips, transform)
    return {
        "model": model,
        "network": network.config.name,
        "precision": network.config.precision,
        "views": text,
        "num_clips": transform.num_clips,
        "num_crops": transform.num_crops,
        **{name: found.get(name) for name in ("accuracy", "top1", "top5", "auc", "f1", "threshold")},
        "intervals": found.get("intervals", {}),
        "seconds_per_sample": network_seconds,
        "decode_seconds": decode_seconds,
        "videos_per_second": 1 / (network_seconds + decode_seconds),
    }


def _times(network: Network, clips: Sequence[Clip], transform: TransformConfig) -> tuple[float, float]:
    """Median seconds of network and of decoding for one clip with all its views."""
    chosen = [clips[index] for index in spread([clip.label for clip in clips], TIMED)]
    running, decoding = [], []
    for clip in [*chosen[:WARM_UP], *chosen]:
        started = time.perf_counter()
        views = decode_views(clip.path, transform)
        decoded = time.perf_counter()
        view_logits(network, views)
        running.append(time.perf_counter() - decoded)
        decoding.append(decoded - started)
    warm = min(WARM_UP, len(chosen))
    return statistics.median(running[warm:]), statistics.median(decoding[warm:])
