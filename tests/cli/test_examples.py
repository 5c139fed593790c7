# SPDX-License-Identifier: Apache-2.0
"""What the helps and the documents tell a person to type is what the commands take."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from framegate.errors import UsageError
from framegate.main import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
GROUP = typer.main.get_command(app)
REFUSED = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    if not hasattr(group, "commands"):
        yield path, group
        return
    for name, command in group.commands.items():
        yield from commands(command, (*path, name))


COMMANDS = dict(commands(GROUP))


def find(words: list[str]) -> tuple[Any, list[str]]:
    """The command that a line calls, and what is left of the line."""
    command: Any = GROUP
    rest = words[1:]
    while hasattr(command, "commands"):
        assert rest, f"{' '.join(words)}: which command?"
        assert rest[0] in command.commands, f"{' '.join(words)}: no command {rest[0]!r}"
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def parse(words: list[str]) -> Any:
    """The context of a command line, read but not run. Raises what the command line would print."""
    command, rest = find(words)
    return command.make_context(command.name, rest)


def in_blocks(text: str) -> Iterator[list[str]]:
    """The framegate commands that are to be typed: the lines of code blocks that are whole."""
    for block in re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            words = (
                shlex.split(line.strip().removeprefix("$ "), comments=True) if "framegate " in line else []
            )
            if words[:1] == ["framegate"] and not any(mark in line for mark in _NOT_WHOLE):
                yield words


_NOT_WHOLE = ("…", "...", "[", "<", "|", "&&", ">", ";")  # something is left out, or may be


def in_sentences(text: str) -> Iterator[list[str]]:
    """Commands that are named in a sentence, perhaps with an option that it is about."""
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from (words.split() for words in re.findall(r"`(framegate [^`]+)`", plain))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_example_of_each_help_is_taken(path: tuple[str, ...]) -> None:
    examples = list(in_sentences(COMMANDS[path].epilog or ""))
    assert examples, f"{' '.join(path)} has no example"
    for words in examples:
        assert tuple(words[1 : 1 + len(path)]) == path
        parse(words)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_explained_in_a_sentence(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help, "what it does"
    for parameter in command.params:
        explained = getattr(parameter, "help", None)
        assert explained, f"{' '.join(path)} {parameter.name}: no help"
        assert explained.rstrip()[-1] in ".…;)", (
            f"{' '.join(path)} {parameter.name}: {explained!r} is no sentence"
        )


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_json(path: tuple[str, ...]) -> None:
    assert "--json" in [name for parameter in COMMANDS[path].params for name in parameter.opts]


def test_the_documents_have_commands_to_type() -> None:
    assert sum(1 for file in DOCUMENTS for _ in in_blocks(file.read_text())) > 15
    assert sum(1 for file in DOCUMENTS for _ in in_sentences(file.read_text())) > 15


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_what_a_document_tells_to_type_is_taken(file: Path) -> None:
    wrong = []
    for words in in_blocks(file.read_text()):
        try:
            parse(words)
        except (REFUSED, UsageError, AssertionError) as error:
            wrong.append(f"{' '.join(words)}: {getattr(error, 'message', error)}")
    assert wrong == []


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_commands_and_options_that_a_sentence_names_are_there(file: Path) -> None:
    for words in in_sentences(file.read_text()):
        if words[1].startswith(("--", "…")) or (words[1] in ("data", "bench") and len(words) == 2):
            continue
        command, rest = find(words)
        known = {
            name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)
        }
        options = {word.split("=")[0] for word in rest if word.startswith("--")}
        assert options <= known, f"{file.name}: {' '.join(words)}"


@pytest.mark.parametrize(
    "line",
    [
        "framegate compile --bord kv260",
        "framegate train",
        "framegate bench speed",
        "framegate data check --folds x",
    ],
)
def test_a_wrong_line_would_be_seen(line: str) -> None:
    with pytest.raises((REFUSED, AssertionError)):
        parse(shlex.split(line))
