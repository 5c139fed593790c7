# SPDX-License-Identifier: Apache-2.0
"""Real video files of every kind become the same pixels; unusable ones are named."""

import csv
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.quant.clips import (
    INDEX,
    decode,
    decode_all,
    find_clips,
    labels_of,
    middles,
    spread,
    survey,
)

Video = Callable[..., Path]


def bright(pixels: np.ndarray) -> str:
    """The side on which red is brightest."""
    red = pixels[..., 0].mean(0)
    half = len(red) // 2
    sides = {"top": red[:half], "bottom": red[half:], "left": red[:, :half], "right": red[:, half:]}
    return max(sides, key=lambda side: sides[side].mean())


@pytest.mark.parametrize("count", [8, 9, 24, 29, 30, 31, 100])
@pytest.mark.parametrize("frames", [1, 4, 5, 8])
def test_one_frame_from_the_middle_of_each_segment(count: int, frames: int) -> None:
    chosen = middles(count, frames)
    for segment, index in enumerate(chosen):
        assert abs(index + 0.5 - (segment + 0.5) * count / frames) <= 0.5
    backwards = [count - 1 - index for index in reversed(chosen)]
    assert frames % 2 or backwards == chosen


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.mp4", "libx264", "12"),
        ("a.avi", "mpeg4", "30000/1001"),
        ("a.mkv", "libx264", "7"),
        ("a.webm", "libvpx-vp9", "23"),
    ],
)
def test_containers_and_frame_rates(video: Video, name: str, codec: str, rate: str) -> None:
    pixels = decode(video(name, codec=codec, rate=rate), frames=4, size=32)
    assert pixels.shape == (4, 32, 32, 3)
    assert pixels.dtype == np.uint8
    assert bright(pixels) == "top"
    blue = pixels[..., 2].mean((1, 2))
    assert np.abs(blue - 20 * np.array(middles(12, 4))).max() < 12  # the frames that were asked for


@pytest.mark.parametrize(("width", "height"), [(66, 50), (50, 66), (322, 34), (16, 16)])
def test_odd_sizes_are_resized_and_cropped_to_the_middle(video: Video, width: int, height: int) -> None:
    pixels = decode(video("a.mp4", width=width, height=height), frames=2, size=32)
    assert pixels.shape == (2, 32, 32, 3)
    assert bright(pixels) == "top"


