# SPDX-License-Identifier: Apache-2.0
"""Build folders of any name, and a PATH without Python."""

from pathlib import Path

import pytest
from framegate.errors import FramegateError
from framegate.rtl_sim.bench.simulator import Simulator

from tests.rtl_sim.bench.test_simulator import GOOD, bench

ODD = "a b ü$HOME `x` $(x) 'q' \"q\" #;touch EVIL;:%&|<>*?~=\\"


@pytest.mark.parametrize("name", [ODD, "a\nb", "-x", "x."], ids=["all", "line", "dash", "dot"])
def test_a_build_folder_of_any_name_will_do(name: str, tmp_path: Path, icarus: Simulator) -> None:
    (tmp_path / name).mkdir()
    made = bench(GOOD, tmp_path / name, icarus)
    made.build()
    made.build()
    assert made.run(300)["out"].words == [1, 2, 3, 250]
    assert not list(Path().glob("EVIL*"))


@pytest.mark.parametrize("simulator", ["fast", pytest.param("verilator", marks=pytest.mark.slow)])
def test_verilator_takes_such_a_folder_and_needs_no_python_on_path(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PATH holds what the system has, but nothing called python, python3 or c++."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in Path("/usr/bin").iterdir():
        if not tool.name.startswith(("python", "c++", "verilator")):
            (tools / tool.name).symlink_to(tool)
    monkeypatch.setenv("PATH", str(tools))
    (tmp_path / ODD).mkdir()
    made = bench(GOOD, tmp_path / ODD, simulator)
    made.build()
    assert made.run(300)["out"].words == [1, 2, 3, 250]
    assert not list(tmp_path.rglob("EVIL*"))


def test_an_error_names_the_odd_folder(tmp_path: Path, icarus: Simulator) -> None:
    (tmp_path / "a b").mkdir()
    made = bench("assign in_ready = nowhere.at_all;", tmp_path / "a b", icarus)
    with pytest.raises(FramegateError, match=r"/a b/sim/build\.log\)$"):
        made.build()
    assert f"{made.rtl}/dut.sv:" in (made.work / "build.log").read_text()
