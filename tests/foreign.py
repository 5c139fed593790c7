# SPDX-License-Identifier: Apache-2.0
"""QONNX files that this project did not make: Brevitas' example networks, narrow, exported by Brevitas alone.

Each function writes one and returns its path. The weights are random; BatchNorm and the scales are as a few
passes of noise in training mode leave them.
"""

import contextlib
import io
import warnings
from pathlib import Path
from unittest import mock

import torch
from brevitas import nn as qnn
from brevitas.export import export_qonnx
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8ActPerTensorFloat,
    Int8WeightPerTensorFixedPoint,
    Int8WeightPerTensorFloat,
    Int16Bias,
    Uint8ActPerTensorFixedPoint,
    Uint8ActPerTensorFloat,
)
from brevitas_examples.bnn_pynq.models import CNV
from brevitas_examples.bnn_pynq.models.FC import FC
from brevitas_examples.imagenet_classification.models.mobilenetv1 import MobileNet
from torch import nn

PIXEL = 1 / 255  # what these networks take as one step of a pixel
CLASSES = 10


def cnv_2w2a(path: Path) -> Path:
    """The CNV-2W2A of FINN's papers on 32x32 pictures, an eighth as wide: scales of 1, TensorNorm at the end."""
    torch.manual_seed(1)
    narrow = {
        "CNV_OUT_CH_POOL": [(8, False), (8, True), (16, False), (16, True), (32, False), (32, False)],
        "INTERMEDIATE_FC_FEATURES": [(32, 64), (64, 64)],
        "LAST_FC_IN_FEATURES": 64,
    }
    with mock.patch.multiple(CNV, **narrow):
        network = CNV.CNV(CLASSES, weight_bit_width=2, act_bit_width=2, in_bit_width=8, in_ch=3)
    return export(network, (1, 3, 32, 32), path)


def tfc_2w2a(path: Path) -> Path:
    """The TFC-2W2A on 28x28 grey pictures: three layers behind a flattened picture, an input scale of 1/127."""
    torch.manual_seed(2)
    network = FC(
        CLASSES, weight_bit_width=2, act_bit_width=2, in_bit_width=8, in_channels=1, out_features=[32] * 3
    )
    return export(network, (1, 1, 28, 28), path)


def mobilenet_4b(path: Path) -> Path:
    """MobileNet-v1 with 4-bit weights and activations, float scales per channel before depthwise convolutions."""
    torch.manual_seed(3)
    network = MobileNet(
        channels=[[8], [16], [16, 16], [32]],
        first_stage_stride=False,
        act_bit_width=4,
        weight_bit_width=4,
        last_layer_bit_width=4,
        avg_pool_kernel_size=4,
        num_classes=CLASSES,
    )
    return export(network, (1, 3, 32, 32), path)


def mlp(path: Path, *, fixed_point: bool = False) -> Path:
    """Linear layers with biases on 12 features per frame, 4 frames: Brevitas' own quantizers."""
    torch.manual_seed(4)
    kinds = _kinds(fixed_point)
    network = nn.Sequential(
        qnn.QuantIdentity(bit_width=8, act_quant=kinds["act"], return_quant_tensor=True),
        qnn.QuantLinear(12, 16, bias=True, weight_bit_width=4, weight_quant=kinds["weight"]),
        qnn.QuantReLU(bit_width=4, act_quant=kinds["relu"], return_quant_tensor=True),
        qnn.QuantLinear(
            16, CLASSES, bias=True, weight_bit_width=4, weight_quant=kinds["weight"], bias_quant=Int16Bias
        ),
    )
    return export(network, (4, 12), path)


def conv3d(path: Path, *, fixed_point: bool = False) -> Path:
    """3-D convolutions, full and depthwise, in space and in time, on a clip of 4 frames of 16x16."""
    torch.manual_seed(5)
    kinds = _kinds(fixed_point)

    def block(inputs: int, outputs: int, kernel: tuple[int, ...], **geometry: object) -> list[nn.Module]:
        padding = tuple(size // 2 for size in kernel)
        weights = {"weight_bit_width": 4, "weight_quant": kinds["weight"], "bias": False}
        return [
            qnn.QuantConv3d(inputs, outputs, kernel, padding=padding, **weights, **geometry),
            nn.BatchNorm3d(outputs),
            qnn.QuantReLU(bit_width=4, act_quant=kinds["relu"]),
        ]

    network = nn.Sequential(
        *block(3, 4, (3, 3, 3), stride=(1, 2, 2)),
        nn.MaxPool3d((1, 2, 2)),
        *block(4, 4, (3, 3, 3), groups=4),
        *block(4, 8, (1, 1, 1)),
        nn.MaxPool3d((2, 2, 2)),
        *block(8, 8, (1, 3, 3)),
        *block(8, 8, (3, 1, 1), stride=(2, 1, 1)),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        qnn.QuantLinear(8, CLASSES, bias=False, weight_bit_width=8, weight_quant=kinds["weight"]),
    )
    return export(network, (1, 3, 4, 16, 16), path)


def export(network: nn.Module, shape: tuple[int, ...], path: Path) -> Path:
    """Let noise pass in training mode, then write QONNX for an input of `shape`; return `path`."""
    batch = (max(shape[0], 4), *shape[1:])
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        network.train()
        for _ in range(4):
            network(torch.rand(batch))
        _spread(network)
        export_qonnx(network.eval(), args=torch.rand(shape), export_path=str(path))
    return path


def _spread(network: nn.Module) -> None:
    """BatchNorm as training could leave it, some channels falling."""
    for norm in network.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.3, 0.3)
            norm.weight.data[::5] *= -1


def _kinds(fixed_point: bool) -> dict[str, type]:
    if fixed_point:
        return {
            "act": Int8ActPerTensorFixedPoint,
            "relu": Uint8ActPerTensorFixedPoint,
            "weight": Int8WeightPerTensorFixedPoint,
        }
    return {"act": Int8ActPerTensorFloat, "relu": Uint8ActPerTensorFloat, "weight": Int8WeightPerTensorFloat}
