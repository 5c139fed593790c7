# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals over sources: clips of one recording are alike, so recordings are drawn, not clips.

The figures of all draws are computed at once, from how often each clip was drawn; a test holds them equal to
scikit-learn's with these numbers as sample weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 1000
LEVEL = 0.95  # of the clips' recordings drawn again, this share of the figures lies inside the interval


@dataclass(frozen=True, eq=False)
class Resample:
    """How often each clip is in each draw: weights (draws, clips)."""

    weights: np.ndarray
    sources: int

    @classmethod
    def of(cls, sources: Sequence[str], draws: int = DRAWS, seed: int = 0) -> "Resample":
        """Draw as many sources as there are, with replacement, `draws` times."""
        names, owner = np.unique(np.asarray(sources, dtype=str), return_inverse=True)
        times = np.random.default_rng(seed).multinomial(
            len(names), np.full(len(names), 1 / len(names)), draws
        )
        return cls(times[:, owner].astype(np.float64), len(names))

    def mean(self, values: np.ndarray) -> np.ndarray:
        """The mean of `values` (clips,) in each draw."""
        return self.weights @ values / self.weights.sum(axis=1)

    def counts(self, raised: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """True positives, false positives, false negatives, true negatives (4, draws) of two bool (clips,)."""
        cells = np.stack([raised & truth, raised & ~truth, ~raised & truth, ~raised & ~truth], axis=1)
        return (self.weights @ cells.astype(np.float64)).T

    def whole(self, truth: np.ndarray) -> np.ndarray:
        """Which draws have clips of both sides, bool (draws,)."""
        return (self.weights @ truth > 0) & (self.weights @ ~truth > 0)

    def auc(self, scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Area under the ROC curve of each draw; NaN where one side is missing."""
        positives, negatives = self.by_score(scores, truth)
        below = negatives.sum(axis=1, keepdims=True) - np.cumsum(negatives, axis=1)
        ranked = (positives * (below + negatives / 2)).sum(axis=1)
        return _ratio(ranked, positives.sum(axis=1) * negatives.sum(axis=1), np.nan)

    def average_precision(self, scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Average precision of each draw; NaN where one side is missing."""
        positives, negatives = self.by_score(scores, truth)
        found, false = np.cumsum(positives, axis=1), np.cumsum(negatives, axis=1)
        area = (positives * _ratio(found, found + false, 0.0)).sum(axis=1)
        area[false[:, -1] == 0] = np.nan
        return _ratio(area, found[:, -1], np.nan)

    def by_score(self, scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weight of positive and of negative clips per distinct score, highest first: two (draws, scores)."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        weights, truth = self.weights[:, order], truth[order]
        return tuple(np.add.reduceat(weights * side, starts, axis=1) for side in (truth, ~truth))  # type: ignore[return-value]


def interval(values: np.ndarray) -> list[float] | None:
    """[low, high] of the draws that gave a figure; None when none did."""
    given = values[~np.isnan(values)]
    if not len(given):
        return None
    return np.quantile(given, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()


def rates(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall, specificity, F1 and accuracy from counts (4, …); 0 where nothing was to be found."""
    hit, false, missed, quiet = counts
    return {
        "precision_score": _ratio(hit, hit + false, 0.0),
        "recall": _ratio(hit, hit + missed, 0.0),
        "specificity": _ratio(quiet, quiet + false, 0.0),
        "f1": fbeta(counts, 1.0),
        "accuracy": _ratio(hit + quiet, counts.sum(axis=0), 0.0),
    }


def fbeta(counts: np.ndarray, beta: float) -> np.ndarray:
    """F-beta from counts (4, …): recall weighs `beta` times as much as precision."""
    hit, false, missed, _ = counts
    return _ratio((1 + beta**2) * hit, (1 + beta**2) * hit + false + beta**2 * missed, 0.0)


def _ratio(above: np.ndarray, below: np.ndarray, otherwise: float) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), otherwise), where=np.asarray(below) != 0)
