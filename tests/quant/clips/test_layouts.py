# SPDX-License-Identifier: Apache-2.0
"""Every layout gives the same kind of clips; what can be read in two ways, or not at all, is named."""

from collections.abc import Callable
from pathlib import Path

import pytest
from framegate.errors import UsageError
from framegate.quant.clips.layouts import find_clips, read, read_splits
from framegate.quant.clips.lists import INDEX
from framegate.quant.clips.transforms import TransformConfig
from framegate.quant.clips.usable import in_two_classes, labels_of, readable, require_classes
from framegate.quant.clips.video import Clip

from tests.quant.conftest import cut_off

Video = Callable[..., Path]
Layout = Callable[..., Path]


def found(clips: list[Clip]) -> list[tuple[str, str | None, str]]:
    return [(clip.path.name, clip.label, clip.source) for clip in clips]


# Class folders and plain folders


def test_class_folders_give_labels(layout: Layout) -> None:
    folder = layout("steal/1.mp4", "pay/2.MP4", "pay/notes.txt", "__MACOSX/3.mp4", ".thumbs/4.mp4")
    assert read(folder).layout == "class folders"
    assert found(find_clips(folder)) == [("2.MP4", "pay", "pay/2"), ("1.mp4", "steal", "steal/1")]
    with pytest.raises(UsageError, match=r"class 'steal' is not one of \['pay'\]; rename or remove it"):
        find_clips(folder, ["pay"])


def test_videos_without_classes_and_single_files_have_no_label(layout: Layout) -> None:
    folder = layout("1.mp4", "2.mkv")
    assert [clip.labels for clip in find_clips(folder)] == [None, None]
    assert found(find_clips(folder / "1.mp4")) == [("1.mp4", None, "1")]
    with pytest.raises(
        UsageError, match=r"clips: its clips are not in two or more classes; put them into one"
    ):
        labels_of(find_clips(folder), folder)


def test_a_pattern_finds_the_source_in_the_path(layout: Layout) -> None:
    folder = layout("steal/cam1_a.mp4", "steal/cam1_b.mp4", "pay/cam2_a.mp4")
    assert [clip.source for clip in find_clips(folder, source=r"(cam\d)")] == ["cam2", "cam1", "cam1"]
    with pytest.raises(UsageError, match=r"^source='\(cam1\)': finds nothing in pay/cam2_a\.mp4; correct"):
        find_clips(folder, source="(cam1)")
    with pytest.raises(UsageError, match=r"^source='cam': has 0 groups \(…\); put one around"):
        find_clips(folder, source="cam")
    with pytest.raises(UsageError, match=r"^source='\(': not a regular expression"):
        find_clips(folder, source="(")


