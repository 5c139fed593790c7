# SPDX-License-Identifier: Apache-2.0
"""A step runs when something that it reads or writes changed, and only then; two runs do not meet in a folder."""

import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest
from framegate.errors import UsageError
from framegate.hls import steps
from framegate.hls.build.model import COMPILE, EXPORT
from framegate.hls.flows.flow import CODE
from framegate.hls.steps import Code, Record, Steps, locked
from framegate.rtl_sim.simulate import SIMULATE


class Copy:
    """A step that copies a file into a folder, and counts."""

    def __init__(self, folder: Path) -> None:
        self.source, self.target, self.made = folder / "in", folder / "build" / "out", 0
        self.source.mkdir()
        (self.source / "a").write_text("1")
        self.steps = Steps(folder / "build", lambda _: None)

    def run(self, *options: str, code: Code = Code()) -> bool:  # noqa: B008
        return self.steps.run("copy", [self.source, *options], [self.target], self.make, code).ran

    def make(self) -> None:
        self.made += 1
        self.target.mkdir(exist_ok=True)
        for left in self.target.iterdir():
            left.unlink()
        for file in self.source.iterdir():
            (self.target / file.name).write_bytes(file.read_bytes())


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    made = Copy(tmp_path)
    assert made.run("option")
    assert not made.run("option")
    return made


def test_other_options_run_it_again(copy: Copy) -> None:
    assert copy.run("other option")
    assert copy.run("other", " option"), "options are not glued together"


def test_inputs_count_by_content_and_by_name(copy: Copy) -> None:
    (copy.source / "a").write_text("2")
    assert copy.run("option")
    (copy.source / "a").rename(copy.source / "b")
    assert copy.run("option")
    (copy.source / "b").write_text("")
    (copy.source / "c").write_text("2")
    assert copy.run("option"), "the same bytes, cut elsewhere"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda out: (out / "a").write_text("2"), ["out/a changed"]),
        (lambda out: (out / "a").rename(out / "b"), ["out/a missing", "out/b extra"]),
        (lambda out: (out / "a").unlink(), ["out/a missing"]),
        (lambda out: (out / "b").touch(), ["out/b extra"]),
    ],
    ids=["edited", "renamed", "deleted", "added"],
)
def test_a_damaged_output_is_told_and_made_again(copy: Copy, damage: object, words: list[str]) -> None:
    assert copy.steps.changes("copy", [copy.target]) == []
    damage(copy.target)  # type: ignore[operator]
    assert copy.steps.changes("copy", [copy.target]) == words
    assert copy.run("option")
    assert not copy.run("option")
    assert [file.name for file in copy.target.iterdir()] == ["a"]


def test_other_code_other_libraries_and_another_python_run_it_again(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "room"
    (room / "harness").mkdir(parents=True)
    (room / "harness" / "main.cpp").write_text("int main() {}")
    code = Code((room,), ("numpy",))
    assert copy.run("option", code=code)
    assert not copy.run("option", code=code)
    (room / "harness" / "main.cpp").rename(room / "harness" / "other.cpp")
    steps._room.cache_clear()
    assert copy.run("option", code=code), "a file of the harness has another name"
    monkeypatch.setattr(metadata, "version", lambda name: "99")
    assert copy.run("option", code=code)
    assert not copy.run("option", code=code)
    monkeypatch.setattr("platform.python_version", lambda: "3.99")
    assert copy.run("option", code=code)


def test_a_failure_leaves_no_record(copy: Copy) -> None:
    with pytest.raises(ZeroDivisionError):
        copy.steps.run("copy", [copy.source], [copy.target], lambda: 1 // 0, Code())
    assert copy.steps.changes("copy", [copy.target]) is None
    assert copy.run("option")


def test_a_moved_build_is_the_same(copy: Copy, tmp_path: Path) -> None:
    moved = (tmp_path / "build").rename(tmp_path / "moved")
    copy.steps, copy.target = Steps(moved, lambda _: None), moved / "out"
    assert not copy.run("option")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"copy": "key"}', '{"copy": {"key": 1}}', '{"copy": []}', "\x00"]
)
def test_damaged_records_count_as_none(copy: Copy, content: str) -> None:
    (copy.steps.folder / ".steps.json").write_text(content)
    assert copy.run("option")
    assert not copy.run("option")


