# SPDX-License-Identifier: Apache-2.0
"""Weights from files: the network then computes what the file's network computes."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from framegate.errors import UsageError
from framegate.quant.clips.transforms import TransformConfig
from framegate.quant.networks.checkpoint import Network, NetworkConfig, builtin, logits, save, to_input
from framegate.quant.training.weights import load_pretrained
from torch import Tensor, nn

from tests.quant.conftest import noise

Settled = Callable[[NetworkConfig], Network]
VWW = Path(__file__).parents[4] / "shared" / "weights" / "vww_96.h5"
EPS = 0.002


@pytest.fixture
def small() -> NetworkConfig:
    """Two float blocks without shift; 6x6 pixels at the end, so that a mean is no power of two."""
    return NetworkConfig(
        name="tsm-mobilenet",
        classes=("no", "yes"),
        size=48,
        frames=4,
        widths=(8, 16, 8),
        strides=(2, 2, 2),
        shift="none",
        weight_bits=None,
        act_bits=None,
        edge_bits=None,
    )


def write_keras(file: Path, widths: tuple[int, ...], strides: tuple[int, ...], classes: int) -> Path:
    """A MobileNet with random weights, as Keras 2 saves one: groups, attributes, weight names, config."""
    random = np.random.default_rng(0)
    names, layers, counts = [], [], dict.fromkeys(("conv2d", "depthwise_conv2d", "batch_normalization"), 0)

    def numbered(kind: str) -> str:
        counts[kind] += 1
        return kind if counts[kind] == 1 else f"{kind}_{counts[kind] - 1}"

    with h5py.File(file, "w") as content:
        root = content.create_group("model_weights")

        def add(name: str, kind: str, weights: dict[str, np.ndarray], **config: object) -> None:
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{leaf}:0".encode() for leaf in weights]
            for leaf, values in weights.items():
                group[f"{name}/{leaf}:0"] = values.astype(np.float32)
            names.append(name.encode())
            layers.append({"class_name": kind, "config": {"name": name, **config}})

        def convolve(kernel: str, shape: tuple[int, ...], stride: int) -> None:
            channels = shape[2] if kernel == "depthwise_kernel" else shape[3]
            kind = "depthwise_conv2d" if kernel == "depthwise_kernel" else "conv2d"
            weights = {kernel: random.normal(0, 0.4, shape), "bias": random.normal(0, 0.2, channels)}
            add(numbered(kind), "Conv", weights, strides=[stride, stride])
            norm = {
                "gamma": random.uniform(0.5, 1.5, channels),
                "beta": random.normal(0, 0.3, channels),
                "moving_mean": random.normal(0, 0.3, channels),
                "moving_variance": random.uniform(0.001, 1, channels),
            }
            add(numbered("batch_normalization"), "BatchNormalization", norm, epsilon=EPS)
            add(f"activation_{len(names)}", "Activation", {})

        convolve("kernel", (3, 3, 3, widths[0]), strides[0])
        for before, after, stride in zip(widths, widths[1:], strides[1:], strict=False):
            convolve("depthwise_kernel", (3, 3, before, 1), stride)
            convolve("kernel", (1, 1, before, after), 1)
        dense = {"kernel": random.normal(0, 1, (widths[-1], classes)), "bias": random.normal(0, 1, classes)}
        add("dense", "Dense", dense)
        root.attrs["layer_names"] = names
        content.attrs["model_config"] = json.dumps(
            {"class_name": "Functional", "config": {"layers": layers}}
        ).encode()
    return file


def keras_forward(file: Path, x: Tensor) -> Tensor:
    """What the file's network says about pictures (N, 3, H, W) in [0, 1]: its layers, one after the other."""
    with h5py.File(file) as content:
        root = content["model_weights"]
        layers = json.loads(content.attrs["model_config"])["config"]["layers"]
        for layer in layers:
            name, config = layer["config"]["name"], layer["config"]
            inside = root[name][name] if name in root and name in root[name] else {}
            w = {key.split(":")[0]: torch.from_numpy(value[:]) for key, value in inside.items()}
            if "moving_mean" in w:
                spread = torch.sqrt(w["moving_variance"] + config["epsilon"])
                each = [v.view(1, -1, 1, 1) for v in (w["moving_mean"], spread, w["gamma"], w["beta"])]
                x = F.relu((x - each[0]) / each[1] * each[2] + each[3])
            elif "depthwise_kernel" in w:
                x = _same(
                    x, w["depthwise_kernel"].permute(2, 3, 0, 1), w["bias"], config["strides"][0], x.shape[1]
                )
            elif "kernel" in w and w["kernel"].ndim == 4:
                x = _same(x, w["kernel"].permute(3, 2, 0, 1), w["bias"], config["strides"][0], 1)
            elif "kernel" in w:
                x = x.mean((2, 3)) @ w["kernel"] + w["bias"]
    return x


