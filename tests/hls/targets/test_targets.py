# SPDX-License-Identifier: Apache-2.0
"""Targets are data: every file loads, an unknown name lists the known ones."""

from pathlib import Path

import pytest
from framegate.errors import UsageError
from framegate.hls import targets
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


GOOD = """
family = "ecp5"
device = "25k"
package = "CABGA256"
speed = "6"
clock_mhz = 40
lut = 24288
ff = 24288
dsp = 28
bram = 112
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of targets with one that somebody adds."""
    monkeypatch.setattr(targets, "_FOLDER", tmp_path)
    (tmp_path / "mine.toml").write_text(GOOD)
    return tmp_path


def test_a_target_is_added_by_its_file(folder: Path) -> None:
    assert target_names() == ["mine"]
    mine = load_target("mine")
    assert (mine.name, mine.family, mine.lut, mine.uram, mine.board) == ("mine", "ecp5", 24_288, 0, None)
    assert mine.part == "25k-CABGA256-6"
    with pytest.raises(UsageError, match=r"^target 'kv260': unknown; choose one of mine$"):
        load_target("kv260")


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ("lut = 24288", "", "lut: Field required"),
        ("lut = 24288", "lut = 0", "lut: Input should be greater than 0"),
        ("lut = 24288", 'lut = "many"', "lut: Input should be a valid integer"),
        ("lut = 24288", "lut = 1.5", "lut: "),
        ('family = "ecp5"', 'family = "ice40"', "family: Input should be 'ecp5' or 'xilinx'"),
        ("bram = 112", "bram = 112\nuram = -1", "uram: "),
        ("bram = 112", "bram = 112\ncascade = 3", "cascade: "),
        ("bram = 112", "bram = 112\nluts = 3", "luts: Extra inputs are not permitted"),
        ("lut = 24288", "lut = = 3", "not TOML "),
        ("lut = 24288", "lut = 1\nlut = 2", "not TOML "),
    ],
)
def test_a_wrong_entry_of_a_target_is_named_with_its_file(
    folder: Path, was: str, now: str, says: str
) -> None:
    (folder / "mine.toml").write_text(GOOD.replace(was, now))
    with pytest.raises(UsageError) as caught:
        load_target("mine")
    assert str(caught.value).startswith(f"{folder / 'mine.toml'}: {says}")
    assert "; correct it" in str(caught.value)


def test_a_target_that_is_no_text(folder: Path) -> None:
    (folder / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"mine\.toml: not TOML"):
        load_target("mine")
