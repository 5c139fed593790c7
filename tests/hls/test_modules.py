# SPDX-License-Identifier: Apache-2.0
"""What holds for every module of SystemVerilog that we write."""

import re
from pathlib import Path

import pytest
from framegate.hls import kernels
from framegate.rtl_sim import simulator

from tests import lint

HLS = Path(kernels.__file__).parents[1]
MODULES = sorted([*HLS.rglob("*.sv"), *(Path(simulator.__file__).parent / "harness").glob("*.sv")])


@pytest.mark.parametrize("source", MODULES, ids=lambda source: source.stem)
def test_a_file_holds_the_module_of_its_name_behind_a_prefix(source: Path) -> None:
    """The prefix, since `add`, `fifo` or `ram` may be somebody else's in the same project."""
    family = re.fullmatch(r"(fg_multiplier)_\w+", source.stem)  # takes the place of the portable one
    assert re.findall(r"(?m)^module (\w+)", source.read_text()) == [family[1] if family else source.stem]
    assert source.stem.startswith("fg_")


def test_verilator_has_nothing_to_say(tmp_path: Path) -> None:
    assert not list(lint.all_warnings(tmp_path))
