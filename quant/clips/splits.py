# SPDX-License-Identifier: Apache-2.0
"""Folds and held-out clips: by source, never by clip; stratified by class; the same for the same seed."""

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from framegate.errors import UsageError
from framegate.quant.clips.video import Clip
from sklearn.model_selection import StratifiedGroupKFold

Split = tuple[list[Clip], list[Clip]]  # clips to train on, clips to test on


def kfold(clips: Sequence[Clip], folds: int, seed: int) -> list[Split]:
    """`folds` splits; every clip is tested once, and every class has about the same share everywhere.

    Raises UsageError for clips without labels, and when a class has fewer sources than there are folds.
    """
    _enough_sources(clips, folds)
    splitter = StratifiedGroupKFold(folds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare sets of labels; each label was counted above
        parts = list(splitter.split(clips, _strata(clips, folds), _shuffled(clips, seed)))
    return [([clips[i] for i in fitting], [clips[i] for i in held_out]) for fitting, held_out in parts]


def _shuffled(clips: Sequence[Clip], seed: int) -> list[int]:
    """A number for each clip's source, which decides when the splitter comes to it.

    Its own shuffle=True (up to scikit-learn 1.7) counts the classes of one group as those of another.
    """
    sources = sorted({clip.source for clip in clips})
    order = np.random.default_rng(seed).permutation(len(sources))
    place = dict(zip(sources, order.tolist(), strict=True))
    return [place[clip.source] for clip in clips]


def hold_out(clips: Sequence[Clip], share: float, seed: int) -> Split:
    """One split, with about `share` (up to a half) of the sources held out, and of each class some.

    Raises UsageError as `kfold` does.
    """
    if not 0 < share <= 0.5:
        raise UsageError(f"share={share}: of the clips more than none and at most half can be held out")
    _enough_sources(clips, 2)
    folds = max(2, min(round(1 / share), *_sources(clips).values()))
    return kfold(clips, folds, seed)[0]


def _sources(clips: Sequence[Clip]) -> Counter[str]:
    """How many sources each class comes from."""
    return Counter(
        label for label, _ in {(label, clip.source) for clip in clips for label in clip.labels or ()}
    )


def _enough_sources(clips: Sequence[Clip], folds: int) -> None:
    if folds < 2:
        raise UsageError(f"folds={folds}: give at least 2")
    if unlabelled := [clip for clip in clips if clip.labels is None]:
        raise UsageError(f"{unlabelled[0].path}: has no label; only labelled clips can be split by class")
    every = len({clip.source for clip in clips})
    if every < folds:
        raise UsageError(
            f"all clips are of {every} {'source' if every == 1 else 'sources'}, fewer than folds={folds}; add "
            f"sources or choose fewer folds"
        )
    for label, count in sorted(_sources(clips).items()):
        if count < folds:
            raise UsageError(
                f"class {label!r} comes from {count} {'source' if count == 1 else 'sources'}, fewer than "
                f"folds={folds}; add sources of it or choose fewer folds"
            )


def _strata(clips: Sequence[Clip], folds: int) -> list[str]:
    """The set of labels of each clip; a set too rare to be spread over the folds counts as its rarest label."""
    sets = ["|".join(sorted(clip.labels or ())) for clip in clips]
    common = Counter(sets)
    single = Counter(label for clip in clips for label in clip.labels or ())
    return [
        name
        if common[name] >= folds or not clip.labels
        else min(clip.labels, key=lambda label: single[label])
        for name, clip in zip(sets, clips, strict=True)
    ]
