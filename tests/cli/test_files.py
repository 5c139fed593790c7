# SPDX-License-Identifier: Apache-2.0
"""Outputs appear whole or not at all."""

import errno
import os
import threading
from pathlib import Path

import pytest
from framegate import files
from framegate.errors import UsageError
from framegate.files import read_as, read_json, whole, write_text


def test_an_exception_leaves_the_old_file(tmp_path: Path) -> None:
    target = write_text(tmp_path / "out.txt", "old")
    with pytest.raises(ZeroDivisionError), whole(target) as draft:
        draft.write_text(f"half {1 / 0}")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with whole(tmp_path / "out") as draft:
            draft.mkdir()
            (draft / text).touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["second"]


def test_a_folder_is_there_at_every_moment(tmp_path: Path) -> None:
    """A reader that polls while it is replaced never finds it missing."""
    target, missed, done = tmp_path / "out", [], threading.Event()
    with whole(target) as draft:
        draft.mkdir()

    def poll() -> None:
        while not done.is_set():
            if not os.path.lexists(target):
                missed.append(1)

    reader = threading.Thread(target=poll)
    reader.start()
    for turn in range(300):
        with whole(target) as draft:
            draft.mkdir()
            for number in range(20):
                (draft / f"{turn}.{number}").touch()
    done.set()
    reader.join()
    assert not missed
    assert len(list(target.iterdir())) == 20


@pytest.mark.parametrize("exchanges", [True, False], ids=["exchange", "none"])
def test_a_folder_replaces_anything_of_its_name(
    tmp_path: Path, exchanges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchanges:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    target = tmp_path / "out.d"
    for folder in (True, False, True, True):
        with whole(target) as draft:
            (draft / "in").mkdir(parents=True) if folder else draft.touch()
        assert target.is_dir() == folder
        assert [path.name for path in tmp_path.iterdir()] == ["out.d"]


@pytest.mark.parametrize("before", ["folder", "file", "nothing"])
@pytest.mark.parametrize("writes", ["folder", "file"])
def test_a_link_is_written_through(tmp_path: Path, before: str, writes: str) -> None:
    behind, link = tmp_path / "disk" / "out", tmp_path / "out"
    behind.parent.mkdir()
    {"folder": behind.mkdir, "file": behind.touch, "nothing": lambda: None}[before]()
    link.symlink_to(Path("disk") / "out")
    with whole(link) as draft:
        assert draft.parent == behind.parent, "on the same disk as what it replaces"
        (draft / "in").mkdir(parents=True) if writes == "folder" else draft.write_text("new")
    assert link.is_symlink()
    assert [path.name for path in behind.parent.iterdir()] == ["out"]
    assert (behind / "in").is_dir() if writes == "folder" else behind.read_text() == "new"


def test_links_that_lead_in_a_circle_are_left(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links") as caught, whole(tmp_path / "one"):
        pytest.fail("there is nothing to write to")
    assert caught.value.errno == errno.ELOOP
    assert all((tmp_path / name).is_symlink() for name in ("one", "two"))


def test_what_a_killed_process_moved_aside_comes_back(tmp_path: Path) -> None:
    aside = tmp_path / ".out.4194305.old"  # above the largest process number
    aside.mkdir()
    with pytest.raises(ZeroDivisionError), whole(tmp_path / "out"):
        assert 1 // 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".out.4194305.part"  # above the largest process number
    left.mkdir()
    with whole(tmp_path / "out") as draft:
        draft.touch()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(
            UsageError, match=r"out\.txt: cannot be written: .*; free some space or choose another"
        ),
        whole(tmp_path / "out.txt"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_unreadable_json_names_file_and_remedy(tmp_path: Path) -> None:
    write_text(tmp_path / "x.json", "{")
    with pytest.raises(UsageError, match=r"x\.json: not readable as JSON .*; do this$"):
        read_json(tmp_path / "x.json", "do this")


@pytest.mark.parametrize(
    "content", ["[]", "null", '"x"', '{"a": "b"}', '{"a": [1]}', "1", "[" * 100_000, "NaN"]
)
def test_json_of_another_shape_names_file_and_remedy(tmp_path: Path, content: str) -> None:
    write_text(tmp_path / "x.json", content)
    with pytest.raises(UsageError, match=r"x\.json: .*; do this$"):
        read_as(dict[str, int], tmp_path / "x.json", "do this")


def test_a_folder_in_the_place_of_a_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r": cannot be read \(Is a directory\); do this$"):
        read_json(tmp_path, "do this")
