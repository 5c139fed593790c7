# SPDX-License-Identifier: Apache-2.0
"""The networks: one definition for every precision, and the checkpoint files that hold them."""

import math
import pickle
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Literal

import brevitas.nn as qnn
import torch
from framegate.errors import UsageError
from framegate.files import whole
from framegate.quant import mobilenet
from framegate.quant.layers import (
    CALIBRATION_STEPS,
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

__all__ = ["CALIBRATION_STEPS", "FrameGather", "Network", "NetworkConfig"]  # and all below


class NetworkConfig(Settings):
    """What a network is. A bit width of None means float.

    Raises UsageError naming an option that does not fit.
    """

    name: Literal["tsm-lite", "tsn-lite"] = "tsm-lite"
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    positive: str | None = None  # the class that raises the alarm; None: no binary decision
    frames: Count = 8
    size: Annotated[int, Field(ge=8)] = 64  # pixels, height and width
    transform: TransformConfig = Field(
        default_factory=lambda known: TransformConfig.of(known.get("frames", 8), known.get("size", 64))
    )
    widths: Annotated[tuple[Count, ...], Field(min_length=2)] = (
        16,
        16,
        32,
        64,
    )  # stem, then each residual stage
    strides: tuple[Annotated[int, Field(ge=1, le=2)], ...] = (2, 2, 2, 2)
    weight_bits: Bits = 4
    act_bits: Bits = 4
    edge_bits: Bits = 8  # weights of the first and the last layer
    shift: Literal["bidirectional", "online", "none"] = "bidirectional"
    shift_share: Annotated[int, Field(ge=2)] = (
        8  # one channel in this many comes from the frame before (and after)
    )

    @model_validator(mode="before")
    @classmethod
    def _tsn_never_shifts(cls, values: dict) -> dict:
        return {"shift": "none", **values} if values.get("name") == "tsn-lite" else values

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
        if len(set(self.classes)) != len(self.classes):
            raise UsageError(f"classes={self.classes} names a class twice; give each class one name")
        if self.positive is not None and self.positive not in self.classes:
            raise UsageError(f"positive={self.positive!r} is not a class; choose one of {list(self.classes)}")
        if len(self.strides) != len(self.widths):
            raise UsageError(f"strides={self.strides} must have one stride for each of widths={self.widths}")
        if self.size % math.prod(self.strides):
            raise UsageError(
                f"size={self.size} does not divide by {math.prod(self.strides)}, the product of strides"
            )
        if (self.name == "tsn-lite") != (self.shift == "none"):
            raise UsageError(
                f"shift={self.shift!r} is not of {self.name}; tsn-lite has 'none', tsm-lite one of the others"
            )
        for width in self.widths[:-1] if self.shift != "none" else ():
            if width % self.shift_share:
                raise UsageError(
                    f"widths={self.widths}: {width} channels do not divide by shift_share={self.shift_share}"
                )
        return self

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

    def __init__(self, config: NetworkConfig, channels: int, outputs: int, stride: int) -> None:
        super().__init__()
        weights, acts = config.weight_bits, config.act_bits
        groups = config.gather_groups(channels)
        self.gather = FrameGather(groups, config.frames) if groups else nn.Identity()
        self.conv1 = conv(channels, outputs, 3, stride, weights)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.relu1 = relu(acts)
        self.conv2 = conv(outputs, outputs, 3, 1, weights)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != outputs:
            self.shortcut = nn.Sequential(
                conv(channels, outputs, 1, stride, weights), nn.BatchNorm2d(outputs)
            )
        self.joint = identity(acts)
        self.relu2 = relu(acts)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.relu1(self.norm1(self.conv1(self.gather(x))))
        branch = self.norm2(self.conv2(branch))
        return self.relu2(self.joint(branch) + self.joint(self.shortcut(x)))


class Network(nn.Module):
    """A clip classifier: (N*frames, 3, size, size) float32 of pixel/256 in, (N, classes) logits out."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        quantized = config != config.as_float()
        self.pixels = qnn.QuantIdentity(act_quant=PixelQuant, bit_width=8) if quantized else nn.Identity()
        self.stem = conv(3, widths[0], 3, config.strides[0], config.edge_bits)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        self.stem_relu = relu(config.act_bits)
        self.stages = nn.Sequential(
            *(
                ResidualBlock(config, channels, outputs, stride)
                for channels, outputs, stride in zip(widths, widths[1:], config.strides[1:], strict=False)
            )
        )
        self.spatial_mean = SpatialMean()
        self.head = linear(widths[-1], len(config.classes), config.edge_bits)
        self.frame_mean = FrameMean(config.frames)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem_relu(self.stem_norm(self.stem(self.pixels(x))))
        return self.frame_mean(self.head(self.spatial_mean(self.stages(x))))


def to_input(pixels: Tensor) -> Tensor:
    """Pixels (N, T, H, W, 3), uint8, as the network's input (N*T, 3, H, W), float32 of pixel/256."""
    return (pixels.flatten(0, 1).permute(0, 3, 1, 2).float() / 256).contiguous()


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


def find(name_or_checkpoint: str) -> Network:
    """The network of a checkpoint file, or the built-in one of that name.

    Raises UsageError when neither exists.
    """
    path = checkpoint_file(name_or_checkpoint)
    return load(path) if path else builtin(name_or_checkpoint)
