# SPDX-License-Identifier: Apache-2.0
"""The main job needs no extra, and a command that does says which one."""

import ast
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
OF_TRAIN = [requirement.partition(">")[0].lower() for requirement in EXTRAS["train"]]
MAIN_JOB = ("demo", "evaluate", "explore", "compile", "simulate", "bitstream", "report")


def _files() -> dict[str, Path]:
    """The package's files by the name under which they are imported."""
    files = {}
    for folder in ("cli", "quant", "hls", "rtl_sim", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[1:] if folder == "cli" else parts
            files[".".join(["framegate", *parts]).removesuffix(".__init__")] = path
    return files


FILES = _files()


def _imported(path: Path) -> set[str]:
    """What a file imports, inside functions as well."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _reached(start: str) -> set[str]:
    """All that a module imports, directly or through other modules of ours."""
    reached, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _imported(FILES[name]) if name in FILES else []
    return reached


@pytest.mark.parametrize("command", MAIN_JOB)
def test_the_main_job_imports_nothing_of_an_extra(command: str) -> None:
    (module,) = [name for name in FILES if name in (f"framegate.{command}", f"framegate.commands.{command}")]
    of_extras = {name for name in _reached(module) if name.partition(".")[0].lower() in OF_TRAIN}
    assert not of_extras, f"framegate {command} needs {of_extras}, which only an extra installs"


@pytest.mark.parametrize("package", OF_TRAIN)
def test_a_command_without_its_extra_says_which_one(
    framegate: Callable, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    def command(**_: object) -> None:
        raise ModuleNotFoundError(f"No module named '{package}'", name=package)

    monkeypatch.setattr("framegate.main.app", command)
    result = framegate("train")
    assert result.code == 2
    assert result.err.splitlines() == [
        f"framegate: this command needs the package {package}, which is not installed; it comes with the extra train: "
        "in the checkout, pip install --editable '.[train]'"
    ]


def test_a_module_of_no_extra_is_a_bug(framegate: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(**_: object) -> None:
        raise ModuleNotFoundError("No module named 'framegate.nothing'", name="framegate.nothing")

    monkeypatch.setattr("framegate.main.app", command)
    with pytest.raises(ModuleNotFoundError):
        framegate("train")
