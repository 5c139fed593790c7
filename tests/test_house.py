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
SHORT_FUNCTIONS = ("cli", "quant")  # the folders that keep each rule by now
SHORT_FILES = ("cli",)
MOST_LINES_OF_A_FUNCTION = 60  # with its signature and docstring
MOST_LINES_OF_A_FILE = 400


@pytest.mark.parametrize("folder", SHORT_FUNCTIONS)
def test_no_function_is_longer_than_a_screen(folder: str) -> None:
    lengths = {
        f"{file.relative_to(ROOT)}: {node.name}": node.end_lineno - node.lineno + 1
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    }
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES_OF_A_FUNCTION} == {}


@pytest.mark.parametrize("folder", SHORT_FILES)
def test_no_file_is_longer_than_can_be_read_at_once(folder: str) -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text().splitlines())
        for file in (ROOT / folder).rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES_OF_A_FILE} == {}


def test_imports_form_no_circle() -> None:
    """Those inside functions count too: a circle that only works when it is entered at one place is one."""
    modules = dict(_modules())
    imports = {name: set(_imports(file, modules)) - {name} for name, file in modules.items()}
    assert any("framegate.errors" in found for found in imports.values())
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


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
