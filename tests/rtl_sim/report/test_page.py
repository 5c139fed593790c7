# SPDX-License-Identifier: Apache-2.0
"""report.html as a browser reads it: elements that close, nothing from elsewhere, every figure that it has."""

import html
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from framegate.rtl_sim.report.report import STRIP_CLIPS

from tests.rtl_sim.report.test_report import FLOW, LATENCY, report, rung, verdict

VOID = {"meta", "link", "img", "br", "line", "rect", "input", "hr"}
STALLED = {
    "seed": 7, "longest_wait": 1234, "full": True, "streams_stalled": [3, 9], "cut_after": [55, 7], "mismatches": 0,
}  # fmt: skip


class Page(HTMLParser):
    """Elements in order, the text between them, and what is wrong with their nesting."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        names = [name for name, _ in attrs]
        self.wrong += [f"<{tag}> has {name} twice" for name, count in Counter(names).items() if count > 1]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes something else at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text += data

    def of(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of a kind."""
        return [found for name, found in self.elements if name == tag and attributes.items() <= found.items()]


def clip(name: str, label: str = "take") -> dict[str, Any]:
    return {
        "path": f"/nowhere/{name}.mp4",
        "label": label,
        "predicted": "take",
        "logits": {"take": 1.0, "conceal": -1.0},
        "alarms": [],
    }


CASES: dict[str, dict[str, Any]] = {
    "bare": {},
    "simulated": {"verdict": verdict()},
    "with clips": {"verdict": verdict(clips=[clip(str(n)) for n in range(3)])},
    "all": {
        "verdict": verdict(
            clips=[clip("a"), clip("b", "conceal")],
            confusion={"classes": ["take", "conceal"], "matrix": [[1, 0], [1, 0]]},
            metrics={"accuracy": 0.5, "clips": 2},
        ),
        "flow": FLOW,
    },
    "failed": {
        "verdict": verdict(ladder=[rung("finn", 5), rung("verilator", 3)], bit_exact=False),
        "flow": {**FLOW, "fmax_mhz": 20.0, "path": None, "lut": 90_000},
    },
}


@pytest.mark.parametrize("case", CASES)
def test_the_elements_close_and_all_is_inside(case: str, tmp_path: Path) -> None:
    page = Page(report(tmp_path / "build", **CASES[case]))
    assert page.wrong == []
    assert page.open == []
    assert len(page.of("h1")) == len(page.of("body")) == 1
    for tag, attributes in page.elements:
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), f"<{tag} {name}={value}>"
    assert page.of("script") == []
    assert "None" not in page.text
    assert "{{" not in page.text
    assert "nan" not in page.text.lower().split()


@pytest.mark.parametrize("name", ["<b>bold</b>", "a&b", '"quoted"', "Größe", "x' onload='y"])
def test_names_are_words_and_never_elements(name: str, tmp_path: Path) -> None:
    plain = Page(report(tmp_path / "plain", verdict=verdict(model="plain", clips=[clip("plain")])))
    text = report(tmp_path / "odd", verdict=verdict(model=name, clips=[clip(name.replace("/", ""))]))
    page = Page(text)
    assert page.wrong == []
    assert name in page.text
    assert len(page.elements) == len(plain.elements)
    assert html.escape(name, quote=False) in text or name in html.unescape(text)


@pytest.mark.parametrize("count", [0, 1, STRIP_CLIPS, STRIP_CLIPS + 5])
def test_of_many_clips_some_are_shown_and_the_rest_is_counted(count: int, tmp_path: Path) -> None:
    page = Page(report(tmp_path / "build", verdict=verdict(clips=[clip(f"clip{n}") for n in range(count)])))
    shown = [n for n in range(count) if f"clip{n}.mp4" in page.text]
    assert len(shown) >= min(count, STRIP_CLIPS)
    left_out = max(0, count - STRIP_CLIPS)
    assert (f"{left_out} more in verdict.json" in page.text) == bool(left_out)


def test_every_kernel_and_fifo_of_the_schedule_is_there(tmp_path: Path) -> None:
    page = Page(report(tmp_path / "build"))
    for kernel in LATENCY["kernels"]:
        assert kernel["name"] in page.text
        assert f"takes {kernel['first_in']:,} to {kernel['last_in']:,}" in page.text
    for fifo in LATENCY["fifos"]:
        assert fifo["name"] in page.text
        assert f"{fifo['depth']:,}" in page.text
    bars = [
        (float(str(bar["x"])), float(str(bar["width"])))
        for kind in ("in", "out")
        for bar in page.of("rect", **{"class": kind})
    ]
    assert len(bars) == 2 * len(LATENCY["kernels"])
    width = float(str(page.of("svg")[0]["viewbox"]).split()[2])
    assert all(0 <= start <= start + length <= width for start, length in bars), "inside the picture"


@pytest.mark.parametrize("used", [0, 41_820, 83_640, 100_000])
def test_a_bar_is_as_long_as_its_share(used: int, tmp_path: Path) -> None:
    page = Page(report(tmp_path / "build", flow={**FLOW, "lut": used}))
    percent = 100 * used / FLOW["available"]["lut"]
    assert f"{used:,} of {FLOW['available']['lut']:,}" in page.text
    assert f"{percent:.0f} %" in page.text
    widths = [found.get("style") for found in page.of("span") if "width" in str(found.get("style"))]
    assert f"width: {min(percent, 100):.1f}%" in widths
    assert bool(page.of("span", **{"class": "over"})) == (percent > 100)


def test_the_pass_with_stalls_is_told_with_its_seed(tmp_path: Path) -> None:
    page = Page(report(tmp_path / "build", verdict=verdict(stalled=STALLED)))
    assert "(seed 7)" in page.text
    assert "1,234" in page.text
