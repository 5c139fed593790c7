# SPDX-License-Identifier: Apache-2.0
"""Pretrained weights: the layers of a Keras or torch file that fit a network's, in the order of the forward pass."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from framegate.errors import UsageError
from framegate.quant.networks.checkpoint import CHECKPOINT, Network, NetworkConfig, config_of, read_tensors
from framegate.quant.networks.layers import Bias, inverse_power_of_two
from torch import Tensor, nn

_KERAS_EPS, _TORCH_EPS = 1e-3, 1e-5  # of BatchNorm, where the file does not say
_PICTURE = ("residual", "mobilenet")  # families of picture networks on frames
_FOREIGN = "neither Keras weights nor a torch checkpoint"
_REMEDY = "give a Keras .h5 with its weights, or a torch checkpoint that holds a state_dict"


@dataclass(frozen=True)
class Matched:
    """Which layers of the network now have the weights of which layer of the file."""

    taken: tuple[tuple[str, str], ...]  # (of the network, of the file)
    missing: tuple[str, ...]  # of the network: these keep what they had
    unused: tuple[str, ...]  # of the file

    def __str__(self) -> str:
        text = f"{len(self.taken)} of {len(self.taken) + len(self.missing)} layers have weights of the file"
        if self.missing:
            text += f"; new are {', '.join(self.missing)}"
        return text + (f"; in the file only are {', '.join(self.unused)}" if self.unused else "")


@dataclass(frozen=True)
class _Norm:
    """BatchNorm of one value per channel."""

    gamma: Tensor
    beta: Tensor
    mean: Tensor
    variance: Tensor
    eps: float


@dataclass(frozen=True)
class _Layer:
    """A convolution (outputs, inputs / groups, H, W) or product (outputs, inputs), and what follows it."""

    name: str
    weight: Tensor
    bias: Tensor | None = None
    norm: _Norm | None = None


@dataclass(frozen=True)
class _Source:
    """What a file holds. A foreign one sees (pixels in [0, 1] - mean) / std, and true means over pixels and frames."""

    layers: tuple[_Layer, ...]
    foreign: bool = True
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class _Place:
    """Where a network keeps a layer."""

    name: str
    product: nn.Conv2d | nn.Linear
    bias: Bias | None = None
    norm: nn.BatchNorm2d | None = None


def load_pretrained(network: Network, file: Path) -> Matched:
    """Copy the layers of `file` that fit into `network`: by kind and shape, in forward order.

    A Keras .h5 sees pixels in [0, 1], a torch file (pixels in [0, 1] - mean) / std of the network's transform;
    both are turned into weights for pixel/256. A checkpoint of framegate has those already.
    Raises UsageError when the file cannot be read or nothing in it fits.
    """
    source = _read(file, network.config)
    places = list(_places(network))
    shapes = [tuple(place.product.weight.shape) for place in places]
    given = [tuple(layer.weight.shape) for layer in source.layers]
    blocks = SequenceMatcher(None, shapes, given, autojunk=False).get_matching_blocks()
    pairs = [(block.a + i, block.b + i) for block in blocks for i in range(block.size)]
    if not pairs:
        raise UsageError(
            f"{file}: none of its {len(given)} layers fits {network.config.name} with widths="
            f"{network.config.widths}; give the weights of such a network, or alpha or widths like the file's"
        )
    if source.foreign and (network.config.family not in _PICTURE or network.config.kernel_t > 1):
        raise UsageError(
            f"{file}: only weights of framegate fit {network.config.name}, those of others tsn-lite, tsm-lite and "
            f"tsm-mobilenet; give a checkpoint that `framegate train` wrote, or none"
        )
    factors = _factors(network.config, places) if source.foreign else {}
    with torch.no_grad():
        for here, there in pairs:
            _put(places[here], _seen_by_pixels(source, there), factors.get(here, (1.0, 1.0)))
    missing = set(range(len(places))) - {here for here, _ in pairs}
    unused = set(range(len(given))) - {there for _, there in pairs}
    return Matched(
        tuple((places[here].name, source.layers[there].name) for here, there in pairs),
        tuple(places[here].name for here in sorted(missing)),
        tuple(source.layers[there].name for there in sorted(unused)),
    )


def inflate(network: Network, picture_network: Network) -> None:
    """Start `network` from a picture network: 2-D weights repeated over a kernel's frames, divided by their number.

    On a clip of equal frames it then computes what the picture network does, away from the ends (Carreira and
    Zisserman 2017). Raises UsageError when they are not i3d-lite and a tsn-lite of its shape.
    """
    config, given = network.config, picture_network.config
    if config.kernel_t == 1:
        raise UsageError(f"inflate: {config.name} has no temporal kernels to fill; use --model i3d-lite")
    if given.name != "tsn-lite":
        raise UsageError(f"inflate: {config.name} starts from a checkpoint of tsn-lite, not of {given.name}")
    for option in ("widths", "strides", "head_hidden", "head_bias", "norm_eps", "classes"):
        if getattr(given, option) != getattr(config, option):
            raise UsageError(
                f"inflate: the checkpoint has {option}={getattr(given, option)}, {config.name} "
                f"{getattr(config, option)}; make them equal"
            )
    for own, other in zip(_layers(network), _layers(picture_network), strict=True):
        state = dict(other.named_parameters(recurse=False)) | dict(other.named_buffers(recurse=False))
        if isinstance(own, nn.Conv2d) and own.weight.shape != state["weight"].shape:
            state["weight"] = state["weight"].repeat(1, config.kernel_t, 1, 1) / config.kernel_t
        with torch.no_grad():
            for name, value in state.items():
                getattr(own, name).copy_(value)


def _layers(network: Network) -> list[nn.Module]:
    """What holds weights or statistics, in forward order, without quantizers."""
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, Bias)
    return [module for module in network.modules() if isinstance(module, kinds)]


def _places(network: Network) -> Iterator[_Place]:
    """The convolutions and products of a network in forward order, each with the bias or norm behind it."""
    modules = [(name, module) for name, module in network.named_modules() if name]
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, Bias)
    chain = [(name, module) for name, module in modules if isinstance(module, kinds)]
    for number, (name, module) in enumerate(chain):
        if isinstance(module, nn.Conv2d | nn.Linear):
            behind = chain[number + 1][1] if number + 1 < len(chain) else None
            yield _Place(
                name,
                module,
                behind if isinstance(behind, Bias) else None,
                behind if isinstance(behind, nn.BatchNorm2d) else None,
            )


def _factors(config: NetworkConfig, places: list[_Place]) -> dict[int, tuple[float, float]]:
    """By place of the head, what turns true means into our sums by powers of two: of its weights, of its bias."""
    head = [number for number, place in enumerate(places) if isinstance(place.product, nn.Linear)]
    side = config.size
    for stride in config.strides:
        side //= stride
    pixels = 1 / (side**2 * inverse_power_of_two(side**2))
    frames = 1 / (config.frames * inverse_power_of_two(config.frames))
    found = dict.fromkeys(head, (1.0, 1.0))
    found[head[-1]] = (frames, frames)
    found[head[0]] = (found[head[0]][0] * pixels, found[head[0]][1])
    return found


def _seen_by_pixels(source: _Source, number: int) -> _Layer:
    """A layer of the file; the first one of a foreign file for pixel/256 instead of its own scale."""
    layer = source.layers[number]
    if not source.foreign or number or layer.weight.ndim != 4 or layer.weight.shape[1] != 3:
        return layer
    mean, std = torch.tensor(source.mean), torch.tensor(source.std).view(1, 3, 1, 1)
    weight = layer.weight / std
    bias = -torch.einsum("oihw,i->o", weight, mean) + (0 if layer.bias is None else layer.bias)
    return replace(layer, weight=weight * (256 / 255), bias=bias)


def _put(place: _Place, layer: _Layer, factors: tuple[float, float]) -> None:
    bias = torch.zeros(len(layer.weight)) if layer.bias is None else layer.bias
    weight, norm = layer.weight, layer.norm
    if norm is not None and place.norm is None:
        scale = norm.gamma / torch.sqrt(norm.variance + norm.eps)
        weight = weight * scale.view(-1, *[1] * (weight.ndim - 1))
        bias = norm.beta + (bias - norm.mean) * scale
    place.product.weight.copy_(weight * factors[0])
    if place.bias is not None:
        place.bias.value.copy_(bias * factors[1])
    if place.norm is not None:
        ones, eps = torch.ones_like(bias), place.norm.eps
        norm = norm or _Norm(ones, torch.zeros_like(bias), 0 * ones, ones, 0.0)
        # The network has one eps for all: the same scale with that one.
        gamma = norm.gamma * torch.sqrt((norm.variance + eps) / (norm.variance + norm.eps))
        place.norm.weight.copy_(gamma)
        place.norm.bias.copy_(norm.beta)
        place.norm.running_mean.copy_(norm.mean - bias)  # type: ignore[union-attr]
        place.norm.running_var.copy_(norm.variance)  # type: ignore[union-attr]


def _read(file: Path, config: NetworkConfig) -> _Source:
    try:
        if h5py.is_hdf5(file):
            return _Source(tuple(_keras_layers(file)))
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror or error}); {_REMEDY}") from None
    except (RuntimeError, EOFError, KeyError, ValueError):
        raise UsageError(f"{file}: {_FOREIGN}; {_REMEDY}") from None
    content = read_tensors(file, _FOREIGN, _REMEDY)
    state = _state(content)
    if state is None:
        raise UsageError(f"{file}: holds no tensors by name; {_REMEDY}")
    if content.get("format") == CHECKPOINT:
        eps = config_of(file, content).norm_eps
        return _Source(tuple(_torch_layers(state, eps)), foreign=False)
    transform = config.transform
    return _Source(tuple(_torch_layers(state, _TORCH_EPS)), mean=transform.mean, std=transform.std)


def _state(content: Any) -> dict[str, Tensor] | None:
    """The tensors of a checkpoint, wherever it keeps them."""
    if not isinstance(content, dict):
        return None
    for key in ("state_dict", "model_state_dict", "model_state", "model", "state"):
        if isinstance(content.get(key), dict):
            return _state(content[key])
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    return tensors or None


def _torch_layers(state: dict[str, Tensor], eps: float) -> Iterator[_Layer]:
    """The layers of a state_dict, whose order is the forward order."""
    groups: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        group, _, leaf = key.rpartition(".")
        groups.setdefault(group, {})[leaf] = value.float()
    layer: _Layer | None = None
    for name, leaves in groups.items():
        if "running_var" in leaves and layer is not None:
            mean, variance = leaves["running_mean"], leaves["running_var"]
            gamma = leaves.get("weight", torch.ones_like(mean))
            beta = leaves.get("bias", torch.zeros_like(mean))
            layer = replace(layer, norm=_Norm(gamma, beta, mean, variance, eps))
        elif set(leaves) == {"value"} and layer is not None:  # our Bias
            layer = replace(layer, bias=leaves["value"])
        elif "weight" in leaves and leaves["weight"].ndim in (2, 4):
            if layer is not None:
                yield layer
            layer = _Layer(name, leaves["weight"], leaves.get("bias"))
    if layer is not None:
        yield layer


def _keras_layers(file: Path) -> Iterator[_Layer]:
    """The layers of a Keras 2 .h5, whole model or weights alone. Raises UsageError for another HDF5 file."""
    with h5py.File(file) as content:
        root = content.get("model_weights", content)
        if "layer_names" not in root.attrs:
            raise UsageError(f"{file}: an HDF5 file without Keras layers; {_REMEDY}")
        eps = _epsilons(json.loads(content.attrs["model_config"])) if "model_config" in content.attrs else {}
        layer: _Layer | None = None
        for name in _texts(root.attrs["layer_names"]):
            for group, leaves in _grouped(root[name]):
                label = group or name
                if "moving_variance" in leaves:
                    if layer is not None:
                        layer = replace(layer, norm=_keras_norm(leaves, eps.get(label, _KERAS_EPS)))
                    continue
                for leaf in [leaf for leaf in leaves if leaf.endswith("kernel")]:
                    if layer is not None:
                        yield layer
                    layer = _Layer(label, _keras_weight(leaf, leaves[leaf]))
                if "bias" in leaves and layer is not None:
                    layer = replace(layer, bias=leaves["bias"])
        if layer is not None:
            yield layer


def _grouped(group: h5py.Group) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The weights of one Keras layer, by the layer inside it if it is a model."""
    groups: dict[str, dict[str, Tensor]] = {}
    for path in _texts(group.attrs["weight_names"]):
        inside, _, leaf = path.rpartition("/")
        values = torch.from_numpy(np.asarray(group[path], dtype=np.float32))
        groups.setdefault(inside.rpartition("/")[2], {})[leaf.partition(":")[0]] = values
    yield from groups.items()


