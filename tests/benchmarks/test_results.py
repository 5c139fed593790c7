# SPDX-License-Identifier: Apache-2.0
"""How figures are kept and shown; the arithmetic of the full sizes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from framegate import __version__
from framegate.benchmarks import full_size, latency, results, zoo
from framegate.benchmarks.peers import all as peers
from framegate.commands import bench
from framegate.errors import UsageError
from framegate.hls.folding.fit import total_cost
from framegate.hls.targets import load_target

from tests.dataflows import residual, separable

ROWS: list[dict[str, Any]] = [
    {"work": "a", "cycles": 12_345, "speed_ratio": 2.0},
    {"work": "b", "cycles": None},
]


def test_what_is_kept_says_when_where_and_by_what(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    kept = results.keep("some", ROWS, tmp_path / "new" / "folder")
    assert kept["path"] == str(tmp_path / "new" / "folder" / "some.json")
    file = json.loads(Path(kept["path"]).read_text())
    assert file == {key: value for key, value in kept.items() if key != "path"}
    assert (file["benchmark"], file["framegate"], file["rows"]) == ("some", __version__, ROWS)
    assert before <= datetime.fromisoformat(file["date"]) <= datetime.now(UTC)
    assert {"processor", "cores", "python"} == file["machine"].keys()


def test_nothing_is_written_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "path" not in results.keep("some", ROWS, None)
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    results.keep("some", ROWS, tmp_path)
    results.keep("some", [], tmp_path)
    assert json.loads((tmp_path / "some.json").read_text())["rows"] == []
    assert [path.name for path in tmp_path.iterdir()] == ["some.json"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "yes"), (False, "NO"), (1_234_567, "1,234,567"), (0, "0"), (0.123456, "0.1235"), (1e9, "1e+09"),
        (None, ""), ("words", "words"),
    ],
)  # fmt: skip
def test_a_cell_is_short(value: object, shown: str) -> None:
    assert bench._cell(value) == shown


def test_a_table_has_a_row_each_and_a_hole_where_there_is_no_figure() -> None:
    lines = bench._table(ROWS, {"work": "work", "cycles": "cycles", "speed_ratio": "times as fast"})
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "-" not in line] == [
        ["work", "cycles", "times as fast"],
        ["a", "12,345", "2"],
        ["b", "", ""],
    ]


def test_peers_columns_are_those_that_are_measured() -> None:
    lines = bench._peer_table([{"peer": "x", "work": "y", "lut": 3}])
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == ["peer", "work", "LUT"]


@pytest.mark.parametrize(
    ("measure", "names", "known"),
    [
        (full_size.measure, ("vgg",), full_size.FULL_SIZE),
        (zoo.measure, ("tsm-lite", "vgg"), zoo.ZOO),
    ],
)
def test_an_unknown_network_is_named_before_any_work(
    measure: Callable, names: tuple[str, ...], known: dict, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=rf"'vgg' .*{next(iter(known))}"):
        measure(tmp_path / "work", lambda _: pytest.fail("it began"), names=names)
    assert not (tmp_path / "work").exists()


def test_an_unknown_peer_is_named_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tvm unknown; choose of finn"):
        peers.measure(tmp_path / "work", lambda _: None, ("tvm",))
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("make", [residual, separable])
@pytest.mark.parametrize("macs", [10**6, 10**9])
def test_the_roofline_is_all_multipliers_all_the_time(make: Callable, macs: int, tmp_path: Path) -> None:
    target = load_target("kv260")
    row = full_size._prediction(make(size=16), target, macs, tmp_path)
    assert row["roofline_ms"] == pytest.approx(1e3 * macs / target.dsp / 200e6)
    assert row["roofline_ratio"] == pytest.approx(row["roofline_ms"] / row["ms_per_clip"])
    period = row["initiation_interval"] * make(size=16).pixels.frames
    assert row["ms_per_clip"] == pytest.approx(period / 200e3)
    assert row["latency_ms"] == pytest.approx(row["latency_cycles"] / 200e3)
    assert row["lut"] >= total_cost(make(size=16)).lut > 0
    assert row["bram"] <= row["bram_of"] == target.bram
    assert (tmp_path.parent / row["rtl"] / "framegate.sv").is_file()


@pytest.mark.parametrize("name", list(full_size.FULL_SIZE))
def test_what_was_published_is_told_with_what_differs(name: str) -> None:
    told = full_size._published(name)  # type: ignore[arg-type]
    assert told.keys() == {"published", "differs"}
    assert bool(told["published"]) == bool(told["differs"]), (
        "no figure stands beside ours without its difference"
    )


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ({}, 0),
        ({"latency_error": 1}, 1),
        ({"jitter": 2}, 1),
        ({"mismatches": 3}, 1),
        ({"first_late_beat": "x"}, 1),
    ],
)
def test_a_benchmark_that_is_not_exact_fails(
    broken: dict[str, Any], code: int, framegate: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {
        "network": "n",
        "latency_error": 0,
        "jitter": 0,
        "mismatches": 0,
        "first_late_beat": None,
        **broken,
    }
    monkeypatch.setattr(latency, "measure", lambda *_: [row])
    result = framegate("bench", "latency", "--json")
    assert result.code == code
    assert result.json["rows"] == [row], "told all the same"
    assert ("not exact or not on time: n" in result.err) == bool(code)