@pytest.mark.parametrize(
    ("matrix", "side"),
    [((1, 0, 0, 1), "top"), ((0, 1, -1, 0), "right"), ((-1, 0, 0, -1), "bottom"), ((0, -1, 1, 0), "left")],
)
def test_rotation_metadata_is_applied(video: Video, matrix: tuple[int, int, int, int], side: str) -> None:
    path = video("a.mp4")
    content = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    at = content.index(b"tkhd") + 44  # the display matrix of the track, fixed point: a b 0, c d 0, 0 0 1
    for offset, value in zip((0, 4, 12, 16), (a, b, c, d), strict=True):
        content[at + offset : at + offset + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(content)
    assert bright(decode(path, frames=4, size=32)) == side


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.mp4: not there; give the path of a video file$"):
        decode(tmp_path / "gone.mp4", 4, 32)


@pytest.mark.parametrize("content", [b"", b"no video at all", b"\x00\x00\x00\x18ftypmp42" + bytes(99)])
def test_an_empty_or_corrupt_file_is_named_with_the_remedy(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"broken\.mp4: not a readable video .*; record or convert it again"):
        decode(path, 4, 32)


def test_a_truncated_file_is_named(video: Video) -> None:
    path = video("cut.mp4")
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(UsageError, match=r"cut\.mp4: "):
        decode(path, 4, 32)


def test_audio_only_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = 8000, Fraction(1, 8000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(UsageError, match=r"sound\.mp4: has no video stream; give a file with pictures$"):
        decode(path, 4, 32)


def test_a_short_clip_is_named_with_both_counts(video: Video) -> None:
    with pytest.raises(
        UsageError, match=r"a\.mp4: 3 frames can be decoded, 8 are needed; give a longer clip"
    ):
        decode(video("a.mp4", frames=3), 8, 32)
    assert decode(video("b.mp4", frames=8), 8, 32).shape[0] == 8


def folder_of(tmp_path: Path, video: Video, *names: str) -> Path:
    source = video("source.mp4").read_bytes()
    for name in names:
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clips" / name).write_bytes(source)
    (tmp_path / "clips").mkdir(exist_ok=True)
    return tmp_path / "clips"


def test_class_folders_give_labels(tmp_path: Path, video: Video) -> None:
    folder = folder_of(tmp_path, video, "steal/1.mp4", "pay/2.MP4", "pay/notes.txt")
    assert [(clip.path.name, clip.label) for clip in find_clips(folder)] == [
        ("2.MP4", "pay"),
        ("1.mp4", "steal"),
    ]
    with pytest.raises(UsageError, match=r"class 'steal' is not one of \['pay'\]; rename or remove it"):
        find_clips(folder, ["pay"])


def test_videos_without_classes_and_single_files_have_no_label(tmp_path: Path, video: Video) -> None:
    folder = folder_of(tmp_path, video, "1.mp4", "2.mkv")
    assert [clip.label for clip in find_clips(folder)] == [None, None]
    assert [clip.path.name for clip in find_clips(folder / "1.mp4")] == ["1.mp4"]
    with pytest.raises(
        UsageError, match=r"clips: its clips are not in two or more classes; put them into one"
    ):
        labels_of(find_clips(folder), folder)


def test_an_index_gives_labels_and_sources(tmp_path: Path, video: Video) -> None:
    folder = folder_of(tmp_path, video, "x/1.mp4", "x/2.mp4")
    with (folder / INDEX).open("w", newline="") as text:
        csv.writer(text).writerows(
            [("path", "label", "source"), ("x/1.mp4", "1", "tape"), ("x/2.mp4", "0", "")]
        )
    assert [(c.label, c.source) for c in find_clips(folder)] == [("1", "tape"), ("0", "x/2.mp4")]
    (folder / INDEX).write_text("path,label,source\nx/3.mp4,1,tape\n")
    with pytest.raises(
        UsageError, match=r"clips\.csv, line 2: x/3\.mp4 is not there; correct or remove the line"
    ):
        find_clips(folder)
    (folder / INDEX).write_text("path,source\nx/1.mp4,tape\n")
    with pytest.raises(UsageError, match=r"clips\.csv, line 2: needs a path and a label"):
        find_clips(folder)
    (folder / INDEX).write_bytes(b"\xff\xfe\x00p")
    with pytest.raises(UsageError, match=r"clips\.csv: not readable as CSV"):
        find_clips(folder)


def test_folders_without_clips_are_refused_with_the_layout(tmp_path: Path, video: Video) -> None:
    with pytest.raises(
        UsageError, match=r"clips: holds no clips; put videos \(\.mp4, .*one sub-folder per class"
    ):
        find_clips(folder_of(tmp_path, video, "notes.txt", "sub/notes.txt"))
    with pytest.raises(UsageError, match=r"nowhere: not there; give a video file or a folder of clips"):
        find_clips(tmp_path / "nowhere")


def test_the_cache_decodes_once_and_notices_a_changed_file(tmp_path: Path, video: Video) -> None:
    path, cache = video("a.mp4"), tmp_path / "cache"
    clips = find_clips(path)
    first = decode_all(clips, 4, 32, cache)
    assert [entry.suffix for entry in cache.iterdir()] == [".npy"]
    state, size = path.stat(), path.stat().st_size
    path.write_bytes(bytes(size))  # what is in the file is not looked at while its size and date are the same
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (decode_all(clips, 4, 32, cache) == first).all()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    with pytest.raises(UsageError, match="not a readable video"):
        decode_all(clips, 4, 32, cache)


def test_a_survey_counts_clips_per_class_and_stops_at_a_bad_one(tmp_path: Path, video: Video) -> None:
    folder = folder_of(tmp_path, video, "pay/1.mp4", "pay/2.mp4", "steal/3.mp4")
    assert survey(folder, 8) == {"path": str(folder), "clips": 3, "classes": {"pay": 2, "steal": 1}}
    with pytest.raises(UsageError, match=r"1\.mp4: 12 frames can be decoded, 13 are needed"):
        survey(folder, 13)


def test_a_few_clips_are_taken_from_every_class() -> None:
    labels = ["a", "a", "a", "b", "b", "c"]
    assert spread(labels, 4) == [0, 1, 3, 5]
    assert spread(labels, None) == spread(labels, 9) == [0, 1, 2, 3, 4, 5]