def test_the_record_tells_how_long_it_took(copy: Copy) -> None:
    said: list[str] = []
    slow = Steps(copy.steps.folder, said.append)
    first = slow.run("sleep", [], [], lambda: time.sleep(0.11), Code(), "Morpheus")
    assert said == ["sleep: Morpheus …", "sleep: 0.1 s"]
    assert first.seconds == 0.1
    assert slow.run("sleep", [], [], lambda: 1 // 0, Code()) == Record(first.key, {}, 0.1, ran=False)


_HOLDER = """
import sys, time
from pathlib import Path
from framegate.hls.steps import locked
with locked(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def _holder(folder: Path, seconds: float) -> "subprocess.Popen[str]":
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_two_runs_in_one_folder_wait_and_say_so(copy: Copy) -> None:
    said: list[str] = []
    with _holder(copy.steps.folder, 0.5):
        Steps(copy.steps.folder, said.append).run("quick", [], [], lambda: None, Code())
    assert said == [f"{copy.steps.folder}: another run is at work there; waiting for its end …", "quick …"]


def test_a_killed_run_holds_nothing(copy: Copy) -> None:
    with _holder(copy.steps.folder, 60) as holder:
        holder.kill()
        holder.wait()
    said: list[str] = []
    with locked(copy.steps.folder, said.append), locked(copy.steps.folder, said.append):  # again by the same
        assert said == []


def test_a_new_folder_in_which_nothing_was_made_is_gone_again(tmp_path: Path) -> None:
    def refuse() -> None:
        raise UsageError("no network")

    new, kept = tmp_path / "new", tmp_path / "kept"
    kept.mkdir()
    for folder in (new, kept):
        with pytest.raises(UsageError, match="no network"), locked(folder, print):
            Steps(folder, print).run("model", [], [], refuse, Code())
    assert not new.exists()
    assert kept.exists()
    with locked(new, print):
        Steps(new, print).run("model", [], [new / "made"], lambda: (new / "made").write_text("1"), Code())
    assert (new / "made").exists()


def test_who_waited_for_a_run_that_made_nothing_has_the_folder(tmp_path: Path) -> None:
    with _holder(tmp_path / "new", 0.5), locked(tmp_path / "new", print):
        (tmp_path / "new" / "made").write_text("1")
    assert (tmp_path / "new" / "made").exists()


def test_a_file_is_no_folder_to_work_in(tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("")
    sentence = r"file: cannot be worked in \(it is no folder\); choose another"
    with pytest.raises(UsageError, match=sentence), locked(file, print):
        pass


@pytest.mark.parametrize(
    "code",
    [EXPORT, COMPILE, SIMULATE, CODE],
    ids=["export", "compile", "simulate", "flows"],
)
def test_a_step_counts_every_library_that_its_rooms_import(code: Code) -> None:
    distributions = metadata.packages_distributions()
    imported = {module for room in code.rooms for module in _imported(room)}
    wanted = {name.lower() for module in imported for name in distributions.get(module, [])}
    aside = _NO_BUILD | ({"framegate"} if code is SIMULATE else _CLIPS)
    assert not {name for name in wanted - aside if not name.startswith("google")} - set(code.libraries)


_CLIPS = {
    "framegate",
    "av",
    "torchvision",
    "torchmetrics",
    "scikit-learn",
    "pillow",
}  # no clip is read before
_NO_BUILD = {"matplotlib", "lightning", "h5py", "imagehash"}  # they train, draw and check


def _imported(room: Path) -> set[str]:
    """The first name of each import in a room."""
    lines = [line.split() for path in room.rglob("*.py") for line in path.read_text().splitlines()]
    return {
        words[1].partition(".")[0] for words in lines if len(words) > 1 and words[0] in ("import", "from")
    }
