# SPDX-License-Identifier: Apache-2.0
"""Builds that were copied, edited, or are in use, and names that are both a network and a folder."""

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from framegate.files import write_json
from framegate.hls.build.compiler import CompileReport
from framegate.hls.flows.flow import FlowReport
from framegate.hls.steps import locked

from tests.cli.test_bitstream_and_report import LATENCY
from tests.networks import compiled

WARNING = "WARNING: "
FLOW = FlowReport(
    "old/flow/ulx3s-85f/packing/framegate.bit", "ulx3s-85f", 60.0, 61.0, 10, 10, 1, 1,
    {"lut": 100, "ff": 100, "bram": 10, "dsp": 10}, {"synthesis": 1.0},
)  # fmt: skip
REPORT = CompileReport("m", "ulx3s-85f", 60.0, 8, 12, 0.1, 4, 0.05, 1.0, 1.0, 1.0, 11, 12, 1, 1, "old/rtl")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """What is left of a build that no `compile` of this version wrote."""
    folder = tmp_path / "build"
    write_json(folder / "latency.json", LATENCY)
    write_json(folder / "compile.json", asdict(REPORT))
    write_json(folder / "flow" / "ulx3s-85f" / "report.json", asdict(FLOW))
    return folder


def test_a_built_in_name_wins_over_a_folder_of_that_name(
    framegate: Callable,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled("tsm-lite", "1200", tmp_path_factory, tmp_path / "tsm-lite")
    monkeypatch.chdir(tmp_path)
    run = ("compile", "tsm-lite", "--build", "tsm-lite", "--json")
    first, second = framegate(*run), framegate(*run)
    assert (first.code, second.code) == (0, 0), second.err
    assert second.json == first.json
    assert second.err.count("unchanged, kept") == 3
    by_path = framegate("compile", "./tsm-lite", "--build", "other")
    assert by_path.code == 2
    assert "tsm-lite: " in by_path.err, "a path is a path"


def test_the_flow_of_a_copied_build_is_where_the_copy_is(framegate: Callable, build: Path) -> None:
    copy = build.with_name("copy")
    shutil.move(build, copy)
    assert framegate("report", copy).code == 0
    page = (copy / "report.html").read_text()
    assert str(copy / "flow" / "ulx3s-85f" / "packing" / "framegate.bit") in page
    assert "old/flow" not in page


@pytest.mark.parametrize("command", [("bench", "area"), ("report",)], ids=" ".join)
def test_what_reads_a_build_tells_what_was_edited(
    framegate: Callable, build: Path, command: tuple[str, ...]
) -> None:
    result = framegate(*command, build, "--json")
    assert result.code == 0, result.err
    assert f"{WARNING}{build}: not what `framegate compile` wrote" in result.err
    assert result.json


def test_a_report_waits_for_another_run(framegate: Callable, build: Path) -> None:
    held, free = threading.Event(), threading.Event()

    def work() -> None:
        with locked(build, lambda _: None):
            held.set()
            free.wait(60)

    other = threading.Thread(target=work)
    other.start()
    assert held.wait(60)
    threading.Timer(0.5, free.set).start()
    result = framegate("report", build)
    assert free.is_set(), "it did not wait"
    other.join()
    assert result.code == 0
    assert "another run is at work there" in result.err
    assert (build / "report.html").is_file()


def test_a_report_of_nothing_leaves_nothing(framegate: Callable, tmp_path: Path) -> None:
    assert framegate("report", tmp_path / "absent").code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate", ["fast", "0", "-1", "nan", "inf", "2e9"])
@pytest.mark.parametrize(
    "command",
    [
        ("compile", "tsm-lite", "--build", "out"),
        ("demo", "--build", "out"),
        ("crossvalidate", "clips", "--run", "out"),
    ],
    ids=lambda words: words[0],
)
def test_a_rate_is_checked_before_any_work(
    framegate: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], rate: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = framegate(*command, "--rate", rate, "--json")
    assert result.code == 2
    assert json.loads(result.out)["error"].startswith(
        f"--rate {rate}: give frames per second, above 0 and up to "
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["compile", "demo", "explore", "crossvalidate"])
def test_a_target_is_checked_before_any_work(
    framegate: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = {"crossvalidate": ("clips", "--run", "out"), "explore": ("tsm-lite",)}.get(command, ())
    result = framegate(command, *words, "--target", "arty")
    assert result.code == 2
    assert "target 'arty': unknown; choose one of " in result.err
    assert list(tmp_path.iterdir()) == []