def _same(x: Tensor, weight: Tensor, bias: Tensor, stride: int, groups: int) -> Tensor:
    pads = []
    for size, kernel in ((x.shape[3], weight.shape[3]), (x.shape[2], weight.shape[2])):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)  # TensorFlow's definition
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, bias, stride, groups=groups)


def check_against_keras(config: NetworkConfig, file: Path) -> None:
    network = Network(config).eval()
    matched = load_pretrained(network, file)
    assert not matched.missing
    assert not matched.unused
    pixels = noise(config, 2)
    seen = pixels.flatten(0, 1).permute(0, 3, 1, 2).float() / 255
    expected = keras_forward(file, seen).unflatten(0, (2, -1)).mean(1)
    assert expected.std() > 1e-3
    torch.testing.assert_close(logits(network, pixels), expected, rtol=1e-4, atol=1e-4)


def test_a_keras_file_computes_the_same_here(small: NetworkConfig, tmp_path: Path) -> None:
    check_against_keras(small, write_keras(tmp_path / "w.h5", small.widths, small.strides, 2))


def test_clips_of_any_length_have_the_file_s_logits(small: NetworkConfig, tmp_path: Path) -> None:
    config = NetworkConfig(**small.model_dump(exclude={"transform"}) | {"frames": 5})
    check_against_keras(config, write_keras(tmp_path / "w.h5", small.widths, small.strides, 2))


@pytest.mark.skipif(not VWW.is_file(), reason="needs the weights of MLPerf Tiny beside the checkout")
def test_the_person_detector_computes_the_same_here() -> None:
    usual = NetworkConfig(name="tsm-mobilenet", classes=("no", "yes"), shift="none", frames=2)
    check_against_keras(usual.as_float(), VWW)


def test_layers_that_do_not_fit_are_told(small: NetworkConfig, tmp_path: Path) -> None:
    file = write_keras(tmp_path / "w.h5", (8, 16, 16), (2, 2, 2), 3)
    network = Network(small)
    before = network.head.weight.clone()
    matched = load_pretrained(network, file)
    assert matched.taken == (
        ("stem", "conv2d"),
        ("stages.0.depthwise", "depthwise_conv2d"),
        ("stages.0.pointwise", "conv2d_1"),
        ("stages.1.depthwise", "depthwise_conv2d_1"),
    )
    assert matched.missing == ("stages.1.pointwise", "head")
    assert str(matched) == (
        "4 of 6 layers have weights of the file; new are stages.1.pointwise, head; "
        "in the file only are conv2d_2, dense"
    )
    assert torch.equal(network.head.weight, before)


def test_hidden_layers_of_the_head_are_new(small: NetworkConfig, tmp_path: Path) -> None:
    file = write_keras(tmp_path / "w.h5", small.widths, small.strides, 2)
    config = NetworkConfig(**small.model_dump() | {"head_hidden": (6,)})
    assert load_pretrained(Network(config), file).missing == ("hidden.0.linear", "head")


class Plain(nn.Module):
    """A foreign torch network: convolutions with bias, its own names, true means."""

    def __init__(self) -> None:
        super().__init__()
        self.entry = nn.Conv2d(3, 8, 3, 2, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.dw = nn.Conv2d(8, 8, 3, 2, groups=8)
        self.pw = nn.Conv2d(8, 16, 1, bias=False)
        self.pw_bn = nn.BatchNorm2d(16)
        self.inner = nn.Linear(16, 6)
        self.outer = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn(self.entry(F.pad(x, (0, 1, 0, 1)))))
        x = F.relu(self.dw(F.pad(x, (0, 1, 0, 1))))
        return self.outer(F.relu(self.inner(F.relu(self.pw_bn(self.pw(x))).mean((2, 3)))))


