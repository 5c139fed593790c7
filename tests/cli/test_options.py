# SPDX-License-Identifier: Apache-2.0
"""Every number that a command takes has a range, and what is beyond it is one sentence with exit code 2."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import pytest
import typer
from framegate.errors import UsageError
from framegate.main import app


def _numbers(commands: typer.Typer) -> Iterator[tuple[str, tuple[type, Any]]]:
    """All integers and floats that the commands take: their types, and what typer knows of them."""
    for group in commands.registered_groups:
        assert group.typer_instance is not None
        yield from _numbers(group.typer_instance)
    for command in commands.registered_commands:
        assert command.callback is not None
        for name, hint in get_type_hints(command.callback, include_extras=True).items():
            kinds = {int, float} & {
                hint,
                *get_args(hint),
                *(each for arg in get_args(hint) for each in get_args(arg)),
            }
            for kind in kinds:
                yield f"{command.callback.__module__} {name}", (kind, get_args(hint)[-1])


NUMBERS = dict(_numbers(app))
BEYOND = (float("nan"), float("inf"), -float("inf"), -1e9, 1e30)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_has_a_range(number: str) -> None:
    kind, option = NUMBERS[number]
    if kind is int:
        assert option.min is not None, "none below which it makes no sense"
        assert option.max <= 2**32, "none above which it makes no sense"
        return
    for value in BEYOND:
        with pytest.raises(UsageError, match=r"^--x \S+: give .* from \S+ to \S+$"):
            option.callback(SimpleNamespace(opts=["--x"]), value)


def test_the_numbers_are_found() -> None:
    assert len(NUMBERS) > 30


@pytest.mark.parametrize("clock", ["0", "-1", "nan", "inf", "1e9"])
@pytest.mark.parametrize("command", ["compile", "explore"])
def test_a_clock_that_none_has_is_one_sentence(framegate: Callable, command: str, clock: str) -> None:
    result = framegate(command, "tsm-lite", "--clock", clock)
    assert result.code == 2
    assert result.err == f"framegate: --clock {float(clock):g}: give MHz from 1 to 1000\n"


@pytest.mark.parametrize("delay", ["0", "-1", "nan", "inf", "1e9"])
def test_a_delay_that_none_has_is_one_sentence(framegate: Callable, delay: str) -> None:
    result = framegate("compile", "tsm-lite", "--latency", delay)
    assert result.code == 2
    assert result.err == f"framegate: --latency {float(delay):g}: give ms from 1e-06 to 1e+06\n"


@pytest.mark.parametrize("value", ["1e400", "nan", "0", "-1", "1/0", "1/1e400", "1e10000000", "x", ""])
@pytest.mark.parametrize("option", ["--pixel-scale", "--rate"])
def test_a_number_in_words_is_checked_as_well(
    framegate: Callable, tmp_path: Path, option: str, value: str
) -> None:
    result = framegate("compile", "tsm-lite", "--build", tmp_path / "build", option, value)
    assert result.code == 2
    assert result.err.startswith(f"framegate: {option}")
    assert result.err.count("\n") == 1
    assert not (tmp_path / "build" / "rtl").exists()


@pytest.mark.parametrize("words", [["--clips", ""], ["--clips="], ["--clips", " "]])
def test_an_empty_value_is_not_the_current_folder(framegate: Callable, words: list[str]) -> None:
    result = framegate("evaluate", *words)
    assert result.code == 2
    assert result.err == "framegate: --clips: an empty value; give one, or leave it out\n"
