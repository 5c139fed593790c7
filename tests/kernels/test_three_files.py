# SPDX-License-Identifier: Apache-2.0
"""A kernel is three files, and the table of kernels lists them all."""

from pathlib import Path

import pytest
from framegate.hls import kernels
from framegate.hls.kernels import KINDS
from framegate.hls.kernels.sources import STREAM_CHECK

FOLDER = Path(kernels.__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_kernel_is_three_files(name: str) -> None:
    assert (FOLDER / f"fg_{name}.sv").is_file(), f"{name} has no hardware"
    assert (Path(__file__).parent / f"test_{name}.py").is_file(), f"{name} has no test"


def test_no_hardware_without_a_class() -> None:
    parts = {part for kind in KINDS.values() for part in kind.PARTS}
    assert sorted(path.stem for path in FOLDER.rglob("*.sv")) == sorted(
        {*(f"fg_{name}" for name in NAMES), *parts, STREAM_CHECK.stem}
    )


def test_the_table_lists_every_kernel_once() -> None:
    assert sorted(kind.__module__.rsplit(".", 1)[1] for kind in KINDS.values()) == NAMES
    assert all(name == kind.__name__ for name, kind in KINDS.items())
    assert set(KINDS) <= set(kernels.__all__)
