# SPDX-License-Identifier: Apache-2.0
"""Which clips of a data set can be used: readable, of known classes, in two classes; and their labels."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from framegate.errors import UsageError
from framegate.quant.clips.lists import INDEX
from framegate.quant.clips.transforms import Frames, TransformConfig
from framegate.quant.clips.video import Clip, missing_frames, wide_frames


def labels_of(clips: Sequence[Clip], folder: Path) -> list[str]:
    """The class of each clip, where each has one.

    Raises UsageError, naming `folder`, when the clips are not in two or more classes, when one has several, and
    when one video is in two classes.
    """
    labels = [clip.label for clip in clips if clip.label is not None]
    if len(labels) < len(clips) or len(set(labels)) < 2:
        raise UsageError(
            f"{folder}: its clips are not in two or more classes; put them into one sub-folder per class, or "
            f"list them in a {INDEX} with the columns path,label,source"
        )
    for clip in clips:
        if len(clip.labels or ()) != 1:
            raise UsageError(
                f"{clip.path}: has {len(clip.labels or ())} classes; give it one, or train with labels=independent"
            )
    if torn := in_two_classes(clips):
        raise UsageError(f"{folder}: {torn[0]}; remove one of them")
    return labels


def require_classes(clips: Sequence[Clip], classes: Sequence[str], folder: Path) -> None:
    """Raise UsageError, naming `folder`, when a class has no clip or a clip has another class."""
    counts = Counter(label for clip in clips for label in clip.labels or ())
    for name in classes:
        if not counts[name]:
            raise UsageError(f"{folder}: class {name!r} has no clips; add some or take it out of the classes")
    if others := sorted(set(counts) - set(classes)):
        raise UsageError(
            f"{folder}: class {others[0]!r} is not one of {list(classes)}; rename or remove its clips"
        )


def in_two_classes(clips: Sequence[Clip]) -> list[str]:
    """A sentence for each video that is there twice, to the byte, under different labels."""
    return [
        f"{one.path} is {one.label!r} and {other.path}, the same video, is {other.label!r}"
        for one, other in same_files(clips)
        if one.labels != other.labels
    ]


def same_files(clips: Sequence[Clip]) -> list[tuple[Clip, Clip]]:
    """Pairs of clips that are equal to the byte."""
    pairs = []
    for sized in _groups(
        [clip for clip in clips if clip.path.is_file()], lambda clip: clip.path.stat().st_size
    ):
        for equal in _groups(sized, lambda clip: hashlib.sha256(clip.path.read_bytes()).digest()):
            pairs += [(equal[0], other) for other in equal[1:]]
    return pairs


def _groups(clips: Sequence[Clip], key: Callable[[Clip], object]) -> list[list[Clip]]:
    """The clips with a common key, where there is more than one."""
    groups = defaultdict(list)
    for clip in clips:
        groups[key(clip)].append(clip)
    return [group for group in groups.values() if len(group) > 1]


def readable(
    clips: Sequence[Clip], config: TransformConfig, cache: Path | None = None, most: float = 0.05
) -> tuple[list[Clip], list[str]]:
    """The clips that can be decoded, and a sentence for each of the others; fills the cache on the way.

    Raises UsageError, with the names, when more than the share `most` cannot.
    """
    good, broken = [], []
    for clip in clips:
        found = frames_or_trouble(clip, config, cache)
        if isinstance(found, str):
            broken.append(found)
        else:
            good.append(clip)
    if trouble := too_many(broken, len(clips), most):
        raise UsageError(trouble)
    return good, broken


def too_many(broken: Sequence[str], clips: int, most: float = 0.05) -> str | None:
    """What to say when more than the share `most` of the clips cannot be used; None when it is bearable."""
    if len(broken) <= most * clips:
        return None
    listed = [*broken[:20], *([f"… and {len(broken) - 20} more"] if len(broken) > 20 else [])]
    return (
        f"{len(broken)} of {clips} clips cannot be used, more than {most:.0%}; repair or remove them:\n  "
        + "\n  ".join(listed)
    )


def frames_or_trouble(clip: Clip, config: TransformConfig, cache: Path | None = None) -> Frames | str:
    """The wide frames of a clip, or why it cannot be used: unreadable, cut off, or too short."""
    try:
        frames = wide_frames(clip.path, config.side_size, cache)
    except UsageError as error:
        return str(error)
    if len(frames) < config.num_frames:
        return f"{clip.path}: {len(frames)} frames can be decoded, {config.num_frames} are needed"
    return missing_frames(clip.path, len(frames)) or frames
