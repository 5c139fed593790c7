# SPDX-License-Identifier: Apache-2.0
"""Clips and networks that are small enough to make in a test."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from framegate.quant.clips.shop import generate
from framegate.quant.networks.checkpoint import Network, NetworkConfig, to_input

from tests.networks import soon_settled

CLASSES = ("left", "middle", "right")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of each action."""
    return generate(tmp_path_factory.mktemp("shop") / "clips", 6, seed=3)


@pytest.fixture
def tiny() -> NetworkConfig:
    """A network of four 16x16 frames."""
    return NetworkConfig(classes=CLASSES, size=16, frames=4, widths=(8, 8, 16), strides=(2, 2, 2))


@pytest.fixture
def settled() -> Callable[[NetworkConfig], Network]:
    """Makes a network whose scales and BatchNorm are as after training, many factors negative."""

    def make(config: NetworkConfig) -> Network:
        torch.manual_seed(0)
        network = soon_settled(Network(config)).train()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, -1.5, 1.5)
                torch.nn.init.uniform_(module.bias, -0.3, 0.3)
        with torch.no_grad():
            for _ in range(8):
                network(to_input(noise(config, 4)))
        return network.eval()

    return make


def noise(config: NetworkConfig, clips: int) -> torch.Tensor:
    """Random clips (N, T, S, S, 3), uint8."""
    return torch.randint(0, 256, (clips, config.frames, config.size, config.size, 3), dtype=torch.uint8)


@pytest.fixture
def video(tmp_path: Path) -> Callable[..., Path]:
    """Writes a video whose picture is bright in its upper half and whose blue tells the frame number."""

    def write(
        name: str,
        frames: int = 12,
        width: int = 64,
        height: int = 48,
        codec: str = "libx264",
        rate: str = "12",
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=Fraction(rate))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for number in range(frames):
                picture = np.full((height, width, 3), 30, np.uint8)
                picture[: height // 2, :, :2] = 220
                picture[:, :, 2] = 20 * number % 256
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        return path

    return write


def cut_off(path: Path, inside_a_picture: bool = False) -> Path:
    """Cut the video at `path` off half-way, its index being at the front; return `path`."""
    streamed = path.with_suffix(".front.mp4")
    with (
        av.open(str(path)) as source,
        av.open(str(streamed), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with av.open(str(streamed)) as container:
        places = sorted(packet.pos for packet in container.demux() if packet.size)
    middle = places[len(places) // 2] + (2 if inside_a_picture else 0)
    path.write_bytes(streamed.read_bytes()[:middle])
    streamed.unlink()
    return path


@pytest.fixture
def layout(tmp_path: Path, video: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a folder of short videos (and of empty files, where the name is not that of a video)."""

    def write(*names: str) -> Path:
        content = video("source.mp4").read_bytes()
        root = tmp_path / "clips"
        root.mkdir(exist_ok=True)
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content if name.lower().endswith((".mp4", ".mkv")) else b"")
        return root

    return write
