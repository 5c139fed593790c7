# SPDX-License-Identifier: Apache-2.0
"""How large a network is and how much it computes."""

import torch
from framegate.quant.networks.checkpoint import Network
from torch import Tensor, nn


def complexity(network: Network) -> tuple[int, int]:
    """Weights, biases and BatchNorm's factors of `network`, and its multiply-accumulates per clip.

    Those of convolutions and products, padding included; learned scales of quantizers do not count.
    """
    counted: list[int] = []

    def count(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer.weight, Tensor)
        counted.append(output.numel() * layer.weight[0].numel())

    products = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in products]
    was_training, config = network.training, network.config
    device = next(network.parameters()).device
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(config.frames, 3, config.size, config.size, device=device))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    own = (value for name, value in network.named_parameters() if "_quant." not in name)
    return sum(value.numel() for value in own), sum(counted)