def test_some_classes_can_be_chosen(layout: Layout) -> None:
    folder = layout("steal/1.mp4", "pay/2.mp4", "look/3.mp4")
    assert {clip.label for clip in find_clips(folder, only=["pay", "look"])} == {"pay", "look"}
    with pytest.raises(UsageError, match=r"has no class 'run'; choose from \['look', 'pay', 'steal'\]$"):
        find_clips(folder, only=["run"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["notes.txt"], r"clips: holds lists \(notes\.txt\) but no clips\.csv; give one of the lists$"),
        (["sub/notes.txt"], r"clips: holds no clips; put videos \(\.mp4, .*one sub-folder per class"),
        (
            ["a.mp4", "pay/b.mp4"],
            r"clips: holds 1 videos \(a\.mp4 …\) and 1 folders of videos \(pay …\): move",
        ),
        (
            ["left/pay/1.mp4", "right/pay/2.mp4"],
            r"clips: holds left, right, each with class folders; give one",
        ),
        (
            ["train.csv", "val.csv"],
            r"clips: holds lists \(train\.csv, val\.csv\) but no clips\.csv; give one of",
        ),
        (
            ["pay/1.mp4", "steal/notes.txt"],
            r"steal: class 'steal' holds no videos; add some or remove the folder$",
        ),
    ],
)
def test_what_is_no_layout_or_two_is_refused(layout: Layout, names: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_clips(layout(*names))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere: not there; give a video file or a folder of clips"):
        find_clips(tmp_path / "nowhere")


# Lists


@pytest.mark.parametrize(
    "text",
    [
        "path,label,source\nx/1.mp4,1,tape\nx/2.mp4,0,\n",
        "\ufeffsource,label,path\ntape,1,x/1.mp4\n,0,x/2.mp4\n",
        "x/1.mp4,1,tape\n\nx/2.mp4,0\n",
        "x/1.mp4\t1\ttape\nx/2.mp4\t0\n",
        "path,split,label,source\nx/1.mp4,test,1,tape\nx/2.mp4,train,0,\n",
    ],
)
def test_a_list_gives_labels_and_sources(layout: Layout, text: str) -> None:
    folder = layout("x/1.mp4", "x/2.mp4")
    for name in (INDEX, "other.csv"):
        (folder / name).write_text(text, encoding="utf-8")
    expected = [("1.mp4", "1", "tape"), ("2.mp4", "0", "x/2.mp4")]
    assert found(find_clips(folder)) == found(find_clips(folder / "other.csv")) == expected


def test_lists_in_the_style_of_kinetics(layout: Layout) -> None:
    folder = layout("my videos/a 1.mp4", "eating/q7_000003_000013.mp4", "train/q8_000010_000020.mp4")
    (folder / "train.txt").write_text("my videos/a 1.mp4 4\n")
    assert found(find_clips(folder / "train.txt")) == [("a 1.mp4", "4", "my videos/a 1.mp4")]
    (folder / "kinetics.csv").write_text(
        "label,youtube_id,time_start,time_end,split\neating,q7,3,13,train\nsmoking,q8,10.0,20.0,train\n"
    )
    assert read(folder / "kinetics.csv").layout == "Kinetics list"
    assert found(find_clips(folder / "kinetics.csv")) == [
        ("q7_000003_000013.mp4", "eating", "q7"),
        ("q8_000010_000020.mp4", "smoking", "q8"),
    ]
    for line, message in (
        ("eating,q9,3,13", r"kinetics\.csv, line 2: q9_000003_000013\.mp4 is not there"),
        ("eating,q7,three,13", r"kinetics\.csv, line 2: needs label, youtube_id, time_start and time_end"),
    ):
        (folder / "kinetics.csv").write_text(f"label,youtube_id,time_start,time_end\n{line}\n")
        with pytest.raises(UsageError, match=message):
            find_clips(folder / "kinetics.csv")


def test_a_clip_may_have_several_labels_or_none(layout: Layout) -> None:
    folder = layout("1.mp4", "2.mp4", "3.mp4")
    (folder / INDEX).write_text("path,label\n1.mp4,smoking | stealing\n2.mp4,-\n3.mp4,stealing\n")
    clips = find_clips(folder, ["smoking", "stealing"])
    assert [clip.labels for clip in clips] == [("smoking", "stealing"), (), ("stealing",)]
    with pytest.raises(UsageError, match=r"1\.mp4: has 2 classes; give it one, or train with labels=indep"):
        labels_of(clips, folder)
    with pytest.raises(UsageError, match=r"1\.mp4: class 'smoking' is not one of \['stealing'\]"):
        find_clips(folder, ["stealing"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"path,label,source\nx/3.mp4,1,tape\n",
            r"line 2: x/3\.mp4 is not there; correct or remove the line",
        ),
        (b"path,source\nx/1.mp4,tape\n", r"line 2: needs a path and a label"),
        (b"path,label\nx/1.mp4,\n", r"line 2: needs a path and a label"),
        (b"x/1.mp4,a,tape,9\n", r"line 1: needs a path and a label; columns are path,label,source$"),
        (b"\xff\xfe\x00p", r"not readable as CSV"),
        (b'path,label\n"x/1.mp4,a\n', r"not readable as CSV"),
        (b"", r"lists no clips; put videos"),
        (b"path,label\n", r"lists no clips; put videos"),
        (b"x/1.mp4,a\nx/1.mp4,b\n", r"line 2: 1\.mp4 is 'b' here and 'a' in line 1; a clip has one line"),
        (b"x/1.mp4,a\nx/2.mp4,a\nx/1.mp4,a\n", r"line 3: 1\.mp4 is in line 1 already; remove one$"),
    ],
)
def test_a_wrong_list_is_named_with_its_line(layout: Layout, text: bytes, message: str) -> None:
    folder = layout("x/1.mp4", "x/2.mp4")
    (folder / INDEX).write_bytes(text)
    with pytest.raises(UsageError, match=rf"clips\.csv.*{message}"):
        find_clips(folder)


