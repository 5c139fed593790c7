# SPDX-License-Identifier: Apache-2.0
"""Targets are data: every file loads, an unknown name lists the known ones."""

import pytest
from framegate.errors import UsageError
from framegate.hls.targets import load_target, target_names


@pytest.mark.parametrize("name", target_names())
def test_every_target_loads(name: str) -> None:
    assert load_target(name).name == name


def test_ulx3s_is_an_85f() -> None:
    target = load_target("ulx3s-85f")
    assert (target.device, target.package, target.dsp, target.bram) == ("85k", "CABGA381", 156, 208)


@pytest.mark.parametrize(
    ("name", "part", "counts"),
    [
        ("kv260", "xck26-sfvc784-2LV-c", (117_120, 234_240, 1_248, 288, 64)),
        ("zcu102", "xczu9eg-ffvb1156-2-e", (274_080, 548_160, 2_520, 1_824, 0)),
    ],
)
def test_amd_boards_are_the_parts_that_vivado_knows(
    name: str, part: str, counts: tuple[int, int, int, int, int]
) -> None:
    target = load_target(name)
    assert (target.family, target.part, target.clock_mhz) == ("xilinx", part, 200)
    assert (target.lut, target.ff, target.dsp, target.bram, target.uram) == counts
    assert target.ff == 2 * target.lut, "a CLB has two flip-flops per LUT"


@pytest.mark.parametrize("name", ["ulx3s", "../ulx3s-85f", ""])
def test_unknown_target_lists_the_known(name: str) -> None:
    with pytest.raises(UsageError, match=r"^target '.*': unknown; choose one of .*ulx3s-85f"):
        load_target(name)
