# SPDX-License-Identifier: Apache-2.0
"""Failures on purpose are one line; everything else is a bug and shows itself."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from framegate import __version__

ROOT = Path(__file__).parents[2]


def test_there_is_one_version_and_the_changelog_is_at_it() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert headings[0] == __version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "framegate.__version__"}


def test_a_failure_is_one_line_on_stderr_and_exit_code_2(framegate: Callable, tmp_path: Path) -> None:
    result = framegate("data", "check", tmp_path / "nowhere")
    assert result.code == 2
    assert result.out == ""
    assert result.err.splitlines() == [
        f"framegate: {tmp_path / 'nowhere'}: not there; give a video file or a folder of clips"
    ]


def test_with_json_a_failure_is_json_on_stdout(framegate: Callable, tmp_path: Path) -> None:
    result = framegate("data", "check", tmp_path / "nowhere", "--json")
    assert result.code == 2
    assert list(json.loads(result.out)) == ["error"]


def test_a_bug_keeps_its_traceback(framegate: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("framegate.quant.clips.layouts.read_splits", bug)
    with pytest.raises(ZeroDivisionError):
        framegate("data", "check", ".")


@pytest.mark.parametrize(
    "command", [(), ("data",), ("data", "shop"), ("data", "check"), ("train",), ("evaluate",)]
)
def test_every_command_explains_itself(framegate: Callable, command: tuple[str, ...]) -> None:
    result = framegate(*command, "--help")
    assert result.code == 0
    assert "Usage: framegate" in result.out
    assert len(command) == 0 or command == ("data",) or "Example: framegate" in result.out


def test_an_unknown_option_is_refused(framegate: Callable) -> None:
    assert framegate("evaluate", "--clip", "x").code == 2
