# SPDX-License-Identifier: Apache-2.0
"""What the documentation says is there: commands, options, links, paths, ports and parameters."""

import importlib
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import typer
from framegate.hls.kernels import KINDS, Kernel, each_beat
from framegate.main import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = ("benchmarks", "cli", "docs", "hls", "quant", "rtl_sim", "tests")
SHEETS = ROOT / "docs" / "kernels"
MOST_FIGURES = 10

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def _code(page: Path) -> Iterator[str]:
    """What stands between backticks, and each line of a block of code."""
    fenced = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    text = page.read_text()
    for block in fenced.findall(text):
        yield from block.splitlines()[1:-1]
    for quoted in re.findall(r"`([^`]+)`", fenced.sub("", text)):
        yield " ".join(quoted.split())


def _commands(page: Path) -> Iterator[list[str]]:
    """The words behind `framegate` of each command line; those without any are the program's name."""
    for line in _code(page):
        words = (
            shlex.split(line.removeprefix("$ "), comments=True) if re.match(r"(\$ )?framegate ", line) else []
        )
        if ">" in words:
            words = words[: words.index(">")]
        if words[1:]:
            yield words[1:]


@every_page
def test_every_command_line_parses(page: Path) -> None:
    for words in _commands(page):
        command: click.Command = typer.main.get_command(app)
        context = click.Context(command, info_name="framegate")
        rest = list(words)
        while isinstance(command, click.Group) and rest:
            name = rest.pop(0)
            found = command.get_command(context, name)
            assert found is not None, f"framegate {shlex.join(words)}: there is no command {name}"
            command = found
        try:
            if any(word.startswith("-") for word in rest):  # without options it may be a mere mention
                command.make_context(words[0], rest)
        except click.MissingParameter:
            pass  # of a mention such as `framegate train --prune 0.5`
        except click.UsageError as error:
            pytest.fail(f"framegate {shlex.join(words)}: {error.format_message()}")


def _anchor(heading: str) -> str:
    """As the site and code hosts make it of a heading."""
    bare = re.sub(r"[`*\[\]]|\(.*?\.md.*?\)", "", heading).strip().lower()
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", bare))


@every_page
def test_every_link_resolves(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        assert "://" not in path, f"{target}: name the thing, not its address"
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{target} is not there"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            assert anchor in map(_anchor, headings), f"{target}: {linked.name} has no such heading"


@every_page
def test_every_path_is_there(page: Path) -> None:
    for quoted in _code(page):
        for word in quoted.split():
            path = word.strip(".,;:'\"()").partition("::")[0]
            if path.split("/")[0] in FOLDERS and "/" in path and not re.search(r"[<*{]", path):
                assert (ROOT / path).exists(), f"{page.name} names {path}, which is not there"


def test_the_readme_has_one_short_table_of_figures() -> None:
    section = (ROOT / "README.md").read_text().partition("\n## Figures\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert 0 < len(rows) <= MOST_FIGURES, "more belong into docs/figures.md"
    assert all(row.count("|") == 4 and row.split("|")[3].strip() for row in rows), (
        "a figure without its command"
    )


def test_the_picture_is_what_its_script_draws_of_rooms_that_are_there() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "pictures" / "trips.py"))
    assert (ROOT / "docs" / "pictures" / "trips.svg").read_text() == script["picture"]()
    for _, _, folder, *_ in script["ROOMS"]:
        assert (ROOT / folder).is_dir(), f"the picture shows {folder}, which is not there"


def test_the_architecture_lists_every_folder_with_code() -> None:
    rooms = {
        str(path.parent.relative_to(ROOT))
        for folder in FOLDERS
        if folder not in ("docs", "tests")
        for path in (ROOT / folder).rglob("*.py")
    }
    text = (ROOT / "docs" / "architecture.md").read_text()
    listed = {
        name
        for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    }
    assert rooms <= listed, f"docs/architecture.md does not list {sorted(rooms - listed)}"


def _names(sheet: Path, section: str) -> set[str]:
    """What stands in backticks in the first column of a section's table."""
    text = sheet.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def _interface(module: Path) -> tuple[set[str], set[str]]:
    """The parameters and the ports in the header of a module."""
    header = re.sub(r"//.*", "", module.read_text()).partition(");\n")[0]
    parameters = re.findall(r"\bparameter\b[^=,]*?\b(\w+)\s*=", header)
    ports = re.findall(r"\b(?:input|output)\s+(?:(?:logic|wire)\b\s*)*(?:\[[^\]]*\]\s*)?(\w+)", header)
    return set(parameters), set(ports)


def _module_of(kind: type) -> Path:
    """The SystemVerilog module beside a kernel's class."""
    stem = kind.__module__.rpartition(".")[2]
    return ROOT / "hls" / "kernels" / f"fg_{stem}.sv"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kernel_has_a_data_sheet_that_is_right(kind: type) -> None:
    module = _module_of(kind)
    sheet = SHEETS / f"{module.stem.removeprefix('fg_')}.md"
    assert sheet.is_file(), f"{kind.__name__} has no data sheet; write docs/kernels/{sheet.name}"
    parameters, ports = _interface(module)
    assert _names(sheet, "Parameters") == parameters, f"{sheet.name} and {module.name} differ in parameters"
    assert _names(sheet, "Ports") == ports, f"{sheet.name} and {module.name} differ in ports"
    for section in ("Timing", "Cost"):
        assert f"\n## {section}\n" in sheet.read_text(), f"{sheet.name} has no section {section}"


def test_every_data_sheet_is_of_a_kernel_and_listed() -> None:
    sheets = {path.stem for path in SHEETS.glob("*.md")} - {"index"}
    assert sheets == {kind.__module__.rpartition(".")[2] for kind in KINDS.values()}
    assert sheets == set(re.findall(r"\((\w+)\.md\)", (SHEETS / "index.md").read_text()))


def _latencies() -> dict[str, int]:
    """The kernels whose latency the list gives as one number."""
    rows = re.findall(
        r"^\| \[(\w+)\]\(\w+\.md\) \|[^|]*\| (\d+) \|", (SHEETS / "index.md").read_text(), re.MULTILINE
    )
    return {name: int(latency) for name, latency in rows}


def _far_apart(kernel: Kernel) -> list[np.ndarray]:
    """Offers of two clips, pixel by pixel of each input in turn, so far apart that nothing ever waits."""
    pause, inputs = 10_000, len(kernel.inputs)
    offers = []
    for place, stream in enumerate(kernel.inputs):
        pixel, beat = np.divmod(np.arange(2 * stream.beats), stream.beats_per_pixel)
        offers.append(pause * (inputs * pixel + place) + pause // 2 * beat // stream.beats_per_pixel)
    return offers


@pytest.mark.parametrize(("name", "latency"), _latencies().items(), ids=_latencies())
def test_the_latency_in_the_list_is_that_of_the_timing(name: str, latency: int) -> None:
    cases: dict[str, Kernel] = importlib.import_module(f"tests.kernels.test_{name}").CASES
    shortest = []
    for kernel in cases.values():
        timing = kernel.timing(*_far_apart(kernel))
        taken = np.sort(np.concatenate([each_beat(beats) for beats in timing.taken]))
        appears = each_beat(timing.appears)
        shortest.append((appears - taken[np.searchsorted(taken, appears, side="right") - 1]).min())
    assert min(shortest) == latency
