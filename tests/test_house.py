# SPDX-License-Identifier: Apache-2.0
"""The house rules that a machine can measure: short functions, short files, imports that form no circle."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "framegate": ROOT / "cli",
    **{f"framegate.{name}": ROOT / name for name in ("quant", "hls", "rtl_sim", "benchmarks")},
}
FOLDERS = sorted(folder.name for folder in PACKAGES.values())
MOST_LINES_OF_A_FUNCTION = 60  # with its signature and docstring
MOST_LINES_OF_A_FILE = 400
LEAST_TESTS = 0.8  # lines of tests to a line of source


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_function_is_longer_than_a_screen(folder: str) -> None:
    lengths = {
        f"{file.relative_to(ROOT)}: {node.name}": node.end_lineno - node.lineno + 1
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    }
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES_OF_A_FUNCTION} == {}


@pytest.mark.parametrize("folder", [*FOLDERS, "tests"])
def test_no_file_is_longer_than_can_be_read_at_once(folder: str) -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text().splitlines())
        for file in (ROOT / folder).rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES_OF_A_FILE} == {}


def test_there_are_four_lines_of_tests_to_five_of_source() -> None:
    """Written with what they test, so that what is new does not stay untried; no line is worth writing for this."""
    source, tests = (sum(map(_lines, folders)) for folders in (FOLDERS, ["tests"]))
    assert tests >= LEAST_TESTS * source, f"{tests} lines of tests, {source} of source: {tests / source:.2f}"


def _lines(folder: str) -> int:
    return sum(len(file.read_text().splitlines()) for file in (ROOT / folder).rglob("*.py"))


def test_imports_form_no_circle() -> None:
    """Those inside functions count too: a circle that only works when it is entered at one place is one."""
    imports = _all_imports()
    assert any("framegate.errors" in found for found in imports.values())
    _expect_no_circle(imports)


@pytest.mark.parametrize("house", ["framegate", "framegate.quant", "framegate.hls", "framegate.rtl_sim"])
def test_rooms_form_no_circle(house: str) -> None:
    """A room is a file or a folder of a house; what its files import are its arrows."""
    rooms: dict[str, set[str]] = {}
    for name, found in _all_imports().items():
        if (room := _room(house, name)) is not None:
            rooms.setdefault(room, set()).update(filter(None, (_room(house, other) for other in found)))
    assert len(rooms) >= 5
    _expect_no_circle({room: found - {room} for room, found in rooms.items()})


def _room(house: str, module: str) -> str | None:
    inside = module.removeprefix(f"{house}.")
    return inside.split(".")[0] if inside != module else None


def _expect_no_circle(arrows: Mapping[str, set[str]]) -> None:
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def _all_imports() -> dict[str, set[str]]:
    modules = dict(_modules())
    return {name: set(_imports(file, modules)) - {name} for name, file in modules.items()}


def _modules() -> Iterator[tuple[str, Path]]:
    """Every file of the packages by the name that imports it."""
    for package, folder in PACKAGES.items():
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *(part for part in parts if part != "__init__"))), file


def _imports(file: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """The modules of ours that a file imports, wherever in it. Importing a package's file does not count as importing
    the package: its `__init__` may collect what is inside.
    """
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{file}: a relative import; write framegate.…"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                found = inside if inside in modules else node.module
                if found in modules:
                    yield found
