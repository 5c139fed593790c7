# SPDX-License-Identifier: Apache-2.0
"""Real video as the network sees it: one path from file to pixels for training, evaluation and boards."""

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from framegate.errors import UsageError
from framegate.files import whole
from numpy.typing import NDArray

SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v")
INDEX = "clips.csv"  # path,label,source in a folder of clips, instead of class folders
REPAIR = "record or convert it again, for example with `ffmpeg -i IN -c:v libx264 OUT.mp4`"


@dataclass(frozen=True)
class Clip:
    """A video file. Clips of one `source` (a scene, a recording) never fall on both sides of a split."""

    path: Path
    label: str | None
    source: str


def decode(path: Path, frames: int, size: int) -> NDArray[np.uint8]:
    """Decode a video to (frames, size, size, 3), RGB: the middle frame of each of `frames` equal segments.

    The shorter side is resized to `size`, then the centre is cropped; rotation metadata is applied.
    Raises UsageError naming the file when it is missing, corrupt, without pictures, or shorter than `frames`.
    """
    with _pictures(path) as pictures:
        count = sum(1 for _ in pictures)
    if count < frames:
        raise UsageError(
            f"{path}: {count} frames can be decoded, {frames} are needed; give a longer clip or fewer frames"
        )
    wanted = middles(count, frames)
    with _pictures(path) as pictures:
        chosen = {index: _crop(picture, size) for index, picture in enumerate(pictures) if index in wanted}
    return np.stack([chosen[index] for index in wanted])


def middles(count: int, frames: int) -> list[int]:
    """The frame in the middle of each of `frames` equal segments of `count` frames.

    Symmetric: a clip played backwards gives the same frames backwards (middle one excepted).
    """
    # (2k + 1) * count / (2 * frames) - 1/2, rounded, halves down here and up in the mirrored half
    early = [-((2 * frames - (2 * k + 1) * count) // (2 * frames)) for k in range((frames + 1) // 2)]
    return early + [count - 1 - index for index in early[: frames // 2]][::-1]


@contextmanager
def _pictures(path: Path) -> Iterator[Iterator[av.VideoFrame]]:
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UsageError(f"{path}: has no video stream; give a file with pictures")
            yield container.decode(container.streams.video[0])
    except FileNotFoundError:
        raise UsageError(f"{path}: not there; give the path of a video file") from None
    except (av.FFmpegError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path}: not a readable video ({error}); {REPAIR}") from None


def _crop(picture: av.VideoFrame, size: int) -> NDArray[np.uint8]:
    scale = size / min(picture.width, picture.height)
    width, height = (max(size, round(side * scale)) for side in (picture.width, picture.height))
    small = picture.reformat(width=width, height=height, format="rgb24", interpolation="AREA").to_ndarray()
    top, left = (height - size) // 2, (width - size) // 2
    square = small[top : top + size, left : left + size]
    return np.ascontiguousarray(np.rot90(square, round(picture.rotation / 90) % 4))


def find_clips(path: Path, classes: Sequence[str] | None = None) -> list[Clip]:
    """The clips of a video file, a folder of class folders, a folder of videos, or a folder with a clips.csv.

    With `classes` given, a label outside them is refused. Raises UsageError when there is no video.
    """
    path = Path(path)
    if path.is_file():
        return [Clip(path, None, path.stem)]
    if not path.is_dir():
        raise UsageError(f"{path}: not there; give a video file or a folder of clips")
    clips = _indexed(path) if (path / INDEX).is_file() else _class_folders(path) or _videos(path, None)
    if not clips:
        raise UsageError(
            f"{path}: holds no clips; put videos ({', '.join(SUFFIXES)}) into one sub-folder per class, "
            f"or list them in a {INDEX} with the columns path,label,source"
        )
    for clip in clips:
        if classes is not None and clip.label is not None and clip.label not in classes:
            raise UsageError(
                f"{clip.path}: class {clip.label!r} is not one of {list(classes)}; rename or remove it"
            )
    return clips


def labels_of(clips: Sequence[Clip], folder: Path) -> list[str]:
    """The class of each clip. Raises UsageError when the clips have none, naming `folder`."""
    labels = [clip.label for clip in clips if clip.label is not None]
    if len(labels) < len(clips) or len(set(labels)) < 2:
        raise UsageError(
            f"{folder}: its clips are not in two or more classes; put them into one sub-folder per class, or "
            f"list them in a {INDEX} with the columns path,label,source"
        )
    return labels


def _videos(folder: Path, label: str | None) -> list[Clip]:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    return [Clip(file, label, f"{label}/{file.stem}" if label else file.stem) for file in files]


def _class_folders(folder: Path) -> list[Clip]:
    inside = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    return [clip for entry in inside for clip in _videos(entry, entry.name)]


def _indexed(folder: Path) -> list[Clip]:
    index = folder / INDEX
    try:
        with index.open(newline="", encoding="utf-8-sig") as text:
            rows = list(csv.DictReader(text))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{index}: not readable as CSV ({error}); save it as UTF-8 text with commas"
        ) from None
    for number, row in enumerate(rows, start=2):
        if not row.get("path") or not row.get("label"):
            raise UsageError(
                f"{index}, line {number}: needs a path and a label; columns are path,label,source"
            )
        if not (folder / row["path"]).is_file():
            raise UsageError(
                f"{index}, line {number}: {row['path']} is not there; correct or remove the line"
            )
    return [Clip(folder / row["path"], row["label"], row.get("source") or row["path"]) for row in rows]


def decode_all(clips: Sequence[Clip], frames: int, size: int, cache: Path | None = None) -> torch.Tensor:
    """Decode `clips` to (N, frames, size, size, 3), uint8; with the folder `cache` each file once only.

    Raises UsageError as `decode` does.
    """
    decoded = [
        _cached(clip.path, frames, size, cache) if cache else decode(clip.path, frames, size)
        for clip in clips
    ]
    return torch.from_numpy(np.stack(decoded))


def spread(labels: Sequence[str | None], count: int | None) -> list[int]:
    """Indices of at most `count` clips (all: None), in their order: of each class the first, then the second …"""
    if count is None or count >= len(labels):
        return list(range(len(labels)))
    seen: Counter[str | None] = Counter()
    turns = []
    for index, label in enumerate(labels):
        turns.append((seen[label], index))
        seen[label] += 1
    return sorted(index for _, index in sorted(turns)[:count])


def survey(folder: Path, frames: int) -> dict[str, Any]:
    """Decode every clip of `folder`; return how many there are, in all and per class.

    Raises UsageError at the first that cannot give `frames` frames.
    """
    clips = find_clips(folder)
    for clip in clips:
        decode(clip.path, frames, 64)
    return {"path": str(folder), "clips": len(clips), "classes": Counter(clip.label for clip in clips)}


def _cached(path: Path, frames: int, size: int, cache: Path) -> NDArray[np.uint8]:
    state = path.stat() if path.exists() else None
    if state is None:
        return decode(path, frames, size)  # says what is wrong
    key = f"{path.resolve()} {state.st_size} {state.st_mtime_ns} {frames} {size}"
    entry = cache / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npy"
    if entry.is_file():
        return np.load(entry)
    pixels = decode(path, frames, size)
    with whole(entry) as draft:
        np.save(draft, pixels)
    return pixels
