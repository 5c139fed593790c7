# SPDX-License-Identifier: Apache-2.0
"""The networks: one definition for every precision, and the checkpoint files that hold them."""

import math
import pickle
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import brevitas.nn as qnn
import torch
from framegate.errors import UsageError
from framegate.files import whole
from framegate.quant import mobilenet
from framegate.quant.layers import (
    Bias,
    FrameGather,
    FrameMean,
    PixelQuant,
    Scales,
    SpatialMean,
    conv,
    identity,
    linear,
    relu,
)
from framegate.quant.mobilenet import SeparableBlock
from framegate.quant.settings import Settings
from framegate.quant.transforms import TransformConfig
from pydantic import BeforeValidator, Field, model_validator
from torch import Tensor, nn

Bits = Annotated[
    Annotated[int, Field(ge=2, le=8)] | None,  # None: float, which TOML and the command line spell "float"
    BeforeValidator(lambda value: None if value == "float" else value),
]
Count = Annotated[int, Field(ge=1)]


class NetworkConfig(Settings):
    """What a network is. A bit width of None means float.

    Raises UsageError naming an option that does not fit.
    """

    name: Literal["tsm-lite", "tsn-lite", "tsm-mobilenet"] = "tsm-lite"
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    labels: Literal["single", "independent"] = "single"  # one class per clip, or each class by itself
    positive: str | None = None  # the class that raises the alarm; None: no binary decision
    frames: Count = 8
    size: Annotated[int, Field(ge=8)] = 64  # pixels, height and width
    transform: TransformConfig = Field(
        default_factory=lambda known: TransformConfig.of(known.get("frames", 8), known.get("size", 64))
    )
    alpha: Annotated[float, Field(gt=0)] | None = None  # of tsm-mobilenet: the share of the paper's channels
    widths: Annotated[tuple[Count, ...], Field(min_length=2)] = (16, 16, 32, 64)  # stem, then each block
    strides: tuple[Annotated[int, Field(ge=1, le=2)], ...] = (2, 2, 2, 2)
    norm_eps: Annotated[float, Field(gt=0)] = 1e-5  # of every BatchNorm
    weight_bits: Bits = 4
    act_bits: Bits = 4
    edge_bits: Bits = 8  # weights of the first and the last layer
    shift: Literal["bidirectional", "online", "none"] = "bidirectional"
    shift_share: Annotated[int, Field(ge=2)] = (
        8  # one channel in this many comes from the frame before (and after)
    )
    shift_blocks: tuple[Annotated[int, Field(ge=0)], ...] | None = None  # counted from 0; None: all of them
    head_hidden: tuple[Count, ...] = ()  # features of the layers between the spatial mean and the logits
    head_bias: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # before each layer of the head, in training
    weight_scales: Scales = "max"  # from the largest weight, or learned

    @model_validator(mode="before")
    @classmethod
    def _usual_of_its_kind(cls, values: dict) -> dict:
        """What an option that is left out is for a network of that name."""
        if values.get("name") == "tsn-lite":
            return {"shift": "none", **values}
        if values.get("name") != "tsm-mobilenet":
            return values
        usual = {"size": 96, "norm_eps": 1e-3, "head_bias": True, "strides": mobilenet.STRIDES}
        if "widths" not in values and isinstance(alpha := values.get("alpha", 0.25), int | float):
            usual |= {"alpha": alpha, "widths": mobilenet.widths(alpha)}
        return usual | values

    @model_validator(mode="before")
    @classmethod
    def _shape_of_the_transform(cls, values: dict) -> dict:
        """A transform alone also gives frames and size; None stands for the plain one."""
        if values.get("transform") is None:
            return {key: value for key, value in values.items() if key != "transform"}
        transform = TransformConfig.model_validate(values["transform"])
        return {"frames": transform.num_frames, "size": transform.crop_size} | values

    @model_validator(mode="after")
    def _fits_together(self) -> "NetworkConfig":
        self._fits_transform()
        self._fits_classes()
        self._fits_kind()
        if len(self.strides) != len(self.widths):
            raise UsageError(f"strides={self.strides} must have one stride for each of widths={self.widths}")
        if self.size % math.prod(self.strides):
            raise UsageError(
                f"size={self.size} does not divide by {math.prod(self.strides)}, the product of strides"
            )
        for place, width in enumerate(self.widths[:-1]):
            if self.shifts(place) and width % self.shift_share:
                raise UsageError(
                    f"widths={self.widths}: {width} channels do not divide by shift_share={self.shift_share}"
                )
        return self

    def _fits_classes(self) -> None:
        if len(set(self.classes)) != len(self.classes):
            raise UsageError(f"classes={self.classes} names a class twice; give each class one name")
        if self.positive is not None and self.positive not in self.classes:
            raise UsageError(f"positive={self.positive!r} is not a class; choose one of {list(self.classes)}")
        if len(self.classes) == 1 and self.labels == "single":
            raise UsageError(
                f"classes={self.classes}: one class tells nothing apart; name two, or use labels=independent"
            )

    def _fits_kind(self) -> None:
        if self.name != "tsm-mobilenet" and (self.name == "tsn-lite") != (self.shift == "none"):
            raise UsageError(
                f"shift={self.shift!r} is not of {self.name}; tsn-lite has 'none', tsm-lite one of the others"
            )
        if self.alpha is not None and self.name != "tsm-mobilenet":
            raise UsageError(f"alpha={self.alpha} is of tsm-mobilenet only; give {self.name} its widths")
        if self.alpha is not None and self.widths != mobilenet.widths(self.alpha):
            raise UsageError(
                f"alpha={self.alpha} means widths={mobilenet.widths(self.alpha)}, not {self.widths}; "
                f"leave out one of the two"
            )
        blocks = len(self.widths) - 1
        if self.shift_blocks is not None and any(place >= blocks for place in self.shift_blocks):
            raise UsageError(
                f"shift_blocks={self.shift_blocks}: there are {blocks} blocks; use 0 to {blocks - 1}"
            )

    def _fits_transform(self) -> None:
        given = (self.transform.num_frames, self.transform.crop_size)
        if given != (self.frames, self.size):
            raise UsageError(
                f"transform: num_frames={given[0]} and crop_size={given[1]} must equal frames={self.frames} and "
                f"size={self.size}; leave out one pair or correct it"
            )

    @property
    def precision(self) -> str:
        """`float`, or the bit widths of weights and activations, as in `w4a4`."""
        if self.weight_bits is None and self.act_bits is None:
            return "float"
        return f"w{self.weight_bits or 'float'}a{self.act_bits or 'float'}"

    def as_float(self) -> "NetworkConfig":
        """The same network without any quantizer."""
        return self.model_copy(update={"weight_bits": None, "act_bits": None, "edge_bits": None})

    def shifts(self, block: int) -> bool:
        """Whether a temporal shift stands before block number `block`, from 0."""
        return self.shift != "none" and (self.shift_blocks is None or block in self.shift_blocks)

    def gather_groups(self, channels: int) -> tuple[tuple[int, int, int], ...]:
        """The temporal shift of a tensor of `channels` channels as ranges `(begin, end, frame offset)`."""
        part = channels // self.shift_share
        return {
            "bidirectional": ((0, part, -1), (part, 2 * part, 1), (2 * part, channels, 0)),
            "online": ((0, part, -1), (part, channels, 0)),
            "none": (),
        }[self.shift]


