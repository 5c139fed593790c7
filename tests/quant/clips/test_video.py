# SPDX-License-Identifier: Apache-2.0
"""Real video files of every kind become the same pixels; unusable ones are named."""

import multiprocessing
import os
import re
import shutil
import signal
import time
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.quant.clips.layouts import find_clips
from framegate.quant.clips.shop import write_mp4
from framegate.quant.clips.transforms import TransformConfig, middles
from framegate.quant.clips.video import (
    Clip,
    decode,
    decode_all,
    decode_views,
    missing_frames,
    seconds,
    spread,
    stream_facts,
    wide_frames,
)

from tests.quant.conftest import cut_off

Video = Callable[..., Path]


def bright(pixels: np.ndarray) -> str:
    """The side on which red is brightest."""
    red = pixels[..., 0].mean(0)
    half = len(red) // 2
    sides = {"top": red[:half], "bottom": red[half:], "left": red[:, :half], "right": red[:, half:]}
    return max(sides, key=lambda side: sides[side].mean())


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


@pytest.mark.parametrize("size", [(16000, 1), (1, 16000), (8000, 2), (4160, 128)])
def test_a_picture_that_would_fill_the_memory_is_refused_by_its_size(
    size: tuple[int, int], tmp_path: Path
) -> None:
    path = _lossless(tmp_path / "a.avi", *size)
    message = rf"a\.avi: its picture of {size[0]}x{size[1]} pixels has one side more than 32 times as long"
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=message):
            wide_frames(path, 64)
        with pytest.raises(UsageError, match=message):
            wide_frames(path, 64, tmp_path / "cache")
        assert tracemalloc.get_traced_memory()[1] < 16e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [(1, 1), (32, 1), (1, 32), (4096, 128), (2, 3)])
def test_every_other_picture_takes_memory_by_what_is_kept_of_it(
    size: tuple[int, int], tmp_path: Path
) -> None:
    path = _lossless(tmp_path / "a.avi", *size)
    tracemalloc.start()
    try:
        frames = wide_frames(path, 64)
        assert min(frames.shape[1:3]) == 64
        assert tracemalloc.get_traced_memory()[1] < 3 * 4 * 64 * 64 * 32 * 3
    finally:
        tracemalloc.stop()


