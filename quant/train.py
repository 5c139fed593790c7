# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning: a float network, then the quantized one from its weights. An interrupted run continues."""

import hashlib
import json
import logging
import shutil
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import lightning
import torch
import torch.nn.functional as F
from framegate.errors import UsageError
from framegate.files import read_json, write_json, write_text
from framegate.quant import threshold as thresholds
from framegate.quant.clips import Clip, decode_all, find_clips, labels_of
from framegate.quant.metrics import alarm_scores, evaluate, scores
from framegate.quant.networks import (
    CALIBRATION_STEPS,
    Network,
    NetworkConfig,
    load,
    logits,
    save,
    start_from,
    to_input,
)
from framegate.quant.settings import Settings
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from pydantic import Field
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, TensorDataset

Epochs = Annotated[int, Field(ge=1)]


class TrainConfig(Settings):
    """How to train. `network` holds the options of NetworkConfig; its classes come from the clips."""

    network: dict[str, Any] = Field(default_factory=dict)
    float_epochs: Epochs = 30
    quantized_epochs: Epochs = 24
    batch: Annotated[int, Field(ge=2)] = 32  # clips
    float_rate: Annotated[float, Field(gt=0)] = 6e-3  # peak learning rates
    quantized_rate: Annotated[float, Field(gt=0)] = 4e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.02
    shift_pixels: Annotated[int, Field(ge=0)] = 5  # augmentation: largest move of the picture
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1  # share of the sources
    seed: int = 0
    threads: Annotated[int, Field(ge=1)] | None = None  # CPU threads; None: as many as there are cores
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"

    @classmethod
    def read(cls, path: Path) -> "TrainConfig":
        """From a TOML file. Raises UsageError naming the file when it is absent or malformed."""
        try:
            return cls(**tomllib.loads(path.read_text()))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(
                f"{path}: not a readable TOML file ({error}); correct it or leave --config out"
            ) from None

    def override(self, options: dict[str, Any], network: dict[str, Any]) -> "TrainConfig":
        """With the given options, and options of the network, in place of these; None leaves one as it is."""
        given = {key: value for key, value in options.items() if value is not None}
        shape = self.network | {key: value for key, value in network.items() if value is not None}
        return TrainConfig(**(self.model_dump() | given | {"network": shape}))

    def toml(self) -> str:
        """As TOML text, which `read` reads back."""
        values = self.model_dump(mode="json", exclude={"network"}, exclude_none=True)
        network = {key: "float" if value is None else value for key, value in self.network.items()}
        return "\n".join([*_lines(values), "", "[network]", *_lines(network)]) + "\n"


def _lines(values: dict[str, Any]) -> Iterator[str]:
    return (f"{key} = {json.dumps(value)}" for key, value in values.items())


@dataclass(frozen=True)
class Examples:
    """Decoded clips (N, T, S, S, 3), uint8, and their class indices (N,)."""

    pixels: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Phase:
    """One fit of a network."""

    name: str
    epochs: int
    rate: float


