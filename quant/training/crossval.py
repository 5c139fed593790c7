# SPDX-License-Identifier: Apache-2.0
"""Cross-validation by source: how good a recipe is on scenes that its networks have never seen, per precision."""

import csv
import io
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np
from framegate.errors import UsageError
from framegate.files import read_json, write_json, write_text
from framegate.quant.clips.layouts import find_clips
from framegate.quant.clips.splits import kfold
from framegate.quant.clips.video import Clip, decode_all
from framegate.quant.measures import alarm_threshold
from framegate.quant.measures.labels import class_targets
from framegate.quant.measures.metrics import alarm_scores, binary_figures
from framegate.quant.measures.plots import draw_clips
from framegate.quant.measures.predict import clip_logits
from framegate.quant.networks.checkpoint import Network, NetworkConfig
from framegate.quant.training.fit import Say, threads
from framegate.quant.training.recipe import Recipe
from framegate.quant.training.train import (
    claim,
    examples_of,
    float_network,
    network_config,
    quantized_network,
    usable,
)

TABLE = "folds.json"
ERRORS_SHOWN = 16


@dataclass(frozen=True)
class Fold:
    """One of the splits: everything that a process of its own needs."""

    number: int
    training: Sequence[Clip]
    test: Sequence[Clip]
    run: Path  # of all folds

    @property
    def folder(self) -> Path:
        """Where its networks and scores are."""
        return self.run / f"fold{self.number}"


def cross_validate(
    recipe: Recipe, clips: Path, run: Path, folds: int, precisions: Sequence[str], jobs: int, say: Say
) -> dict[str, Any]:
    """Train on all folds but one, score that one, for each fold and each of `precisions` ("float", or bits).

    A fold's threshold is chosen on its training clips. Writes folds.json, scores.csv and, per precision,
    errors-BITS.png and a threshold-BITS.json that was chosen on the scores of all clips, each by the network that
    had not seen it. Returns the content of folds.json: a row per precision, with intervals over the sources.
    Continues after an interruption; `jobs` folds run at a time. Raises UsageError as `train` and `kfold` do.
    """
    found = find_clips(clips, source=recipe.source, only=recipe.only)
    config = network_config(recipe, found, clips)
    if config.positive is None:
        raise UsageError("positive=None: the figures are those of an alarm; name its class with --positive")
    for precision in precisions:
        at_precision(config, precision)  # says what is wrong before hours of training
    claim(run, f"# clips: {clips.resolve()}, {folds} folds\n{recipe.toml()}")
    found = usable(found, config, run / ".clips", say)
    splits = [
        Fold(number, *split, run) for number, split in enumerate(kfold(found, folds, recipe.seed), start=1)
    ]
    work = partial(run_fold, recipe, config, tuple(precisions), say)
    if jobs == 1:
        parts = [work(fold) for fold in splits]
    else:
        with workers(jobs) as pool:
            parts = list(pool.map(work, splits))
    table = _table(config, splits, parts, precisions)
    for precision in precisions:
        _choose_threshold(run, config, splits, parts, precision)
        _draw_errors(run, config, splits, parts, precision)
    write_text(run / "scores.csv", _scores(splits, parts, precisions))
    write_json(run / TABLE, table)
    return table


def run_fold(
    recipe: Recipe, config: NetworkConfig, precisions: tuple[str, ...], say: Say, fold: Fold
) -> dict[str, dict[str, Any]]:
    """Per precision the scores (logits) of the fold's test clips, and the threshold that its training clips give."""
    say_so = partial(_prefixed, say, f"fold {fold.number}")
    cache = fold.run / ".clips"
    with threads(recipe.threads):
        missing = [precision for precision in precisions if not _file(fold, precision).is_file()]
        if missing:
            examples = examples_of(fold.training, config, cache)
            baseline = float_network(recipe, config, examples, None, fold.folder, say_so)
        for precision in missing:
            network = baseline
            if precision != "float":
                goal = at_precision(config, precision)
                file = fold.folder / f"{goal.precision}.pt"
                network = quantized_network(recipe, goal, baseline, examples, None, file, say_so)
            write_json(_file(fold, precision), _measure(network, fold, cache))
    return {precision: read_json(_file(fold, precision), "delete it") for precision in precisions}


