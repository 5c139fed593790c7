# SPDX-License-Identifier: Apache-2.0
"""report.html: self-contained, tells what passed, what failed and what was not run."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from framegate.errors import UsageError
from framegate.quant.clips.shop import render, write_mp4
from framegate.rtl_sim.report.report import render_report

LATENCY = {
    "clock_mhz": 50.0,
    "initiation_interval": 4096,
    "latency_cycles": 33000,
    "after_last_pixel": 300,
    "latency_ms": 0.66,
    "frames_per_second": 12207.0,
    "clips_per_second": 1525.9,
    "mac_utilization": 0.75,
    "kernels": [
        {
            "name": "conv0",
            "kind": "MatVec",
            "first_in": 70,
            "last_in": 32000,
            "first_out": 75,
            "last_out": 32900,
            "cycles_per_frame": 4096,
            "utilization": 1.0,
        },
        {
            "name": "decide",
            "kind": "Decide",
            "first_in": 32998,
            "last_in": 32999,
            "first_out": 33000,
            "last_out": 33000,
            "cycles_per_frame": 1,
            "utilization": 0.0,
        },
    ],
    "fifos": [{"name": "conv0_skip", "depth": 1234, "bits": 9872}],
}
FLOW = {
    "path": "build/flow/ulx3s-85f/bitstream/framegate.bit",
    "target": "ulx3s-85f",
    "clock_mhz": 50,
    "fmax_mhz": 61.4,
    "lut": 12345,
    "ff": 9811,
    "bram": 54,
    "dsp": 97,
    "available": {"lut": 83640, "ff": 83640, "bram": 208, "dsp": 156},
    "seconds": {"synthesis": 27.1, "routing": 172.8, "packing": 3.2},
}


def rung(name: str, mismatches: int | None = 0, compares: str = "integers") -> dict[str, Any]:
    return {
        "rung": name,
        "clips": 3,
        "values": 600,
        "mismatches": mismatches,
        "compares": compares,
        "first_mismatch": "conv0: frame 1, pixel (2, 3), channel 4" if mismatches else None,
    }


FLOAT, YARDSTICK = rung("float", 2, "predictions"), rung("reference", None, "yardstick")


def verdict(**changes: Any) -> dict[str, Any]:
    return {
        "model": "tsm-lite",
        "classes": ["take", "conceal"],
        "ladder": [FLOAT, rung("finn"), YARDSTICK, rung("verilator")],
        "latency_cycles": {"predicted": 33000, "measured": 33000, "jitter": 0},
        "bit_exact": True,
        "first_mismatch": None,
        "late": None,
        "simulator": "verilator",
        "cycles_per_second": 1e6,
        "clips": [],
        "metrics": None,
        "confusion": None,
        **changes,
    }


def report(build: Path, latency: Any = LATENCY, verdict: Any = None, flow: Any = None) -> str:
    build.mkdir(exist_ok=True)
    (build / "latency.json").write_text(json.dumps(latency))
    if verdict is not None:
        (build / "verdict.json").write_text(json.dumps(verdict))
    if flow is not None:
        (build / "flow" / flow["target"]).mkdir(parents=True)
        (build / "flow" / flow["target"] / "report.json").write_text(json.dumps(flow))
    return render_report(build).read_text()


def cards(page: str) -> dict[str, tuple[str, str, str]]:
    """State, figure and words by title."""
    pattern = (
        r'class="card (\w+)">\s*<div class="title">(.*?)</div>\s*'
        r'<div class="figure">(.*?)</div>\s*<div class="words">(.*?)</div>'
    )
    return {title: (state, figure, words) for state, title, figure, words in re.findall(pattern, page)}


def test_all_is_well(tmp_path: Path) -> None:
    page = report(tmp_path / "build", verdict=verdict(), flow=FLOW)
    assert cards(page) == {
        "Values": ("good", "bit-exact", "1,200 values on 3 clips and 2 levels compared, none differs"),
        "Latency": ("good", "33,000 cycles", "0.66 ms at 50 MHz; measured = predicted, jitter 0"),
        "Clock": ("good", "61.4 MHz", "reached on ulx3s-85f; 50 MHz wanted"),
        "Room": ("good", "fits", "97 of 156 multipliers, the scarcest"),
    }
    assert "1,234" in page, "the FIFO table"
    assert "12,345" in page, "the utilization"
    assert re.search(
        r'<td>reference</td>(\s*<td class="number">\d+</td>){2}\s*<td class="number soft">yardstick</td>',
        page,
    )
    assert page.count("<g transform") == len(LATENCY["kernels"]), "a row per kernel in the pipeline"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "title", "figure", "words"),
    [
        ({"ladder": [YARDSTICK, rung("verilator", 7)]}, "Values", "7 differ", "first at verilator"),
        (
            {"latency_cycles": {"predicted": 33000, "measured": 33001, "jitter": 2}},
            "Latency",
            "33,000 cycles",
            "measured 33,001, predicted 33,000, jitter 2",
        ),
    ],
)
def test_what_failed_is_red(tmp_path: Path, changes: Any, title: str, figure: str, words: str) -> None:
    card = cards(report(tmp_path / "build", verdict=verdict(**changes), flow=FLOW))[title]
    assert card[:2] == ("bad", figure)
    assert words in card[2]


def test_a_stale_measurement_is_not_taken_for_the_build(tmp_path: Path) -> None:
    """latency.json was compiled anew after the simulation."""
    page = report(tmp_path / "build", latency={**LATENCY, "latency_cycles": 34000}, verdict=verdict())
    assert cards(page)["Latency"][0] == "bad"


def test_missed_timing_is_red_and_without_a_bitstream(tmp_path: Path) -> None:
    page = report(tmp_path / "build", verdict=verdict(), flow={**FLOW, "fmax_mhz": 43.2, "path": None})
    assert cards(page)["Clock"] == ("bad", "43.2 MHz", "reached only on ulx3s-85f; 50 MHz wanted")
    assert "no bitstream: timing failed" in page


def test_what_was_not_run_is_said_with_the_command(tmp_path: Path) -> None:
    found = cards(report(tmp_path / "build"))
    assert {title: state for title, (state, _, _) in found.items()} == {
        "Values": "open",
        "Latency": "open",
        "Bitstream": "open",
    }
    assert "framegate simulate" in found["Values"][2]
    assert "framegate bitstream" in found["Bitstream"][2]


def test_clips_show_their_frames_and_scores(tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    write_mp4(video, render("take", 1, 0))
    logits = {"take": 1.0, "conceal": 1.0}
    clips = [
        {"path": str(video), "label": "take", "logits": logits, "predicted": "take"},
        {"path": str(tmp_path / "gone.mp4"), "label": None, "logits": logits, "predicted": "conceal"},
    ]
    page = report(tmp_path / "build", verdict=verdict(clips=clips))
    assert page.count("data:image/jpeg;base64,") == 8
    assert page.count("50 %") == 4
    assert "No pictures: " in page


def test_independent_classes_have_each_their_own_score(tmp_path: Path) -> None:
    strip = {"path": "gone.mp4", "logits": {"theft": 0.0}}
    clips = [
        {**strip, "label": "normal", "predicted": "theft"},
        {**strip, "label": "theft", "predicted": "theft"},
        {**strip, "label": "walking", "predicted": "theft"},
    ]
    page = report(
        tmp_path / "build", verdict=verdict(classes=["theft"], thresholds={"theft": 0.0}, clips=clips)
    )
    assert page.count("50 %") == 3, "the sigmoid of each logit: a softmax of one class is always 100 %"
    assert '<span class="wrong">· normal, seen as theft' in page
    assert '<span class="right">· theft' in page
    assert '<span class="soft">· walking, not a class of the network' in page


def test_confusion_and_metrics(tmp_path: Path) -> None:
    confusion = {"classes": ["take", "conceal"], "matrix": [[17, 3], [1, 19]]}
    page = report(tmp_path / "build", verdict=verdict(confusion=confusion, metrics={"auc": 0.9712}))
    assert re.findall(r'class="cell"[^>]*>(\d+)<', page) == ["17", "3", "1", "19"]
    assert "0.971" in page


def test_the_page_asks_the_network_for_nothing_and_escapes_names(tmp_path: Path) -> None:
    page = report(tmp_path / "build", verdict=verdict(model="<b>x</b>"), flow=FLOW)
    assert "http" not in page
    assert "<script" not in page
    assert "<b>x" not in page


def test_without_a_build_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"latency\.json: not there; run `framegate compile` first$"):
        render_report(tmp_path)


def test_alarms_are_shown_with_their_threshold_and_where_levels_disagree(tmp_path: Path) -> None:
    logits = {"take": 1.0, "conceal": 2.0}
    clip = {
        "path": "gone.mp4",
        "label": "take",
        "logits": logits,
        "predicted": "conceal",
        "alarms": ["conceal"],
    }
    ladder = [{**rung("brevitas"), "alarms": 3, "alarm_mismatches": 2}, YARDSTICK]
    page = report(
        tmp_path / "build", verdict=verdict(clips=[clip], thresholds={"conceal": 0.5}, ladder=ladder)
    )
    assert "alarm: conceal" in page
    words = " ".join(page.split())
    assert "from logit 0.5 on (probability 0.622): raised on 1 of 1 clips" in words
    assert re.search(r'<td class="number">3</td>\s*<td class="number wrong">2</td>', page)
    assert cards(page)["Values"][:2] == ("bad", "2 differ")
