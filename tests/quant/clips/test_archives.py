# SPDX-License-Identifier: Apache-2.0
"""Archives as others ship them: DCSASS of Kaggle and the names of UCF-Crime."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from framegate.errors import UsageError
from framegate.quant.clips.layouts import find_clips, read

from tests.quant.clips.test_layouts import found

Layout = Callable[..., Path]
KAGGLE = (
    "DCSASS Dataset/Abuse/Abuse001_x264.mp4/Abuse001_x264_0.mp4",
    "DCSASS Dataset/Abuse/Abuse001_x264.mp4/Abuse001_x264_1.mp4",
    "DCSASS Dataset/Shoplifting/Shoplifting001_x264.mp4/Shoplifting001_x264_0.mp4",
    "DCSASS Dataset/Shoplifting/Shoplifting001_x264.mp4/Shoplifting001_x264_1.mp4",
    "DCSASS Dataset/Shoplifting/Shoplifting001_x264.mp4/Shoplifting001_x264_10.mp4",
    "DCSASS Dataset/Shoplifting/Shoplifting044_x264.mp4/Shoplifting044_x264_0.mp4",
)


@pytest.fixture
def kaggle(layout: Layout) -> Path:
    """A small DCSASS as Kaggle ships it: folders named like videos, label files without header."""
    root = layout(*KAGGLE)
    labels = root / "DCSASS Dataset" / "Labels"
    labels.mkdir()
    (labels / "Abuse.csv").write_text("Abuse001_x264_0,Abuse,0\r\nAbuse001_x264_1,Abuse,1\r\n")
    (labels / "Shoplifting.csv").write_text(
        "Shoplifting001_x264_0,Shoplifting,0\nShoplifting001_x264_1,Shoplifting,1\n,,\n"
        "Shoplifting001_x264_10,Shoplifting,0\nShoplifting044_x264_0,Shoplifting,1\n"
    )
    return root


def test_dcsass_as_kaggle_ships_it(kaggle: Path) -> None:
    expected = [
        ("Shoplifting001_x264_0.mp4", "normal", "Shoplifting001_x264"),
        ("Shoplifting001_x264_1.mp4", "Shoplifting", "Shoplifting001_x264"),
        ("Shoplifting001_x264_10.mp4", "normal", "Shoplifting001_x264"),
        ("Shoplifting044_x264_0.mp4", "Shoplifting", "Shoplifting044_x264"),
    ]
    root = kaggle / "DCSASS Dataset"
    assert read(kaggle).layout == read(root).layout == read(root / "Shoplifting").layout == "DCSASS"
    assert Counter(clip.label for clip in find_clips(kaggle)) == {"normal": 3, "Shoplifting": 2, "Abuse": 1}
    assert found(find_clips(kaggle, only=["Shoplifting"])) == expected
    assert found(find_clips(root / "Shoplifting")) == expected
    assert read(kaggle).left_out == []


def test_dcsass_clips_without_a_flag_and_flags_without_a_clip_are_left_aside(kaggle: Path) -> None:
    labels = kaggle / "DCSASS Dataset/Labels/Shoplifting.csv"
    labels.write_text(
        "Shoplifting001_x264_0,Shoplifting,0\nShoplifting001_x264_1,Shoplifting,1\n"
        "Shoplifting001_x264_10,Shoplifting,\nShoplifting044_x264_0,Shoplifting,1\nShoplifting044_x264_9,Shoplifting,1\n"
    )
    dataset = read(kaggle, only=["Shoplifting"])
    assert len(dataset.clips) == 3
    assert [line.rpartition("/")[2] for line in dataset.left_out] == [
        "Shoplifting.csv",
        "Shoplifting.csv: Shoplifting044_x264_9 is not there",
    ]
    assert "Shoplifting001_x264_10.mp4: is not in Labels" in dataset.left_out[0]


def test_a_wrong_dcsass_is_named(kaggle: Path) -> None:
    labels = kaggle / "DCSASS Dataset/Labels/Shoplifting.csv"
    with pytest.raises(UsageError, match=r"has no class 'Arson'; choose from \['Abuse', 'Shoplifting'\]$"):
        find_clips(kaggle, only=["Arson"])
    labels.write_text("Shoplifting001_x264_0,Shoplifting,2\n")
    with pytest.raises(UsageError, match=r"Shoplifting\.csv, line 1: '2' is not 0 or 1; correct or remove"):
        find_clips(kaggle)
    labels.unlink()
    with pytest.raises(UsageError, match=r"Shoplifting\.csv: not there; unpack the archive's Labels folder"):
        find_clips(kaggle)
    (labels.parent / "Abuse.csv").write_text("")
    with pytest.raises(UsageError, match=r"DCSASS folders without a labelled clip; unpack"):
        find_clips(kaggle, only=["Abuse"])


@pytest.mark.parametrize(
    "folders", [("", "", ""), ("Shoplifting/", "Training_Normal_Videos_Anomaly/", "Arson/")]
)
def test_names_of_ucf_crime_give_class_and_source(layout: Layout, folders: tuple[str, str, str]) -> None:
    names = ("Shoplifting001_x264.mp4", "Normal_Videos_003_x264.mp4", "Arson010_x264_4.mp4")
    folder = layout(*map("".join, zip(folders, names, strict=True)))
    assert read(folder).layout == "UCF-Crime names"
    assert sorted(found(find_clips(folder))) == [
        ("Arson010_x264_4.mp4", "Arson", "Arson010_x264"),
        ("Normal_Videos_003_x264.mp4", "normal", "Normal_Videos_003_x264"),
        ("Shoplifting001_x264.mp4", "Shoplifting", "Shoplifting001_x264"),
    ]


def test_class_folders_of_ucf_crime_clips_keep_the_folder_and_the_video(layout: Layout) -> None:
    """The course sorts DCSASS clips by hand: the folder is the class, and pieces of one video stay together."""
    folder = layout("0/Shoplifting001_x264_0.mp4", "1/Shoplifting001_x264_1.mp4")
    assert found(find_clips(folder)) == [
        ("Shoplifting001_x264_0.mp4", "0", "Shoplifting001_x264"),
        ("Shoplifting001_x264_1.mp4", "1", "Shoplifting001_x264"),
    ]