class ResidualBlock(nn.Module):
    """Gather, 3x3, ReLU, 3x3 beside a shortcut; both branches share one quantizer, so that integers add."""

    def __init__(
        self, config: NetworkConfig, channels: int, outputs: int, stride: int, *, shifts: bool
    ) -> None:
        super().__init__()
        weights, acts, scales = config.weight_bits, config.act_bits, config.weight_scales
        groups = config.gather_groups(channels) if shifts else ()
        self.gather = FrameGather(groups, config.frames) if groups else nn.Identity()
        self.conv1 = conv(channels, outputs, 3, stride, weights, scales=scales)
        self.norm1 = nn.BatchNorm2d(outputs, eps=config.norm_eps)
        self.relu1 = relu(acts)
        self.conv2 = conv(outputs, outputs, 3, 1, weights, scales=scales)
        self.norm2 = nn.BatchNorm2d(outputs, eps=config.norm_eps)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != outputs:
            self.shortcut = nn.Sequential(
                conv(channels, outputs, 1, stride, weights, scales=scales),
                nn.BatchNorm2d(outputs, eps=config.norm_eps),
            )
        self.joint = identity(acts)
        self.relu2 = relu(acts)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.relu1(self.norm1(self.conv1(self.gather(x))))
        branch = self.norm2(self.conv2(branch))
        return self.relu2(self.joint(branch) + self.joint(self.shortcut(x)))


class HiddenLayer(nn.Module):
    """Dropout, product, bias, ReLU: a layer of the head before its last. The ReLU's thresholds take in the bias."""

    def __init__(self, config: NetworkConfig, features: int, outputs: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.linear = linear(features, outputs, config.weight_bits, scales=config.weight_scales)
        self.bias = Bias(outputs, quantized=False)
        self.relu = relu(config.act_bits)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bias(self.linear(self.dropout(x))))


