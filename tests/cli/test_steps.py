# SPDX-License-Identifier: Apache-2.0
"""A step runs when something that it reads or writes changed, and only then."""

from pathlib import Path

import pytest
from framegate.steps import Steps


def test_runs_again_for_changed_inputs_missing_outputs_and_failures(tmp_path: Path) -> None:
    source, target, made = tmp_path / "in", tmp_path / "out", []
    source.write_text("1")

    def make() -> None:
        made.append(source.read_text())
        target.touch()

    steps = Steps(tmp_path / "build", lambda _: None)
    assert steps.run("copy", [source, "option"], [target], make)
    assert not steps.run("copy", [source, "option"], [target], make)
    source.write_text("2")
    assert steps.run("copy", [source, "option"], [target], make)
    assert steps.run("copy", [source, "other option"], [target], make)
    target.unlink()
    assert steps.run("copy", [source, "other option"], [target], make)
    source.write_text("3")
    with pytest.raises(ZeroDivisionError):
        steps.run("copy", [source], [target], lambda: 1 // 0)
    source.write_text("2")
    assert steps.run("copy", [source, "other option"], [target], make), "the failure left no stamp"
    assert made == ["1", "2", "2", "2", "2"]