@pytest.mark.parametrize("name", ["path", "label", "source", "split"])
@pytest.mark.parametrize("place", range(5))
def test_a_column_that_is_there_twice_is_refused(layout: Layout, name: str, place: int) -> None:
    folder, row = layout("x/1.mp4"), {"path": "x/1.mp4", "label": "a", "source": "tape", "split": "test"}
    names = [*list(row)[:place], name.title(), *list(row)[place:]]
    cells = [row.get(column, "another") for column in names]
    (folder / "two.csv").write_text(f"{','.join(names)}\n{','.join(cells)}\n")
    message = rf"two\.csv: has 2 columns '{name}'; remove or rename all but the one that is meant$"
    with pytest.raises(UsageError, match=message):
        read(folder / "two.csv")
    with pytest.raises(UsageError, match=message):
        read_splits([folder], folder / "two.csv")


@pytest.mark.parametrize("name", ["label", "youtube_id", "time_start", "time_end"])
def test_a_kinetics_column_that_is_there_twice_is_refused(layout: Layout, name: str) -> None:
    folder = layout("q7_000003_000013.mp4")
    (folder / "k.csv").write_text(f"label,youtube_id,time_start,time_end,{name}\neating,q7,3,13,q7\n")
    with pytest.raises(UsageError, match=rf"k\.csv: has 2 columns '{name}'; remove or rename"):
        read(folder / "k.csv")


def test_columns_that_nobody_reads_may_have_any_names(layout: Layout) -> None:
    folder = layout("x/1.mp4")
    (folder / INDEX).write_text("path,label,note,note,,\nx/1.mp4,a,1,2,,\n")
    assert found(find_clips(folder)) == [("1.mp4", "a", "x/1.mp4")]


@pytest.mark.parametrize("number", ["inf", "-inf", "nan", "1e999", "1e300", "-1", "", "3;"])
@pytest.mark.parametrize("column", ["time_start", "time_end"])
def test_times_that_are_none_are_named_with_their_line(layout: Layout, column: str, number: str) -> None:
    folder = layout("q7_000003_000013.mp4")
    times = {"time_start": "3", "time_end": "13"} | {column: number}
    (folder / "k.csv").write_text(
        f"label,youtube_id,{','.join(times)}\neating,q8,{','.join(times.values())}\n"
    )
    with pytest.raises(UsageError, match=r"k\.csv, line 2: (needs label|q8_.* is not there)"):
        read(folder / "k.csv")


ODD_NAMES = ("a" * 6000, "b/" * 3000 + "1.mp4", "a\0.mp4", "\0", "a" * 300 + "/1.mp4", "x")


@pytest.mark.parametrize("name", ODD_NAMES, ids=["long", "deep", "nul", "nul alone", "long folder", "folder"])
def test_a_path_that_no_video_can_have_is_one_short_sentence(layout: Layout, name: str) -> None:
    folder = layout("x/1.mp4")
    (folder / "list.csv").write_text(f"path,label\n{name},a\n")
    (folder / "parts.csv").write_text(f"path,split\n{name},train\n")
    for attempt, message in (
        (
            lambda: read(folder / "list.csv"),
            r"list\.csv, line 2: .* is not there; correct or remove the line$",
        ),
        (lambda: read_splits([folder], folder / "parts.csv"), r"parts\.csv, line 2: .* is not a clip of"),
        (lambda: read(folder / "gone" / name), "not there; give a video file or a folder of clips$"),
        (lambda: read_splits([folder], folder / "gone" / name), "not there; give a list with the columns"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            attempt()
        assert len(str(caught.value)) < 1000
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("names", "layout_name", "expected"),
    [
        (["pay/1.mp4", "steal/2.mp4", "pay/x.mp4/"], "class folders", ["pay", "steal"]),
        (["pay/1.mp4", "steal/2.mp4", "pay/x.mp4/3.mp4"], "class folders", ["pay", "steal"]),
        (["pay/1.mp4", "steal.mp4/2.mp4"], "class folders", ["pay", "steal.mp4"]),
        (["1.mp4", "2.mp4", "x.mp4/"], "videos", [None, None]),
        (["Abuse001_x264.mp4", "Shoplifting044_x264.mp4/"], "UCF-Crime names", ["Abuse"]),
    ],
)
def test_a_folder_named_like_a_video_is_a_folder(
    layout: Layout, names: list[str], layout_name: str, expected: list[str | None]
) -> None:
    root = layout(*(name for name in names if not name.endswith("/")))
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True) if name.endswith("/") else None
    dataset = read(root)
    assert dataset.layout == layout_name
    assert [clip.label for clip in dataset.clips] == expected


# What training refuses


