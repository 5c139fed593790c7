# SPDX-License-Identifier: Apache-2.0
"""Real video as the network sees it: one path from file to pixels for training, evaluation and boards."""

import hashlib
import os.path
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from framegate.errors import UsageError
from framegate.files import whole
from framegate.quant.clips.transforms import Frames, TransformConfig, evaluation_views

MOST_STRETCH = (
    32  # a longer side than so many shorter ones would fill the memory when the shorter one is resized
)
REPAIR = "record or convert it again, for example with `ffmpeg -i IN -c:v libx264 OUT.mp4`"


@dataclass(frozen=True)
class Clip:
    """A video file. Clips of one `source` (a scene, a recording) never fall on both sides of a split.

    `labels`: its classes; None where nobody said, () for none of them (which independent labels allow).
    """

    path: Path
    labels: tuple[str, ...] | None
    source: str

    @property
    def label(self) -> str | None:
        """The class; None without labels. Several are joined by `|`, none of them is the empty string."""
        return None if self.labels is None else "|".join(self.labels)


def decode(path: Path, frames: int, size: int) -> Frames:
    """Decode a video to (frames, size, size, 3), RGB: the middle frame of each of `frames` equal segments.

    The shorter side is resized to `size`, then the centre is cropped; rotation metadata is applied.
    Raises UsageError naming the file when it is missing, corrupt, without pictures, or shorter than `frames`.
    """
    return decode_views(path, TransformConfig.of(frames, size))[0]


def decode_all(clips: Sequence[Clip], config: TransformConfig, cache: Path | None = None) -> torch.Tensor:
    """The one view of each clip that a board sees, (N, T, S, S, 3), uint8. Raises UsageError as `decode` does."""
    return torch.from_numpy(
        np.stack([decode_views(clip.path, config.one_view(), cache)[0] for clip in clips])
    )


def decode_views(path: Path, config: TransformConfig, cache: Path | None = None) -> Frames:
    """All views of a video, (V, T, S, S, 3): see `evaluation_views`. Raises UsageError as `decode` does."""
    frames = wide_frames(path, config.side_size, cache)
    try:
        return evaluation_views(frames, config)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def wide_frames(path: Path, side: int, cache: Path | None = None) -> Frames:
    """Every frame of a video, (N, H, W, 3), RGB, the shorter of H and W being `side`; upright.

    With the folder `cache` a file is decoded once only and read through a memory map. Several processes may
    share it, and one that is killed leaves nothing that another would take for frames.
    Raises UsageError naming the file when it is missing, corrupt or without pictures.
    """
    if cache is None or not os.path.exists(path):
        return _decode(path, side)
    entry = _entry(path, side, cache)
    if (kept := _open(entry, side)) is not None:
        return kept
    with whole(entry) as draft, draft.open("wb") as file:
        _decode_to(file, path, side)
    kept = _open(entry, side)
    return kept if kept is not None else _decode(path, side)  # someone cleared the cache meanwhile


def _entry(path: Path, side: int, cache: Path) -> Path:
    state = path.stat()
    key = f"{path.resolve()} {state.st_size} {state.st_mtime_ns} {side}"
    return cache / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npy"


def _open(entry: Path, side: int) -> Frames | None:
    """The frames of a cache entry; None when it is absent or damaged."""
    try:
        frames = np.load(entry, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    whole_frames = frames.dtype == np.uint8 and frames.ndim == 4 and min(frames.shape[1:3]) == side
    return frames if whole_frames and len(frames) else None


def _decode(path: Path, side: int) -> Frames:
    return np.stack(list(_upright(path, side)))


def _decode_to(file: IO[bytes], path: Path, side: int) -> None:
    """Frame by frame: a long video need not fit into memory, and a full disk is an error here, not a signal."""
    count = 0
    for frame in _upright(path, side):
        if not count:
            _write_header(file, 0, frame)  # files do not know their number of frames
        file.write(frame.tobytes())
        count += 1
    file.seek(0)
    _write_header(file, count, frame)  # NumPy leaves room for the number to grow


def _write_header(file: IO[bytes], count: int, frame: Frames) -> None:
    shape = (count, *frame.shape)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _upright(path: Path, side: int) -> Iterator[Frames]:
    """Every frame, at least one. Raises UsageError when there is none."""
    scaler = VideoReformatter()
    with _pictures(path) as pictures:
        size = None
        for picture in pictures:
            size = size or (*_wide_size(path, picture, side), _turns(picture))
            small = scaler.reformat(picture, *size[:2], format="rgb24", interpolation="AREA").to_ndarray()
            yield np.rot90(small, size[2])
        if size is None:
            raise UsageError(f"{path}: no frame can be decoded; {REPAIR}")


def missing_frames(path: Path, count: int) -> str | None:
    """What to say when a video gives `count` frames, a tenth less than it promises: it was cut off."""
    with _container(path) as container:
        promised = container.streams.video[0].frames  # 0 where the container does not tell
    if count < 0.9 * promised:
        return f"{path}: {count} of its {promised} frames can be decoded: it was cut off; {REPAIR}"
    return None


def stream_facts(path: Path) -> tuple[float, int, int]:
    """Frames per second, width and height that a video claims. Raises UsageError as `decode` does."""
    with _container(path) as container:
        stream = container.streams.video[0]
        return float(stream.average_rate or stream.guessed_rate or 30), stream.width, stream.height


def _wide_size(path: Path, picture: av.VideoFrame, side: int) -> tuple[int, int]:
    short, long = sorted((picture.width, picture.height))
    if long > MOST_STRETCH * short:
        raise UsageError(
            f"{path}: its picture of {picture.width}x{picture.height} pixels has one side more than {MOST_STRETCH} "
            f"times as long as the other; cut it, for example with `ffmpeg -i IN -vf crop=WIDTH:HEIGHT OUT.mp4`"
        )
    scale = side / min(picture.width, picture.height)
    return max(side, round(picture.width * scale)), max(side, round(picture.height * scale))


def _turns(picture: av.VideoFrame) -> int:
    return round(picture.rotation / 90) % 4


@contextmanager
def _pictures(path: Path) -> Iterator[Iterator[av.VideoFrame]]:
    with _container(path) as container:
        yield container.decode(container.streams.video[0])


def seconds(path: Path) -> float:
    """How long a video is, as its container tells. Raises UsageError as `decode` does, or when it does not tell."""
    with _container(path) as container:
        stream = container.streams.video[0]
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        if container.duration:
            return container.duration / av.time_base
    raise UsageError(f"{path}: does not tell how long it is; {REPAIR}")


def shown(name: str) -> str:
    """A path for a message: on one line, and not longer than one can read."""
    plain = name if name.isprintable() else repr(name)[1:-1]
    return plain if len(plain) <= 300 else f"{plain[:100]}… ({len(plain)} characters)"


@contextmanager
def _container(path: Path) -> Iterator[av.container.InputContainer]:
    try:  # by its whole path: what stands before a colon would be the name of a protocol
        with av.open(str(path.absolute())) as container:
            if not container.streams.video:
                raise UsageError(f"{path}: has no video stream; give a file with pictures")
            yield container
    except FileNotFoundError:
        raise UsageError(f"{shown(str(path))}: not there; give the path of a video file") from None
    except (av.FFmpegError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path}: not a readable video ({error}); {REPAIR}") from None


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
