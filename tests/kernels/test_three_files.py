# SPDX-License-Identifier: Apache-2.0
"""A kernel is three files, and adding one takes no other edit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import framegate
import pytest
from framegate import hls, quant, rtl_sim
from framegate.hls import kernels
from framegate.hls.kernels import KINDS, STREAM_CHECK

TESTS = Path(__file__).parents[1]
FOLDER = Path(kernels.__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_kernel_is_three_files(name: str) -> None:
    assert (FOLDER / f"fg_{name}.sv").is_file(), f"{name} has no hardware"
    assert (TESTS / "kernels" / f"test_{name}.py").is_file(), f"{name} has no test"


def test_no_hardware_without_a_class() -> None:
    parts = {part for kind in KINDS.values() for part in kind.PARTS}
    assert sorted(path.stem for path in FOLDER.rglob("*.sv")) == sorted(
        {*(f"fg_{name}" for name in NAMES), *parts, STREAM_CHECK.stem}
    )


def test_every_kernel_is_found_once() -> None:
    assert sorted(kind.__module__.rsplit(".", 1)[1] for kind in KINDS.values()) == NAMES
    assert all(name == kind.__name__ for name, kind in KINDS.items())


def test_a_kernel_is_added_by_three_files(tmp_path: Path, icarus: str) -> None:
    """The example's three files into a copy of the sources, nothing else; its test, and one of a design with it."""
    sources, tests = tmp_path / "framegate", tmp_path / "tests"
    unchanged = shutil.ignore_patterns("__pycache__")
    packages = shutil.ignore_patterns(
        "__pycache__", "quant", "hls", "rtl_sim", "benchmarks"
    )  # links, in some ways to run
    shutil.copytree(Path(framegate.__file__).parent, sources, ignore=packages)
    shutil.copytree(Path(hls.__file__).parent, sources / "hls", ignore=unchanged)
    for package in (quant, rtl_sim):
        folder = Path(package.__file__).parent
        (sources / folder.name).symlink_to(folder)
    for name in (
        "__init__.py",
        "conftest.py",
        "once.py",
        "precompiled.py",
        "dataflows.py",
        "kernels/bench.py",
        "kernels/test_three_files.py",
    ):
        (tests / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TESTS / name, tests / name)
    for name in NAMES:
        (tests / "kernels" / f"test_{name}.py").touch()
    shutil.copy(TESTS.parent / "pyproject.toml", tmp_path)

    example = TESTS / "kernels" / "example"
    shutil.copy(example / "absolute.py", sources / "hls" / "kernels")
    shutil.copy(example / "fg_absolute.sv", sources / "hls" / "kernels")
    shutil.copy(example / "its_test.py", tests / "kernels" / "test_absolute.py")

    shutil.copy(example / "in_a_design.py", tests / "test_in_a_design.py")
    chosen = [
        "tests/test_in_a_design.py",
        "tests/kernels/test_absolute.py",
        "tests/kernels/test_three_files.py",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not added_by", *chosen],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(NAMES) + 1 + 2 + 3} passed, 1 deselected" in done.stdout, done.stdout