def test_one_video_in_two_classes_is_refused(layout: Layout, video: Video) -> None:
    folder = layout("pay/1.mp4", "steal/2.mp4")
    (folder / "look").mkdir()
    video("other.mp4", frames=13).rename(folder / "look/3.mp4")
    clips = find_clips(folder)
    assert in_two_classes(clips) == [
        f"{folder}/pay/1.mp4 is 'pay' and {folder}/steal/2.mp4, the same video, is 'steal'"
    ]
    with pytest.raises(UsageError, match=r"1\.mp4 is 'pay' and .*2\.mp4, the same video, is 'steal'; remove"):
        labels_of(clips, folder)
    assert labels_of(find_clips(folder, only=["look", "pay"]), folder) == ["look", "pay"]


def test_classes_without_clips_and_clips_of_other_classes_are_named() -> None:
    clips = [Clip(Path("1"), ("a",), "1"), Clip(Path("2"), (), "2")]
    require_classes(clips, ["a"], Path("clips"))
    with pytest.raises(UsageError, match=r"^clips: class 'b' has no clips; add some or take it out"):
        require_classes(clips, ["a", "b"], Path("clips"))
    with pytest.raises(UsageError, match=r"^clips: class 'a' is not one of \['b'\]; rename or remove"):
        require_classes([*clips, Clip(Path("3"), ("b",), "3")], ["b"], Path("clips"))


def test_a_few_unreadable_clips_are_skipped_and_named(layout: Layout, tmp_path: Path) -> None:
    folder = layout(*(f"pay/{number:02}.mp4" for number in range(40)))
    (folder / "pay/03.mp4").write_bytes(b"no video")
    cut_off(folder / "pay/07.mp4")
    clips, config = find_clips(folder), TransformConfig.of(4, 32)
    good, broken = readable(clips, config, tmp_path / "cache")
    assert [clip.path.stem for clip in clips if clip not in good] == ["03", "07"]
    assert "03.mp4: not a readable video" in broken[0]
    assert "07.mp4: 6 of its 12 frames can be decoded: it was cut off" in broken[1]
    assert len(list((tmp_path / "cache").iterdir())) == 39  # nothing is decoded twice
    (folder / "pay/11.mp4").write_bytes(b"")
    with pytest.raises(
        UsageError, match=r"(?s)^3 of 40 clips cannot be used, more than 5%; .*03\.mp4.*11\.mp4"
    ):
        readable(clips, config)
    assert len(readable(clips, config, most=0.1)[0]) == 37
    with pytest.raises(UsageError, match=r"12 frames can be decoded, 13 are needed"):
        readable(clips, TransformConfig.of(13, 32))


# Parts of a data set


def test_parts_come_from_folders_or_a_list(layout: Layout, tmp_path: Path) -> None:
    folder = layout("train/pay/1.mp4", "train/steal/1.mp4", "test/pay/1.mp4", "test/steal/2.mp4")
    parts = read_splits([folder])
    assert {name: found(part.clips) for name, part in parts.items()} == {
        "test": [("1.mp4", "pay", "test/pay/1"), ("2.mp4", "steal", "test/steal/2")],
        "train": [("1.mp4", "pay", "train/pay/1"), ("1.mp4", "steal", "train/steal/1")],
    }
    assert read_splits([folder / "train", folder / "test"]) == {
        name: parts[name] for name in ("train", "test")
    }
    assert list(read_splits([folder / "train"])) == ["all"]
    index = tmp_path / "parts.csv"
    index.write_text("path,split\npay/1.mp4,a\n")
    listed = read_splits([folder / "train"], index)
    assert found(listed["a"].clips) == [("1.mp4", "pay", "pay/1")]
    assert listed["a"].left_out == [f"{folder}/train/steal/1.mp4: is in no split"]
    for text, message in (
        ("path\npay/1.mp4\n", r"parts\.csv, line 1: needs the columns path and split"),
        ("path,split\npay/9.mp4,a\n", r"parts\.csv, line 2: pay/9\.mp4 is not a clip of .*train, or has no"),
        ("path,split\npay/1.mp4,\n", r"parts\.csv, line 2: pay/1\.mp4 is not a clip of .*or has no split"),
    ):
        index.write_text(text)
        with pytest.raises(UsageError, match=message):
            read_splits([folder / "train"], index)
    with pytest.raises(UsageError, match=r"gone\.csv: not there; give a list with the columns path,split"):
        read_splits([folder / "train"], tmp_path / "gone.csv")
