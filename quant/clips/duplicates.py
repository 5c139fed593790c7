# SPDX-License-Identifier: Apache-2.0
"""What a data set holds, and what would spoil training: broken clips, empty classes, the same scene twice."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from framegate.errors import FramegateError, UsageError
from framegate.quant.clips.layouts import Dataset
from framegate.quant.clips.splits import kfold
from framegate.quant.clips.transforms import Frames, TransformConfig, gray, middles
from framegate.quant.clips.usable import frames_or_trouble, in_two_classes, too_many
from framegate.quant.clips.video import Clip, stream_facts, wide_frames
from imagehash import phash
from numpy.typing import NDArray
from PIL import Image

SIDE = 64  # pixels, of what is compared
MOMENTS = 5  # frames of a clip that are compared
# Of 320 bits each: clips that differ by no more show one scene. Re-encoded at a quarter of the size a clip differs by
# up to 6 and 28, another take in the same room by 6 and 38 or more; one copied or converted with care by 8 together.
STILL_LIKE, MOVING_LIKE, COPIED = 16, 30, 8


@dataclass(frozen=True)
class Look:
    """A readable clip: frames, frames per second, seconds, width and height, and its perceptual hashes."""

    clip: Clip
    frames: int
    fps: float
    width: int
    height: int
    still: NDArray[np.uint64]  # (MOMENTS,): pHash of frames
    moving: NDArray[np.uint64]  # (MOMENTS,): pHash of how they differ from what does not move

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frames / self.fps


@dataclass(frozen=True)
class Twins:
    """Two clips of one scene; `bits` of 640 differ."""

    one: Clip
    other: Clip
    bits: int

    def __str__(self) -> str:
        return f"{self.one.path} and {self.other.path} show the same"


def check(
    splits: Mapping[str, Dataset],
    frames: int,
    folds: int | None = None,
    seed: int = 0,
    step: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Look at every clip of every split; what was found, as plain values.

    "leaks": why the clips must not be trained on as they are; "error": the same or what else is wrong, in one
    line, None when all is well; `exit_code` tells with what a command ends. Calls `step` after each clip.
    Raises UsageError for more folds than a class has sources, and for folds of clips that are split.
    """
    if folds is not None and len(splits) > 1:
        raise UsageError(
            f"folds={folds}: the clips are split already ({', '.join(splits)}); leave out one of both"
        )
    clips = [clip for found in splits.values() for clip in found.clips]
    looks, broken = _look_at_all(clips, frames, step)
    good = [look.clip for look in looks]
    twins = near_duplicates(looks)
    parts = {name: [clip for clip in found.clips if clip in set(good)] for name, found in splits.items()}
    if folds is not None:
        joined = join_sources(good, twins)
        parts = {f"fold {n}": held_out for n, (_, held_out) in enumerate(kfold(joined, folds, seed), start=1)}
    leaks = [*_two_classes(good, twins), *(_between(parts, twins) if len(parts) > 1 else [])]
    return {
        "layout": ", ".join(dict.fromkeys(found.layout for found in splits.values())),
        "clips": len(clips),
        "sources": len({clip.source for clip in clips}),
        "classes": _classes(clips),
        "splits": {name: _counts(part) for name, part in parts.items()} if len(parts) > 1 else {},
        "frames": _range([look.frames for look in looks]),
        "seconds": _range([round(look.seconds, 3) for look in looks]),
        "sizes": _tally(f"{look.width}x{look.height}" for look in looks),
        "frames_per_second": _tally(f"{look.fps:g}" for look in looks),
        "left_out": [line for found in splits.values() for line in found.left_out],
        "broken": broken,
        "duplicates": [_as_json(pair) for pair in twins],
        "leaks": leaks,
        **_verdict(leaks, broken, len(clips)),
    }


def _verdict(leaks: Sequence[str], broken: Sequence[str], clips: int) -> dict[str, Any]:
    if trouble := too_many(broken, clips):
        return {"error": trouble, "exit_code": UsageError.exit_code}
    if leaks:
        more = f" (and {len(leaks) - 1} more)" if len(leaks) > 1 else ""
        return {"error": f"{leaks[0]}{more}", "exit_code": FramegateError.exit_code}
    return {"error": None, "exit_code": 0}


def _look_at_all(
    clips: Sequence[Clip], frames: int, step: Callable[[], None]
) -> tuple[list[Look], list[str]]:
    config = TransformConfig.of(frames, SIDE)
    looks, broken = [], []
    for clip in clips:
        found = frames_or_trouble(clip, config)
        if isinstance(found, str):
            broken.append(found)
        else:
            looks.append(_look(clip, found))
        step()
    return looks, broken


def look_at(clip: Clip, cache: Path | None = None) -> Look:
    """Decode a clip. Raises UsageError as `wide_frames` does."""
    return _look(clip, wide_frames(clip.path, SIDE, cache))