def _keras_norm(leaves: dict[str, Tensor], eps: float) -> _Norm:
    mean = leaves["moving_mean"]
    gamma, beta = leaves.get("gamma", torch.ones_like(mean)), leaves.get("beta", torch.zeros_like(mean))
    return _Norm(gamma, beta, mean, leaves["moving_variance"], eps)


def _keras_weight(leaf: str, values: Tensor) -> Tensor:
    """(H, W, inputs, outputs), depthwise (H, W, inputs, multiplier) or (inputs, outputs), as torch has them."""
    if values.ndim == 2:
        return values.T.contiguous()
    if leaf == "depthwise_kernel":
        return values.permute(2, 3, 0, 1).flatten(0, 1).unsqueeze(1)
    return values.permute(3, 2, 0, 1) if values.ndim == 4 else values


def _epsilons(config: Any) -> dict[str, float]:
    """The epsilon of every BatchNormalization of a Keras model_config, by name."""
    if isinstance(config, list):
        return {name: eps for entry in config for name, eps in _epsilons(entry).items()}
    if not isinstance(config, dict):
        return {}
    if config.get("class_name") == "BatchNormalization":
        return {config["config"]["name"]: float(config["config"]["epsilon"])}
    return _epsilons(list(config.values()))


def _texts(names: Any) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]