def train(
    config: TrainConfig, clips: Path, run: Path, test: Path | None = None, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Train on the labelled `clips`; return the figures of the float and the quantized network.

    Writes config.toml, float.pt, checkpoint.pt, threshold.json and metrics.json to `run`. An interrupted run
    continues after its last whole epoch; a finished one just returns its figures. These are, per precision,
    those on the validation clips and, when given, on the `test` clips.
    Raises UsageError when `run` belongs to other options, and as `find_clips` and `decode` do.
    """
    found = find_clips(clips)
    classes = tuple(dict.fromkeys(sorted(labels_of(found, clips))))
    goal = NetworkConfig(classes=classes, **config.network)
    _claim(run, f"# clips: {clips.resolve()}\n{config.toml()}")
    if (run / "metrics.json").is_file():
        say(f"{run}: already trained with these options")
        return read_json(run / "metrics.json", "delete it and train again")
    fitting, held_out = split(found, config.validation, config.seed, clips)
    say(f"{len(fitting)} clips to train on, {len(held_out)} to validate, classes {', '.join(classes)}")
    with _threads(config.threads):
        examples = _examples(fitting, goal, run)
        validation = _examples(held_out, goal, run)
        baseline = _float_network(config, goal, examples, validation, run, say)
        network = _quantized_network(config, goal, baseline, examples, validation, run, say)
        metrics = _report(baseline, network, held_out, test, run)
    write_json(run / "metrics.json", metrics)
    shutil.rmtree(run / ".resume", ignore_errors=True)
    shutil.rmtree(run / ".clips", ignore_errors=True)
    return metrics


def split(clips: Sequence[Clip], share: float, seed: int, folder: Path) -> tuple[list[Clip], list[Clip]]:
    """Training and validation clips; a source is on one side only.

    Raises UsageError with fewer than two sources.
    """
    sources = sorted(
        {clip.source for clip in clips},
        key=lambda source: hashlib.sha256(f"{seed} {source}".encode()).digest(),
    )
    if len(sources) < 2:
        raise UsageError(
            f"{folder}: all clips are of one source; training needs at least two, to hold one out"
        )
    held_out = set(sources[: min(len(sources) - 1, max(1, round(share * len(sources))))])
    return [c for c in clips if c.source not in held_out], [c for c in clips if c.source in held_out]


def _claim(run: Path, text: str) -> None:
    file = run / "config.toml"
    if not file.is_file():
        write_text(file, text)
    elif file.read_text() != text:
        raise UsageError(
            f"{run}: was trained with other options or clips ({file}); choose another folder or delete it"
        )


def _examples(clips: Sequence[Clip], config: NetworkConfig, run: Path) -> Examples:
    targets = torch.tensor([config.classes.index(str(clip.label)) for clip in clips])
    return Examples(decode_all(clips, config.frames, config.size, run / ".clips"), targets)


def _float_network(
    config: TrainConfig,
    goal: NetworkConfig,
    examples: Examples,
    validation: Examples,
    run: Path,
    say: Callable[[str], None],
) -> Network:
    if (run / "float.pt").is_file():
        return load(run / "float.pt")
    torch.manual_seed(config.seed)
    network = Network(goal.as_float())
    _fit(
        network,
        Phase("float", config.float_epochs, config.float_rate),
        config,
        examples,
        validation,
        run,
        say,
    )
    save(network, run / "float.pt")
    return network


def _quantized_network(
    config: TrainConfig,
    goal: NetworkConfig,
    baseline: Network,
    examples: Examples,
    validation: Examples,
    run: Path,
    say: Callable[[str], None],
) -> Network:
    if (run / "checkpoint.pt").is_file():
        return load(run / "checkpoint.pt")
    network = Network(goal)
    start_from(network, baseline)
    if goal != goal.as_float():
        _calibrate(network, examples, config)
        phase = Phase("quantized", config.quantized_epochs, config.quantized_rate)
        _fit(network, phase, config, examples, validation, run, say)
    save(network, run / "checkpoint.pt")
    return network


def _calibrate(network: Network, examples: Examples, config: TrainConfig) -> None:
    """Initialise the activation scales from training batches: fitting starts with every scale in place."""
    order = torch.Generator().manual_seed(config.seed)
    network.train()
    with torch.no_grad():
        for _ in range(CALIBRATION_STEPS + 1):
            chosen = torch.randint(len(examples.pixels), (config.batch,), generator=order)
            network(to_input(examples.pixels[chosen]))


def _fit(
    network: Network,
    phase: Phase,
    config: TrainConfig,
    examples: Examples,
    validation: Examples,
    run: Path,
    say: Callable[[str], None],
) -> None:
    resume = run / ".resume" / f"{phase.name}.ckpt"
    keep = ModelCheckpoint(
        dirpath=resume.parent,
        filename=phase.name,
        save_top_k=1,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    trainer = lightning.Trainer(
        max_epochs=phase.epochs,
        accelerator=config.accelerator,
        devices=1,
        callbacks=[keep, _Progress(validation, say)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    module = FineTuning(network, phase, config, examples)
    trainer.fit(module, ckpt_path=resume if resume.is_file() else None, weights_only=False)
    network.cpu().eval()


class FineTuning(lightning.LightningModule):
    """AdamW under a one-cycle rate, cross-entropy on augmented clips."""

    def __init__(self, network: Network, phase: Phase, config: TrainConfig, examples: Examples) -> None:
        super().__init__()
        self.network = network
        self.phase = phase
        self.options = config
        self.examples = examples
        self.random = torch.Generator()

    def train_dataloader(self) -> DataLoader:
        """The clips, in another order each epoch."""
        data = TensorDataset(self.examples.pixels, self.examples.targets)
        drop = len(data) >= self.options.batch
        return DataLoader(data, self.options.batch, sampler=_Order(self, len(data)), drop_last=drop)

    def on_train_epoch_start(self) -> None:
        """Augmentation, too, follows from seed and epoch alone, interrupted or not."""
        self.random.manual_seed(self.epoch_seed())

    def epoch_seed(self) -> int:
        """A number for this run's seed and epoch."""
        return self.options.seed * 10_007 + self.current_epoch

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Loss of one batch."""
        pixels, targets = batch
        values = self.network(augment(pixels, self.options.shift_pixels, self.random))
        loss = F.cross_entropy(values, targets, label_smoothing=0.05)
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> Any:
        """Weights decay; BatchNorm and scales do not."""
        parameters = list(self.network.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.options.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.phase.rate)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.phase.rate, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Order(Sampler[int]):
    """All clips, shuffled by the seed and the epoch that is current when it is asked."""

    def __init__(self, module: FineTuning, count: int) -> None:
        self.module, self.count = module, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        random = torch.Generator().manual_seed(self.module.epoch_seed())
        return iter(torch.randperm(self.count, generator=random).tolist())


class _Progress(Callback):
    """A line per epoch."""

    def __init__(self, validation: Examples, say: Callable[[str], None]) -> None:
        self.validation, self.say = validation, say

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        assert isinstance(module, FineTuning)
        values = logits(module.network, self.validation.pixels)
        right = scores(values, self.validation.targets, module.network.config)["accuracy"]
        loss = float(trainer.callback_metrics["loss"])
        epoch = f"{module.phase.name} epoch {trainer.current_epoch + 1}/{module.phase.epochs}"
        self.say(f"{epoch}: loss {loss:.3f}, validation accuracy {right:.3f}")


def augment(pixels: Tensor, shift: int, random: torch.Generator) -> Tensor:
    """Clips (N, T, S, S, 3), uint8, as network input (N*T, 3, S, S); mirror, position, brightness varied.

    All frames of a clip change alike; values stay whole pixels/256.
    """
    count, size = len(pixels), pixels.shape[2]
    frames = pixels.flatten(0, 1).permute(0, 3, 1, 2).float()
    wide = F.pad(frames, (shift,) * 4, mode="replicate").unflatten(0, (count, -1))
    moves = torch.randint(0, 2 * shift + 1, (count, 2), generator=random).tolist()
    moved = torch.stack(
        [clip[..., y : y + size, x : x + size] for clip, (y, x) in zip(wide, moves, strict=True)]
    )
    mirrored = torch.rand(count, generator=random).lt(0.5).to(pixels.device)
    moved = torch.where(mirrored.view(-1, 1, 1, 1, 1), moved.flip(-1), moved)
    gain, offset = torch.rand(2, count, 1, 1, 1, 1, generator=random).to(pixels.device)
    return ((moved * (0.7 + 0.6 * gain) + 30 * (offset - 0.5)).round().clamp(0, 255) / 256).flatten(0, 1)


def _report(
    baseline: Network, network: Network, held_out: Sequence[Clip], test: Path | None, run: Path
) -> dict[str, Any]:
    """Choose the threshold on the validation clips, write it, and measure both networks."""
    chosen: dict[str, thresholds.Choice] = {}
    config = network.config
    if config.positive is not None:
        examples = _examples(held_out, config, run)
        truth = examples.targets == config.classes.index(config.positive)
        if truth.any() and not truth.all():
            found = thresholds.sweep(alarm_scores(logits(network, examples.pixels), config), truth.numpy())
            chosen[config.positive] = thresholds.choose(found, thresholds.Rule())
        thresholds.save(run / thresholds.FILE, config, chosen)
    sets = {"validation": held_out} | ({"test": find_clips(test, config.classes)} if test is not None else {})
    metrics: dict[str, Any] = {}
    for precision, measured in (("float", baseline), ("quantized", network)):
        metrics[precision] = {
            name: evaluate(measured, clips, str(run), chosen, run / ".clips") for name, clips in sets.items()
        }
        for figures in metrics[precision].values():
            del figures["predictions"]
    return metrics


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # its tips; `say` tells what matters
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