def test_a_torch_file_computes_the_same_here_its_normalisation_folded(
    small: NetworkConfig, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    foreign = Plain()
    for _ in range(20):
        foreign(torch.randn(8, 3, 48, 48))
    torch.save({"epoch": 3, "state_dict": foreign.eval().state_dict()}, tmp_path / "plain.pth")
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    transform = TransformConfig(side_size=48, crop_size=48, num_frames=4, mean=mean, std=std)
    options = {"transform": transform, "widths": (8, 16), "strides": (2, 2), "head_hidden": (6,)}
    config = NetworkConfig(**small.model_dump() | options)
    network = Network(config).eval()
    matched = load_pretrained(network, tmp_path / "plain.pth")
    assert [pair[1] for pair in matched.taken] == ["entry", "dw", "pw", "inner", "outer"]

    pixels = noise(config, 1)
    scale, offset = (torch.tensor(part).view(1, 3, 1, 1) for part in (std, mean))
    seen = (pixels[0].permute(0, 3, 1, 2).float() / 255 - offset) / scale
    inside = network.stem_norm(network.stem(network.stem_pad(to_input(pixels))))[:, :, :-1, :-1]
    expected = foreign.bn(foreign.entry(F.pad(seen, (0, 1, 0, 1))))[:, :, :-1, :-1]
    torch.testing.assert_close(inside, expected, rtol=1e-4, atol=1e-4)  # the border's padding is black here

    grey = (
        torch.full((4, 3, 48, 48), 0.0) + offset * 255 / 256
    )  # where the foreign padding is that grey: all zero
    network.stem_pad = nn.Identity()
    widened = torch.cat(
        [torch.cat([grey, grey[..., :1]], 3), torch.cat([grey, grey[..., :1]], 3)[:, :, :1]], 2
    )
    value = network(widened)
    torch.testing.assert_close(
        value, foreign(torch.zeros(4, 3, 48, 48)).mean(0, keepdim=True), rtol=1e-4, atol=1e-4
    )


def test_our_own_checkpoints_are_taken_as_they_are(
    small: NetworkConfig, settled: Settled, tmp_path: Path
) -> None:
    trained = settled(small)
    with torch.no_grad():
        trained.head_bias.value[:] = torch.tensor([0.25, -1.0])
    network = Network(small).eval()
    matched = load_pretrained(network, save(trained, tmp_path / "checkpoint.pt"))
    assert len(matched.taken) == 6
    pixels = noise(small, 2)
    torch.testing.assert_close(logits(network, pixels), logits(trained, pixels), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"weights: cannot be read \(No such file or directory\); give a Keras \.h5"),
        (b"not weights", r"weights: neither Keras weights nor a torch checkpoint; give a Keras"),
        ({"epoch": 1}, r"weights: holds no tensors by name; give a Keras"),
        ([torch.zeros(3)], r"weights: holds no tensors by name; give a Keras"),
        (
            {"fc.weight": torch.zeros(3, 3)},
            r"weights: none of its 1 layers fits tsm-mobilenet with widths=\(8, 16, 8\); give",
        ),
    ],
)
def test_a_file_of_no_use_is_refused(
    small: NetworkConfig, content: object, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "weights"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(UsageError, match=message):
        load_pretrained(Network(small), file)


def test_an_hdf5_file_of_something_else_is_refused(small: NetworkConfig, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "data.h5", "w") as content:
        content["table"] = np.zeros(3)
    with pytest.raises(UsageError, match=r"data\.h5: an HDF5 file without Keras layers; give a Keras"):
        load_pretrained(Network(small), tmp_path / "data.h5")


def test_a_residual_network_takes_weights_too() -> None:
    weights = builtin("tsm-lite.float")
    network = Network(weights.config).eval()
    file = Path(__file__).parents[3] / "quant" / "builtin" / "tsm-lite.float.pt"
    assert not load_pretrained(network, file).missing
    pixels = noise(weights.config, 1)
    torch.testing.assert_close(logits(network, pixels), logits(weights, pixels), rtol=0, atol=1e-5)
