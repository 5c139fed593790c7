# SPDX-License-Identifier: Apache-2.0
"""A float network in int8 by ONNX Runtime's own quantization: what a CPU without a GPU would run."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch
from framegate.benchmarks.peers.gpu_subject import Step, Subject
from framegate.quant.networks.checkpoint import to_input
from framegate.quant.networks.export import quiet
from torch.fx.experimental.proxy_tensor import make_fx

INT8 = "int8"
_INPUT = "pixels"
_CALIBRATION_CLIPS = 4  # of noise: times do not depend on the scales


def from_host(subject: Subject, batch: int) -> Step:
    """A run from pixels in memory to logits in memory: weights per channel and activations in 8 bits, QDQ."""
    clips = subject.clips(batch)
    run = _run(subject, clips)

    def step() -> None:
        run(clips)

    return step


def logits(subject: Subject, clips: torch.Tensor) -> np.ndarray:
    """Logits (N, K) of `clips` (N, T, S, S, 3), uint8, by the quantized network."""
    return _run(subject, clips)(clips)


def _run(subject: Subject, clips: torch.Tensor) -> Callable[[torch.Tensor], np.ndarray]:
    """The quantized network, for as many clips at once."""
    with TemporaryDirectory() as folder:
        session = _session(subject, Path(folder), clips)
    name = session.get_inputs()[0].name
    return lambda pixels: session.run(None, {name: to_input(pixels).numpy()})[0]


def _session(subject: Subject, folder: Path, clips: torch.Tensor) -> onnxruntime.InferenceSession:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    plain, quantized = folder / "float.onnx", folder / "int8.onnx"
    with quiet(), torch.no_grad():
        # Traced before: exported as they are, shifts and means become nodes of FINN, which ONNX Runtime has not.
        traced = make_fx(subject.network)(to_input(clips))
        torch.onnx.export(
            traced, (to_input(clips),), str(plain), input_names=[_INPUT], external_data=False, dynamo=True
        )
        quantize_static(
            plain, quantized, _Noise(subject, len(clips)), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(quantized.read_bytes(), options, providers=["CPUExecutionProvider"])


class _Noise:
    """The clips that scales are chosen on, as ONNX Runtime asks for them."""

    def __init__(self, subject: Subject, batch: int) -> None:
        self.inputs = [to_input(subject.clips(batch)).numpy() for _ in range(_CALIBRATION_CLIPS)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        """One batch, or None behind the last."""
        return {_INPUT: self.inputs.pop()} if self.inputs else None
