# SPDX-License-Identifier: Apache-2.0
"""Which simulators there are, which examples properties are tried on, and whether golden files are rewritten."""

import gc
import os
import secrets
import shutil
import threading
from collections.abc import Iterator

import pytest
from framegate.rtl_sim.bench import fast
from framegate.rtl_sim.bench.simulator import SIMULATORS, Simulator, engine, quick_or
from hypothesis import HealthCheck, settings

from tests import precompiled
from tests.once import programs_once

collect_ignore = ["kernels/example"]  # a kernel that is no part of this package: see test_three_files.py
# Properties of RTL are tried on the same examples in every run. Slow tests try them on new ones as well: those of the
# seed that pytest prints first, to be given again by --hypothesis-seed.
FIXED_SEED = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
NEW_SEEDS = settings(FIXED_SEED, derandomize=False)


@pytest.hookimpl(tryfirst=True)  # before hypothesis reads its seed
def pytest_configure(config: pytest.Config) -> None:
    """Choose a seed, share the cores; where CI is set, fail without Icarus, as kernels would pass unsimulated."""
    if os.environ.get("CI") and shutil.which("iverilog") is None:
        raise pytest.UsageError(
            "CI is set and iverilog is not on PATH: the tests of the RTL would be skipped; "
            "install Icarus Verilog (apt-get install iverilog) or unset CI"
        )
    # Of torch, which is imported later: threads that wait for each other's core take ten times as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if config.getoption("--hypothesis-seed", None) is None:
        config.option.hypothesis_seed = str(secrets.randbelow(1 << 31))
    # Beside the workers' start.
    if config.getoption("numprocesses", None) and (header := precompiled.header()):
        threading.Thread(target=precompiled.compile_ahead, args=(header,), daemon=True).start()


def pytest_collection_finish() -> None:
    """Python need not look for garbage in what was imported, a million objects, each time that it looks for some."""
    gc.freeze()
    gc.set_threshold(700, 10, 400)  # the last is 10 otherwise


def pytest_unconfigure() -> None:
    """Nor in what is left at the end: the system takes it."""
    gc.disable()
    gc.freeze()


def pytest_report_header(config: pytest.Config) -> str:
    """The seed of what is drawn anew."""
    return f"properties on new examples: --hypothesis-seed={config.getoption('--hypothesis-seed', None)}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regold", action="store_true", help="rewrite golden files; read the git diff after it")


@pytest.fixture
def regold(request: pytest.FixtureRequest) -> bool:
    """Whether to write golden files instead of comparing with them."""
    return bool(request.config.getoption("--regold"))


@pytest.fixture(scope="session", autouse=True)
def soon_compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Small programs of Verilator are compiled with its header made ahead, and each only once."""
    header, plain = precompiled.header(), fast.make_flags
    with pytest.MonkeyPatch.context() as patch, programs_once(tmp_path_factory):
        for name, value in precompiled.CCACHE.items():
            patch.setenv(name, value)
        patch.setattr(fast, "make_flags", lambda cycles: precompiled.with_header(plain(cycles), header))
        yield


@pytest.fixture(scope="session")
def one_export(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """While this is used, a network is exported once for all tests of a run."""
    from tests.networks import exports_once  # imports torch, which most tests do without

    with exports_once(tmp_path_factory):
        yield


@pytest.fixture
def icarus() -> Simulator:
    """The simulator that builds and starts in a tenth of a second; the test is skipped without it."""
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    return "icarus-fast"


@pytest.fixture(params=SIMULATORS)
def simulator(request: pytest.FixtureRequest) -> Simulator:
    """Each in turn; Icarus where it is."""
    if engine(request.param) == "icarus":
        request.getfixturevalue("icarus")
    return request.param


@pytest.fixture(scope="session")
def quick() -> Simulator:
    """Icarus when it is there, else Verilator: for tests of what both have in common."""
    return quick_or("fast")


@pytest.fixture(scope="session")
def rapid() -> Simulator:
    """Verilator without cocotb: for whole networks, which Icarus simulates for longer than this takes to compile."""
    return "fast"
