# SPDX-License-Identifier: Apache-2.0
"""Channel pruning: the least important channels inside the blocks become zero, and the compiler leaves them out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import gcd

import torch
from framegate.errors import UsageError
from framegate.quant.networks.base import Network, Residual
from framegate.quant.networks.config import NetworkConfig
from framegate.quant.networks.layers import FrameGather
from framegate.quant.networks.mobilenet import MobileNet, SeparableBlock
from framegate.quant.networks.mobilenetv2 import InvertedResidual
from framegate.quant.networks.residual import ResidualBlock
from torch import Tensor, nn

WITHOUT_BLOCKS = ("c3d",)  # families whose layers follow each other without blocks
_STEP = 4  # the channels that stay are a multiple of it where they were: for divisors to fold by


def require_prunable(config: NetworkConfig, share: float) -> None:
    """Raise UsageError where `share` of the channels cannot be pruned: by its family, or as nothing is quantized."""
    if share and config.family in WITHOUT_BLOCKS:
        raise UsageError(
            f"prune={share}: {config.name} is of the family {config.family}, which has no blocks to take channels out "
            f"of; leave prune out, or train another family, such as tsm-lite or tsm-mobilenetv2"
        )
    if share and config == config.as_float():
        raise UsageError(
            f"prune={share}: a float network has no quantized epochs in which to learn to do without channels; give "
            f"weight_bits and act_bits, or leave prune out"
        )


def prune(network: Network, share: float) -> tuple[int, int]:
    """Set that share of the channels inside each block to zero for good; return how many of how many went.

    Of each convolution whose outputs only one other reads, perhaps through depthwise ones, the least important
    channels lose their filters and BatchNorm's factor and offset, there and in the depthwise ones: so they are zero
    behind every activation. Their gradients are zero from now on, and so they stay. At most `share` of a layer goes,
    such that a multiple of 4 is left (and of what a temporal shift's groups have in common).
    Raises UsageError for a family without blocks.
    """
    require_prunable(network.config, share)
    gone, total = 0, 0
    for inner in _inner_channels(network):
        least = _least(inner, share)
        gone, total = gone + len(least), total + inner.count
        for layer in inner.layers:
            for parameter in (layer.conv.weight, layer.norm.weight, layer.norm.bias):
                _silence(parameter, least)
    return gone, total


@dataclass(frozen=True, eq=False)
class _Layer:
    """A convolution and the BatchNorm behind it; `ends` of the channel groups of a temporal shift before them."""

    conv: nn.Conv2d
    norm: nn.BatchNorm2d
    ends: tuple[int, ...] = ()

    @property
    def depthwise(self) -> bool:
        return self.conv.groups > 1


@dataclass(frozen=True, eq=False)
class _Inner:
    """Channels that one convolution makes and one reads: `layers` are the first and the depthwise ones between."""

    layers: tuple[_Layer, ...]
    ends: tuple[int, ...]  # of the groups of channels that shift alike

    @property
    def count(self) -> int:
        return self.layers[0].conv.out_channels

    def importance(self) -> Tensor:
        """Per channel the norms of its filters times the factors behind them.

        Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, go by the filters, Liu et al., Network Slimming,
        ICCV 2017, by BatchNorm's factors: a product of both stays as it is when one takes over a scale from the other.
        """
        parts = [layer.conv.weight.flatten(1).norm(dim=1) * layer.norm.weight.abs() for layer in self.layers]
        return torch.stack(parts).prod(dim=0).detach()


def _inner_channels(network: Network) -> Iterator[_Inner]:
    for chain in _chains(network):
        for place, layer in enumerate(chain):
            reader = next((at for at in range(place + 1, len(chain)) if not chain[at].depthwise), None)
            if reader is not None and not layer.depthwise:
                ends = {end for follows in chain[place + 1 : reader + 1] for end in follows.ends}
                yield _Inner(tuple(chain[place:reader]), (*sorted(ends - {layer.conv.out_channels}),))


def _chains(network: Network) -> Iterator[list[_Layer]]:
    """Layers of which each alone reads the one before."""
    if isinstance(network, MobileNet):
        yield [layer for block in network.stages for layer in _separable(block)]
    for block in network.modules():
        if isinstance(block, ResidualBlock):
            yield [_layer(block.conv1, block.norm1), _layer(block.conv2, block.norm2)]
        elif isinstance(block, InvertedResidual):
            yield _units((block.expand, block.depthwise, block.project))
        elif isinstance(block, Residual):
            assert isinstance(block.branch, nn.Sequential)
            yield _units(tuple(block.branch))


def _separable(block: nn.Module) -> tuple[_Layer, _Layer]:
    assert isinstance(block, SeparableBlock)
    groups = block.gather.groups if isinstance(block.gather, FrameGather) else ()
    first = _layer(block.depthwise, block.norm1, tuple(end for _, end, _ in groups))
    return first, _layer(block.pointwise, block.norm2)


def _units(units: Sequence[nn.Module]) -> list[_Layer]:
    return [
        _layer(unit.get_submodule("conv"), unit.get_submodule("norm"))
        for unit in units
        if not isinstance(unit, nn.Identity)
    ]


def _layer(product: nn.Module, norm: nn.Module, ends: tuple[int, ...] = ()) -> _Layer:
    """Of a convolution that may stand behind a frame gather."""
    (conv,) = (module for module in product.modules() if isinstance(module, nn.Conv2d))
    assert isinstance(norm, nn.BatchNorm2d)
    return _Layer(conv, norm, ends)


def _least(inner: _Inner, share: float) -> Tensor:
    """The channels to prune: whole steps of the least important ones of each group."""
    count = inner.count
    step, whole = gcd(_STEP, count, *inner.ends), gcd(_STEP, count)
    gone = min(int(share * count / whole + 1e-9), count // whole - 1) * whole
    importance = inner.importance()
    blocks = torch.cat(
        [
            begin + importance[begin:end].argsort(stable=True).reshape(-1, step)
            for begin, end in pairwise((0, *inner.ends, count))
        ]
    )
    order = importance[blocks].mean(dim=1).argsort(stable=True)
    return blocks[order[: gone // step]].flatten()


def _silence(parameter: Tensor, channels: Tensor) -> None:
    """Zero `channels` of a parameter, now and through any training: without gradients, optimizers keep zeros."""
    mask = torch.ones(len(parameter), *[1] * (parameter.ndim - 1))
    mask[channels] = 0
    with torch.no_grad():
        parameter.mul_(mask.to(parameter.device))
    parameter.register_hook(partial(_masked, mask))


def _masked(mask: Tensor, gradient: Tensor) -> Tensor:
    return gradient * mask.to(gradient.device)