class Network(nn.Module):
    """A clip classifier: (N*frames, 3, size, size) float32 of pixel/256 in, (N, classes) logits out."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        widths, strides, classes = config.widths, config.strides, len(config.classes)
        quantized = config != config.as_float()
        separable = config.name == "tsm-mobilenet"
        block = SeparableBlock if separable else ResidualBlock
        self.pixels = qnn.QuantIdentity(act_quant=PixelQuant, bit_width=8) if quantized else nn.Identity()
        self.stem_pad, padding = mobilenet.same_padding(strides[0]) if separable else (nn.Identity(), 1)
        self.stem = conv(
            3, widths[0], 3, strides[0], config.edge_bits, padding=padding, scales=config.weight_scales
        )
        self.stem_norm = nn.BatchNorm2d(widths[0], eps=config.norm_eps)
        self.stem_relu = relu(config.act_bits)
        self.stages = nn.Sequential(
            *(
                block(config, widths[i], widths[i + 1], strides[i + 1], shifts=config.shifts(i))
                for i in range(len(widths) - 1)
            )
        )
        self.spatial_mean = SpatialMean()
        features = (widths[-1], *config.head_hidden)
        self.hidden = nn.Sequential(
            *(HiddenLayer(config, before, after) for before, after in pairwise(features))
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = linear(features[-1], classes, config.edge_bits, scales=config.weight_scales)
        self.head_bias = Bias(classes, quantized=quantized) if config.head_bias else nn.Identity()
        self.frame_mean = FrameMean(config.frames)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """What the head sees: (N*frames, channels of the last block)."""
        x = self.stem_relu(self.stem_norm(self.stem(self.stem_pad(self.pixels(x)))))
        return self.spatial_mean(self.stages(x))

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, classes) of `features`."""
        return self.frame_mean(self.head_bias(self.head(self.dropout(self.hidden(features)))))


def to_input(pixels: Tensor) -> Tensor:
    """Pixels (N, T, H, W, 3), uint8, as the network's input (N*T, 3, H, W), float32 of pixel/256.

    Channels stay last in memory, and so in every layer: a CPU trains tsm-mobilenet twice as fast that way.
    """
    return pixels.flatten(0, 1).permute(0, 3, 1, 2).float() / 256


def logits(network: Network, pixels: Tensor, batch: int = 32) -> Tensor:
    """Logits (N, K), float32, of `network` in eval mode for clips (N, T, S, S, 3), uint8.

    Raises UsageError when the clips do not have the network's frames and size.
    """
    config = network.config
    expected = (config.frames, config.size, config.size, 3)
    if pixels.dtype != torch.uint8 or tuple(pixels.shape[1:]) != expected:
        raise UsageError(
            f"clips of shape {tuple(pixels.shape)}, {pixels.dtype}: {config.name} needs (clips, *{expected}) "
            f"of torch.uint8; decode them with the network's frames and size"
        )
    was_training = network.training
    device = next(network.parameters()).device
    network.eval()
    with torch.no_grad():
        parts = [network(to_input(part.to(device))).cpu() for part in pixels.split(batch)]
    network.train(was_training)
    return torch.cat(parts) if parts else torch.zeros(0, len(config.classes))


def start_from(network: Network, weights: Network) -> None:
    """Copy convolutions, BatchNorm and head of `weights` into `network`; other scales stay as they are."""
    own = dict(network.named_parameters()) | dict(network.named_buffers())
    given = {key: value for key, value in weights.state_dict().items() if key in own}
    network.load_state_dict(given, strict=False)


CHECKPOINT = "framegate checkpoint 1"


def save(network: Network, path: Path) -> Path:
    """Write `network` to the checkpoint file `path`, whole; return `path`."""
    state = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    content = {"format": CHECKPOINT, "network": network.config.model_dump(mode="json"), "state": state}
    with whole(path) as draft:
        torch.save(content, draft)
    return path


def load(path: Path) -> Network:
    """The network of a checkpoint file, in eval mode. Raises UsageError when the file is not one of ours."""
    remedy = "give a checkpoint.pt that `framegate train` wrote"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError):
        raise UsageError(f"{path}: not a checkpoint; {remedy}") from None
    if not isinstance(content, dict) or content.get("format") != CHECKPOINT:
        raise UsageError(f"{path}: a checkpoint of another program or version; {remedy}")
    network = Network(NetworkConfig(**content["network"]))
    try:
        network.load_state_dict(content["state"])
    except RuntimeError as error:
        raise UsageError(
            f"{path}: its weights do not fit its network ({str(error).splitlines()[0]}); {remedy}"
        ) from None
    return network.eval()


def builtin(name: str) -> Network:
    """A network that comes with the package: `tsm-lite`, or `tsm-lite.float`.

    Raises UsageError for another name.
    """
    folder = files("framegate.quant") / "builtin"
    names = sorted(entry.name.removesuffix(".pt") for entry in folder.iterdir() if entry.name.endswith(".pt"))
    if name not in names:
        raise UsageError(
            f"model {name!r} does not come with framegate; choose one of {names} or give a checkpoint file"
        )
    with as_file(folder / f"{name}.pt") as path:
        return load(path)


def checkpoint_file(name_or_checkpoint: str) -> Path | None:
    """The checkpoint file that is meant; None for the name of a built-in network."""
    path = Path(name_or_checkpoint)
    return path if path.suffix == ".pt" or path.exists() else None


def model_file(name_or_checkpoint: str) -> Path:
    """The file of a model that `find` finds."""
    inside = Path(str(files("framegate.quant"))) / "builtin" / f"{name_or_checkpoint}.pt"
    return checkpoint_file(name_or_checkpoint) or inside


def find(name_or_checkpoint: str) -> Network:
    """The network of a checkpoint file, or the built-in one of that name.

    Raises UsageError when neither exists.
    """
    path = checkpoint_file(name_or_checkpoint)
    return load(path) if path else builtin(name_or_checkpoint)