def workers(jobs: int) -> ProcessPoolExecutor:
    """Processes for folds; they end when this one is killed, though a fold may have an hour to go."""
    return ProcessPoolExecutor(jobs, get_context("spawn"), _end_with_parent)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def at_precision(config: NetworkConfig, precision: str) -> NetworkConfig:
    """The network with that many bits of weights and activations ("float": none); first and last layer keep theirs.

    Raises UsageError for a precision that is neither.
    """
    if precision == "float":
        return config.as_float()
    if not precision.isdecimal():
        raise UsageError(f"bits={precision!r}: give numbers from 2 to 8, or float")
    return NetworkConfig(
        **(config.model_dump() | {"weight_bits": int(precision), "act_bits": int(precision)})
    )


def _prefixed(say: Say, prefix: str, message: str) -> None:
    say(f"{prefix}: {message}")


def _file(fold: Fold, precision: str) -> Path:
    return fold.folder / f"scores-{precision}.json"


def _measure(network: Network, fold: Fold, cache: Path) -> dict[str, Any]:
    config = network.config
    scores = alarm_scores(clip_logits(network, fold.test, cache), config)
    training = alarm_scores(clip_logits(network, fold.training, cache), config)
    chosen = alarm_threshold.choose(
        alarm_threshold.sweep(training, truth_of(fold.training, config)), alarm_threshold.Rule()
    )
    return {"scores": scores.tolist(), "threshold": chosen.logit}


def truth_of(clips: Sequence[Clip], config: NetworkConfig) -> np.ndarray:
    """Which clips are of the alarm's class, bool (N,)."""
    targets = class_targets(clips, config)
    assert targets is not None
    assert config.positive is not None
    positive = config.classes.index(config.positive)
    return targets[:, positive] if targets.ndim == 2 else targets == positive


def _table(
    config: NetworkConfig, splits: Sequence[Fold], parts: Sequence[dict], precisions: Sequence[str]
) -> dict[str, Any]:
    clips = [clip for fold in splits for clip in fold.test]
    truth = truth_of(clips, config)
    sources = [clip.source for clip in clips]
    rows = []
    for precision in precisions:
        scores = np.concatenate([part[precision]["scores"] for part in parts])
        limits = np.concatenate(
            [np.full(len(f.test), p[precision]["threshold"]) for f, p in zip(splits, parts, strict=True)]
        )
        each = [
            binary_figures(np.array(part[precision]["scores"]), truth_of(fold.test, config), None)["auc"][
                "value"
            ]
            for fold, part in zip(splits, parts, strict=True)
        ]
        rows.append(
            {"bits": precision, **binary_figures(scores, truth, sources, limits), "auc_of_folds": each}
        )
    return {"folds": len(splits), "clips": len(clips), "sources": len(set(sources)), "rows": rows}


def _draw_errors(
    run: Path, config: NetworkConfig, splits: Sequence[Fold], parts: Sequence[dict], precision: str
) -> None:
    """The clips on the wrong side of their fold's threshold, the farthest first."""
    wrong = []
    for fold, part in zip(splits, parts, strict=True):
        margins = np.array(part[precision]["scores"]) - part[precision]["threshold"]
        for clip, margin, positive in zip(fold.test, margins, truth_of(fold.test, config), strict=True):
            if (margin >= 0) != positive:
                wrong.append(
                    (abs(margin), clip, f"{'missed' if positive else 'false alarm'} by {abs(margin):.1f}")
                )
    wrong.sort(key=lambda entry: -entry[0])
    cases = [
        (f"{clip.path.name}, {words}", decode_all([clip], config.transform, run / ".clips")[0].numpy())
        for _, clip, words in wrong[:ERRORS_SHOWN]
    ]
    draw_clips(
        run / f"errors-{precision}.png",
        cases,
        f"{len(wrong)} clips are on the wrong side at {precision} bits",
    )


def _choose_threshold(
    run: Path, config: NetworkConfig, splits: Sequence[Fold], parts: Sequence[dict], precision: str
) -> None:
    """For a network that is then trained on all clips: the best F1 over scores of clips not trained on."""
    clips = [clip for fold in splits for clip in fold.test]
    scores = np.concatenate([part[precision]["scores"] for part in parts])
    found = alarm_threshold.sweep(scores, truth_of(clips, config))
    chosen = alarm_threshold.choose(found, alarm_threshold.Rule())
    alarm_threshold.save(run / f"threshold-{precision}.json", config, {str(config.positive): chosen})


def _scores(splits: Sequence[Fold], parts: Sequence[dict], precisions: Sequence[str]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "label", "source", "fold", *(f"score_{precision}" for precision in precisions)])
    for fold, part in zip(splits, parts, strict=True):
        for place, clip in enumerate(fold.test):
            scores = [part[precision]["scores"][place] for precision in precisions]
            table.writerow([clip.path, "|".join(clip.labels or ()), clip.source, fold.number, *scores])
    return text.getvalue()