def _look(clip: Clip, frames: Frames) -> Look:
    fps, width, height = stream_facts(clip.path)
    some = gray(frames[middles(len(frames), min(len(frames), 12 * MOMENTS))])
    moments = some[middles(len(some), MOMENTS)].astype(np.int64)
    moved = np.abs(moments - np.median(some, axis=0).astype(np.int64))
    return Look(clip, len(frames), fps, width, height, _hashes(moments), _hashes(moved))


def _hashes(pictures: NDArray[np.int64]) -> NDArray[np.uint64]:
    bits = np.stack([phash(Image.fromarray(picture.astype(np.uint8))).hash.ravel() for picture in pictures])
    return np.packbits(bits, axis=1).view(np.uint64).ravel()


def near_duplicates(looks: Sequence[Look]) -> list[Twins]:
    """Pairs of clips that show the same scene, of different sources, classes or splits too; most alike first."""
    if not looks:
        return []
    still, moving = (np.stack([getattr(look, name) for look in looks]) for name in ("still", "moving"))
    pairs = []
    for first in range(len(looks) - 1):
        away = np.bitwise_count(still[first + 1 :] ^ still[first]).sum(1, dtype=int)
        apart = np.bitwise_count(moving[first + 1 :] ^ moving[first]).sum(1, dtype=int)
        for offset in np.flatnonzero((away <= STILL_LIKE) & (apart <= MOVING_LIKE)):
            other = looks[first + 1 + int(offset)].clip
            pairs.append(Twins(looks[first].clip, other, int(away[offset] + apart[offset])))
    return sorted(pairs, key=lambda pair: pair.bits)


def one_source_per_scene(clips: Sequence[Clip], cache: Path | None = None) -> list[Clip]:
    """Readable `clips`, those of one scene under one source: see `join_sources`. For use before splitting."""
    return join_sources(clips, near_duplicates([look_at(clip, cache) for clip in clips]))


def join_sources(clips: Sequence[Clip], twins: Sequence[Twins]) -> list[Clip]:
    """The clips with one source for all sources that share a scene: then no split by source parts them."""
    name = {clip.source: clip.source for clip in clips}
    for pair in twins:
        old, new = sorted((name[pair.one.source], name[pair.other.source]), reverse=True)
        name = {source: new if joined == old else joined for source, joined in name.items()}
    return [replace(clip, source=name[clip.source]) for clip in clips]


def _two_classes(clips: Sequence[Clip], twins: Sequence[Twins]) -> list[str]:
    same = in_two_classes(clips)
    alike = [
        f"{pair}, but one is {pair.one.label!r} and the other {pair.other.label!r}; remove one or correct its class"
        for pair in twins
        if pair.bits <= COPIED and pair.one.labels != pair.other.labels
    ]
    return same or alike


def _between(parts: Mapping[str, Sequence[Clip]], twins: Sequence[Twins]) -> list[str]:
    """Sources, files and scenes that are in two of the parts."""
    where = {clip.path.resolve(): name for name, clips in parts.items() for clip in clips}
    homes: dict[str, list[str]] = {}
    leaks = []
    for name, clips in parts.items():
        for clip in clips:
            if where[clip.path.resolve()] != name:
                leaks.append(
                    f"{clip.path} is in {name} and in {where[clip.path.resolve()]}; remove it from one"
                )
        for source in dict.fromkeys(clip.source for clip in clips):
            homes.setdefault(source, []).append(name)
    leaks += [
        f"source {source!r} has clips in {' and in '.join(names)}; move all to one of them"
        for source, names in homes.items()
        if len(names) > 1
    ]
    for pair in twins:
        one, other = (where[clip.path.resolve()] for clip in (pair.one, pair.other))
        if one != other:
            leaks.append(f"{pair}, but one is in {one} and the other in {other}; move both to one of them")
    return leaks


def _classes(clips: Sequence[Clip]) -> dict[str, int]:
    counts = Counter(
        label for clip in clips for label in (clip.labels if clip.labels is not None else ("unlabelled",))
    )
    if none := sum(clip.labels == () for clip in clips):
        counts["no class"] = none
    return dict(sorted(counts.items()))


def _counts(clips: Sequence[Clip]) -> dict[str, Any]:
    return {"clips": len(clips), "sources": len({clip.source for clip in clips}), "classes": _classes(clips)}


def _tally(values: Any) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _range(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"least": min(values), "median": float(np.median(values)), "most": max(values)}


def _as_json(pair: Twins) -> dict[str, Any]:
    both = (pair.one, pair.other)
    return {
        "clips": [str(clip.path) for clip in both],
        "sources": [clip.source for clip in both],
        "classes": [clip.label for clip in both],
        "bits": pair.bits,
    }
