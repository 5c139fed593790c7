# SPDX-License-Identifier: Apache-2.0
"""The float networks' latency on what is there: a dry run on the CPU with small counts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from framegate.benchmarks.peers import gpu, onnx_runtime
from framegate.benchmarks.peers import gpu_meter as meter
from framegate.benchmarks.peers.gpu_subject import subject
from framegate.errors import UsageError
from framegate.quant.networks.checkpoint import to_input

from tests.networks import small

DRY = gpu.Effort(runs=10, warm_up=1, seconds=0.01, largest_batch=8, compiled=False)


def measured(name: str, *precisions: str) -> list[dict[str, Any]]:
    device = torch.device("cpu")
    return list(
        gpu.measure(
            device, meter.meter(device), lambda _: None, names=[name], precisions=precisions, effort=DRY
        )
    )


def test_a_row_per_precision_and_mode(tmp_path: Path) -> None:
    rows = measured(str(small(tmp_path / "small.pt")), "fp32", "bf16")
    modes = ["eager", "host to host", "best batch"]
    assert [(row["precision"], row["mode"]) for row in rows] == [
        (precision, mode) for precision in ("fp32", "bf16") for mode in modes
    ]
    for row in rows:
        assert (row["frames"], row["size"]) == (4, 16)
        if row["mode"] != "best batch":
            assert row["runs"] == 10
            assert 0 < row["min_ms"] <= row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] <= row["p999_ms"]
            assert row["p999_ms"] <= row["max_ms"]
        if row["mode"] != "eager":
            assert row["clips_per_second"] > 0
            assert row["joules_per_clip"] is None, "nothing counts a CPU's energy"
    assert rows[2]["batch"] in (4, 8)


def test_int8_on_a_cpu_is_of_onnx_runtime(tmp_path: Path) -> None:
    network = str(small(tmp_path / "small.pt"))
    (row,) = measured(network, "int8")
    assert (row["precision"], row["mode"], row["by"]) == ("int8", "host to host", "ONNX Runtime")
    assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["max_ms"]
    assert row["clips_per_second"] > 0


def test_int8_is_the_same_network(tmp_path: Path) -> None:
    chosen = subject(str(small(tmp_path / "small.pt")))
    clips = chosen.clips(1)
    quantized = onnx_runtime.logits(chosen, clips)
    with torch.inference_mode():
        expected = chosen.network(to_input(clips)).numpy()
    assert quantized.shape == expected.shape
    assert np.abs(quantized - expected).max() < 0.2 * np.abs(expected).max(), (
        "8 bits are close to the float network"
    )


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"^--device tpu: unknown; choose one of auto, cuda, cpu$"):
        meter.choose("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match=r"^--device cuda: PyTorch finds no GPU here; choose cpu"):
            meter.choose("cuda")
    with pytest.raises(
        UsageError, match=r"^precision 'int3': unknown; choose of fp32, tf32, fp16, bf16, int8$"
    ):
        measured("tsm-lite", "int3")
    with pytest.raises(UsageError, match=r"^precision 'tf32': not of a CPU; leave it out$"):
        measured("tsm-lite", "tf32")


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("Tesla T4", "t4"),
        ("CPU, 2 threads", "cpu"),
    ],
)
def test_a_file_is_called_after_the_device(device: str, name: str) -> None:
    assert meter.short_name(device) == name