def _lossless(path: Path, width: int, height: int) -> Path:
    """A video of four frames of any size."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=Fraction(12))
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
        for number in range(4):
            picture = np.full((height, width, 3), 40 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    "name", ["12:30.mp4", "file:a.mp4", "http:a.mp4", "concat:a|b.mp4", "-.mp4", "a b;c'.mp4"]
)
@pytest.mark.parametrize("folder", ["", "tape:7"])
def test_a_video_may_have_any_name_from_where_one_stands(
    video: Video, name: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = video("plain.mp4")
    (tmp_path / folder).mkdir(exist_ok=True)
    shutil.copy(plain, tmp_path / folder / name)
    monkeypatch.chdir(tmp_path)
    path = Path(folder) / name
    assert np.array_equal(wide_frames(path, 16), wide_frames(plain, 16))
    assert seconds(path) == seconds(plain)
    assert stream_facts(path) == stream_facts(plain)
    write_mp4(path, [np.zeros((96, 96, 3), np.uint8)])
    assert len(wide_frames(path, 16)) == 1


@pytest.mark.parametrize("name", ["a" * 6000, "a\0.mp4"])
def test_a_name_that_no_video_can_have_is_one_sentence(name: str, tmp_path: Path) -> None:
    for cache in (None, tmp_path):
        with pytest.raises(UsageError, match=r"(not there|not a readable video)"):
            wide_frames(tmp_path / name, 16, cache)


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


def test_the_cache_decodes_once_and_notices_a_changed_file(tmp_path: Path, video: Video) -> None:
    path, cache = video("a.mp4"), tmp_path / "cache"
    first = wide_frames(path, 32, cache)
    assert isinstance(first, np.memmap)
    assert np.array_equal(first, wide_frames(path, 32))
    assert [entry.suffix for entry in cache.iterdir()] == [".npy"]
    state, size = path.stat(), path.stat().st_size
    path.write_bytes(bytes(size))  # what is in the file is not looked at while its size and date are the same
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert np.array_equal(wide_frames(path, 32, cache), first)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    with pytest.raises(UsageError, match="not a readable video"):
        wide_frames(path, 32, cache)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-1],
        lambda whole: b"",
        lambda whole: bytes(len(whole)),
        lambda whole: whole.replace(b"(12, 32, 43,", b"(12, 43, 31,"),
    ],
)
def test_a_damaged_cache_entry_is_made_again(tmp_path: Path, video: Video, damage: Callable) -> None:
    path, cache = video("a.mp4"), tmp_path / "cache"
    first = np.array(wide_frames(path, 32, cache))
    (entry,) = cache.iterdir()
    entry.write_bytes(damage(entry.read_bytes()))
    assert np.array_equal(wide_frames(path, 32, cache), first)
    assert np.array_equal(np.load(entry), first)


def _fill(path: Path, cache: Path) -> bytes:
    return wide_frames(path, 32, cache).tobytes()


def test_workers_share_a_cache_and_a_killed_one_does_no_harm(tmp_path: Path, video: Video) -> None:
    path, cache = video("a.mp4", frames=60), tmp_path / "cache"
    expected = wide_frames(path, 32).tobytes()
    processes = multiprocessing.get_context("fork")
    victim = processes.Process(target=_fill_for_ever, args=(path, cache))
    victim.start()
    while not (cache.exists() and any(cache.iterdir())):
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    with processes.Pool(2) as pool:
        assert pool.starmap(_fill, [(path, cache)] * 4) == [expected] * 4
    assert [entry.name for entry in cache.iterdir() if ".part" in entry.name] == []


def _fill_for_ever(path: Path, cache: Path) -> None:
    while True:
        shutil.rmtree(cache, ignore_errors=True)
        _fill(path, cache)


def _as_before(path: Path, frames: int, size: int) -> np.ndarray:
    """How frames were decoded before there were wide frames: what checkpoints of that time were trained on."""
    with av.open(str(path)) as container:
        pictures = list(container.decode(container.streams.video[0]))
    chosen = []
    for index in middles(len(pictures), frames):
        picture = pictures[index]
        scale = size / min(picture.width, picture.height)
        width, height = (max(size, round(side * scale)) for side in (picture.width, picture.height))
        small = picture.reformat(
            width=width, height=height, format="rgb24", interpolation="AREA"
        ).to_ndarray()
        top, left = (height - size) // 2, (width - size) // 2
        chosen.append(small[top : top + size, left : left + size])
    return np.stack(chosen)


@pytest.mark.parametrize("size", [64, 33])
def test_the_plain_transform_gives_the_pixels_that_it_always_gave(
    shop: Path, video: Video, size: int
) -> None:
    clips = find_clips(shop)
    config = TransformConfig.of(8, size)
    pixels = decode_all(clips, config).numpy()
    for clip, given in zip(clips, pixels, strict=True):
        assert np.array_equal(given, _as_before(clip.path, 8, size))
    odd = video("odd.mp4", width=98, height=50)
    assert np.array_equal(decode(odd, 8, size), _as_before(odd, 8, size))


def test_with_and_without_a_cache_the_pixels_are_the_same(shop: Path, tmp_path: Path) -> None:
    clips = find_clips(shop)[::7]
    config = TransformConfig(preset="motion", side_size=48, crop_size=32)
    plain = decode_all(clips, config)
    for _ in range(2):
        assert (decode_all(clips, config, tmp_path) == plain).all()


def test_a_board_sees_one_view_of_several(shop: Path) -> None:
    clip = find_clips(shop)[0]
    config = TransformConfig(num_clips=3, num_crops=3)
    assert decode_views(clip.path, config).shape == (9, 8, 64, 64, 3)
    assert np.array_equal(decode_all([clip], config)[0], decode(clip.path, 8, 64))


def test_a_file_that_was_cut_off_is_told_from_a_short_one(video: Video) -> None:
    path = cut_off(video("a.mp4", frames=60))
    count = len(wide_frames(path, 32))
    assert 0 < count < 50
    assert re.match(
        rf".*a\.mp4: {count} of its 60 frames can be decoded: it was cut off; record",
        missing_frames(path, count),
    )
    assert missing_frames(video("b.mp4", frames=5), 5) is None
    with pytest.raises(UsageError, match=r"c\.mp4: not a readable video"):
        wide_frames(cut_off(video("c.mp4", frames=60), inside_a_picture=True), 32)


def test_several_labels_read_as_one_and_none_as_empty() -> None:
    labels = [None, (), ("a",), ("a", "b")]
    assert [Clip(Path("x"), given, "s").label for given in labels] == [None, "", "a", "a|b"]


def test_a_few_clips_are_taken_from_every_class() -> None:
    labels = ["a", "a", "a", "b", "b", "c"]
    assert spread(labels, 4) == [0, 1, 3, 5]
    assert spread(labels, None) == spread(labels, 9) == [0, 1, 2, 3, 4, 5]
