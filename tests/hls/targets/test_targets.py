# SPDX-License-Identifier: Apache-2.0
"""Targets are data: every file loads, an unknown name lists the known ones."""

import pytest
from framegate.errors import UsageError
from framegate.hls.targets import load_target, target_names


@pytest.mark.parametrize("name", target_names())
def test_every_target_loads(name: str) -> None:
    assert load_target(name).name == name


def test_ulx3s_is_an_85f() -> None:
    target = load_target("ulx3s-85f")
    assert (target.device, target.package, target.dsp, target.bram) == ("85k", "CABGA381", 156, 208)


@pytest.mark.parametrize("name", ["ulx3s", "../ulx3s-85f", ""])
def test_unknown_target_lists_the_known(name: str) -> None:
    with pytest.raises(UsageError, match=r"^target '.*': unknown; choose one of .*ulx3s-85f"):
        load_target(name)
