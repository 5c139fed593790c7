# SPDX-License-Identifier: Apache-2.0
"""Our side of the comparison with NNgen against plain PyTorch, and what is read of NNgen's bench; NNgen is not run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from framegate.benchmarks.peers import nngen
from framegate.benchmarks.peers.nngen import SIDES, Sides
from framegate.errors import FramegateError, UsageError
from framegate.hls.emission.emit import emit
from framegate.hls.schedule.schedule import schedule
from framegate.rtl_sim import reference
from torch.nn import functional


def expected_logits(sides: Sides, arrays: dict[str, np.ndarray], pixels: np.ndarray) -> np.ndarray:
    """The network as the peer defines it, in float64, which holds every sum."""
    x = torch.from_numpy(pixels[:, 0]).double().permute(0, 3, 1, 2)
    for name, shift in zip(("first", "second"), sides.shifts, strict=True):
        weights = torch.from_numpy(arrays[f"{name}_weights"]).double().permute(0, 3, 1, 2)
        sums = functional.conv2d(x, weights, torch.from_numpy(arrays[f"{name}_bias"]).double(), padding=1)
        rounded = torch.floor((sums + (1 << (shift - 1))) / (1 << shift))
        x = functional.max_pool2d(rounded.clamp(0, 127), 2)
    features = x.permute(0, 2, 3, 1).flatten(1)
    return (features @ torch.from_numpy(arrays["head_weights"]).double().T).long().numpy()


@pytest.mark.parametrize("sides", SIDES, ids=lambda sides: f"{sides.bits} bits")
def test_our_network_is_the_peers(sides: Sides) -> None:
    arrays, pixels = nngen.random_network(sides), nngen.random_pixels()
    found = reference.logits(nngen.build_dataflow(sides, arrays), pixels)
    assert (found == expected_logits(sides, arrays, pixels)).all()
    assert len(np.unique(found)) > found.size // 2, (
        "a network that gives the same for everything shows nothing"
    )


def test_our_hardware_is_on_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nngen, "SIZE", 8)  # of a frame, which Icarus takes a quarter of the time for
    sides = SIDES[-1]
    arrays, pixels = nngen.random_network(sides), nngen.random_pixels()
    complete, times = schedule(nngen.build_dataflow(sides, arrays), 50)
    emit(complete, times, tmp_path / "rtl")
    verdict = nngen.simulate(complete, tmp_path, pixels[:2])
    assert (verdict.logits == expected_logits(sides, arrays, pixels[:2])).all()


def test_what_the_peers_bench_prints_is_read() -> None:
    lines = [
        "cycles       9425",
        *(f"logit {k:11} {-7 * k:11}" for k in range(10)),
        "bench.v:9: $finish called",
    ]
    assert nngen.read_bench("\n".join(lines)) == (9425, [-7 * k for k in range(10)])
    lines[3] = "logit           2           x"
    with pytest.raises(FramegateError, match=r"ended early: bench\.v:9"):
        nngen.read_bench("\n".join(lines))


def test_unequal_logits_are_named() -> None:
    with pytest.raises(FramegateError, match=r"^logit 1: 5, NNgen 1\.3\.4 gives 6$"):
        nngen.expect_equal([4, 5], [4, 6])


def test_a_failed_installation_is_told_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "false")
    with pytest.raises(UsageError, match=r"^NNgen 1\.3\.4: cannot be installed in .*; connect to a package"):
        nngen.environment(tmp_path / "environment", lambda _: None)
