# SPDX-License-Identifier: Apache-2.0
"""Outputs appear whole or not at all."""

import errno
from pathlib import Path

import pytest
from framegate.errors import UsageError
from framegate.files import read_json, whole, write_text


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
