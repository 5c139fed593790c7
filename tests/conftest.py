# SPDX-License-Identifier: Apache-2.0
"""Which simulators there are, and whether golden files are rewritten."""

import shutil

import pytest
from framegate.rtl_sim.simulator import Simulator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regold", action="store_true", help="rewrite golden files; read the git diff after it")


@pytest.fixture
def regold(request: pytest.FixtureRequest) -> bool:
    """Whether to write golden files instead of comparing with them."""
    return bool(request.config.getoption("--regold"))


@pytest.fixture
def icarus() -> Simulator:
    """The simulator that builds in a second; the test is skipped without it."""
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    return "icarus"


@pytest.fixture(scope="session")
def quick() -> Simulator:
    """Icarus when it is there, else Verilator: for tests of what both have in common."""
    return "verilator" if shutil.which("iverilog") is None else "icarus"
