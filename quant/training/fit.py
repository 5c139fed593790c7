# SPDX-License-Identifier: Apache-2.0
"""Fitting one network to clips, with Lightning; the same seed gives the same weights, interrupted or not."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from framegate.errors import FramegateError
from framegate.quant.clips.transforms import (
    AugmentConfig,
    Box,
    Frames,
    TransformConfig,
    evaluation_views,
    training_region,
    training_view,
)
from framegate.quant.clips.video import Clip
from framegate.quant.networks.checkpoint import Network, to_input
from framegate.quant.networks.layers import CALIBRATION_STEPS
from framegate.quant.training.recipe import Recipe
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset
from torchmetrics.functional.classification import binary_auroc, multiclass_auroc

Say = Callable[[str], None]
SCORE = "validation_auc"


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled clips, decoded: `targets` are class indices (N,), or with independent labels 0 and 1 (N, K)."""

    clips: Sequence[Clip]
    frames: Sequence[Frames]
    targets: Tensor
    transform: TransformConfig

    @cached_property
    def regions(self) -> list[Box]:
        """Where training looks, per clip."""
        return [training_region(frames, self.transform) for frames in self.frames]

    @cached_property
    def plain(self) -> Tensor:
        """The clips as a board sees them, (N, T, S, S, 3), uint8."""
        once = self.transform.one_view()
        return torch.from_numpy(np.stack([evaluation_views(frames, once)[0] for frames in self.frames]))

    def varied(self, index: int, augment: AugmentConfig, seed: int) -> Tensor:
        """A random view of one clip, (T, S, S, 3), uint8."""
        view = training_view(self.frames[index], self.transform, augment, seed, self.regions[index])
        return torch.from_numpy(view)


@dataclass(frozen=True)
class Phase:
    """One fit of a network."""

    name: str
    epochs: int
    rate: float


def fit(
    network: Network,
    phase: Phase,
    recipe: Recipe,
    examples: Examples,
    validation: Examples | None,
    run: Path,
    say: Say,
    teacher: Network | None = None,
) -> None:
    """Fit `network` in place; afterwards it is on the CPU, in eval mode.

    Continues from RUN/.resume when it was interrupted; logs to RUN/logs (CSV, TensorBoard). With a `teacher` the
    recipe's share of the loss is against its scores. Raises FramegateError naming the clips of a batch whose loss
    is not finite.
    """
    module = FineTuning(network, phase, recipe, examples, teacher)
    resume = run / ".resume" / f"{phase.name}.ckpt"
    keep = _keep_last(resume)
    best = ModelCheckpoint(
        run / ".resume", f"{phase.name}-best", monitor=SCORE, mode="max", enable_version_counter=False
    )
    callbacks: list[Callback] = [keep, _Line(say)]
    if recipe.average:
        callbacks.append(EMAWeightAveraging(decay=recipe.average))
    if recipe.patience is not None and validation is not None:
        callbacks += [EarlyStopping(SCORE, patience=recipe.patience, mode="max"), best]
    trainer = lightning.Trainer(
        max_epochs=phase.epochs,
        accelerator=recipe.accelerator,
        devices=recipe.devices,
        num_nodes=recipe.nodes,
        callbacks=callbacks,
        logger=[CSVLogger(run, "logs", phase.name), TensorBoardLogger(run, "logs", phase.name)],
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(
        module,
        _loader(examples, module, recipe),
        DataLoader(TensorDataset(validation.plain, validation.targets), batch_size=recipe.batch)
        if validation is not None
        else None,
        ckpt_path=resume if resume.is_file() else None,
        weights_only=False,
    )
    if best.best_model_path:
        state = torch.load(best.best_model_path, map_location="cpu", weights_only=False)["state_dict"]
        module.load_state_dict(state)
    network.cpu().eval()


def calibrate(network: Network, examples: Examples, recipe: Recipe) -> None:
    """Initialise the activation scales from training batches: fitting starts with every scale in place."""
    order = torch.Generator().manual_seed(recipe.seed)
    network.train()
    with torch.no_grad():
        for step in range(CALIBRATION_STEPS + 1):
            chosen = torch.randint(len(examples.clips), (max(recipe.batch, 8),), generator=order).tolist()
            views = [examples.varied(i, recipe.augment, seed_of(recipe.seed, step, i)) for i in chosen]
            network(to_input(torch.stack(views)))


def _keep_last(file: Path) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=file.parent,
        filename=file.stem,
        save_top_k=1,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


class FineTuning(lightning.LightningModule):
    """A network, its loss and its optimizer."""

    def __init__(
        self, network: Network, phase: Phase, recipe: Recipe, examples: Examples, teacher: Network | None
    ) -> None:
        super().__init__()
        self.network = network
        self.phase = phase
        self.recipe = recipe
        self.names = [str(clip.path) for clip in examples.clips]
        self.weight = (
            class_weights(examples.targets, len(network.config.classes)) if recipe.class_weights else None
        )
        self.teacher = teacher
        self.seen: list[tuple[Tensor, Tensor]] = []
        if teacher is not None:
            teacher.eval().requires_grad_(False)
        if recipe.freeze:
            network.requires_grad_(False)
            for part in network.head_parts:
                part.requires_grad_(True)

    def epoch_seed(self) -> int:
        """A number for this run's seed and epoch."""
        return self.recipe.seed * 10_007 + self.current_epoch

    def on_train_epoch_start(self) -> None:
        """Dropout, too, follows from seed and epoch alone; frozen parts keep their statistics."""
        torch.manual_seed(self.epoch_seed())
        self.network.train()
        if self.recipe.freeze:
            for part in set(self.network.children()) - set(self.network.head_parts):
                part.eval()
        if self.current_epoch >= self.phase.epochs * (1 - self.recipe.norm_freeze):
            for part in self.network.modules():
                if isinstance(part, torch.nn.BatchNorm2d):
                    part.eval()

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> Tensor:
        """Loss of one batch."""
        pixels, targets, which = batch
        x = to_input(pixels)
        loss = self.loss(self.network(x), targets, x)
        if not torch.isfinite(loss):
            names = ", ".join(self.names[i] for i in which.tolist())
            raise FramegateError(
                f"{self.phase.name} epoch {self.current_epoch + 1}: the loss became {loss.item()} in the batch of "
                f"{names}; lower the learning rate, or look at these clips"
            )
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss

    def loss(self, values: Tensor, targets: Tensor, x: Tensor) -> Tensor:
        """Against the labels, mixed with that against the teacher's scores (Hinton et al. 2015, temperature 1)."""
        hard = self._against_labels(values, targets)
        if self.teacher is None or not self.recipe.distillation:
            return hard
        with torch.no_grad():
            taught = self.teacher(x)
        if values.shape[1] == 1 or targets.ndim == 2:
            soft = F.binary_cross_entropy_with_logits(values, taught.sigmoid())
        else:
            soft = F.cross_entropy(values, taught.softmax(1))
        return (1 - self.recipe.distillation) * hard + self.recipe.distillation * soft

    def _against_labels(self, values: Tensor, targets: Tensor) -> Tensor:
        smooth = self.recipe.label_smoothing
        weight = None if self.weight is None else self.weight.to(values.device)
        if targets.ndim == 1:
            return F.cross_entropy(values, targets, weight, label_smoothing=smooth)
        soft = targets * (1 - smooth) + smooth / 2
        return F.binary_cross_entropy_with_logits(values, soft, pos_weight=weight)

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Collect the scores."""
        pixels, targets = batch
        self.seen.append((self.network(to_input(pixels)), targets))

    def on_validation_epoch_end(self) -> None:
        """AUC, the mean over the classes."""
        values, targets = (torch.cat(part) for part in zip(*self.seen, strict=True))
        self.seen.clear()
        if targets.ndim == 1:
            score = multiclass_auroc(values.softmax(1), targets, values.shape[1])
        else:
            each = [binary_auroc(values[:, k], targets[:, k].long()) for k in range(values.shape[1])]
            score = torch.stack(each).mean()
        self.log(SCORE, score)

    def configure_optimizers(self) -> Any:
        """Weights decay; BatchNorm, biases and scales do not."""
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[self.recipe.optimizer]
        optimizer = kind(groups, lr=self.phase.rate)
        if self.recipe.schedule == "constant":
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.phase.rate, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def class_weights(targets: Tensor, classes: int) -> Tensor:
    """Weights that make every class count the same: of each class, or of its clips against all others."""
    if targets.ndim == 1:
        counts = torch.bincount(targets, minlength=classes).float()
        return counts.sum() / (classes * counts)
    positives = targets.sum(0)
    return (len(targets) - positives) / positives


def seed_of(*numbers: int) -> int:
    """One seed for several numbers."""
    return hash(numbers) % 2**63  # of integers: the same in every process


class _Varied(Dataset):
    """Augmented clips by (epoch seed, index): pixels (T, S, S, 3), target, index."""

    def __init__(self, examples: Examples, recipe: Recipe) -> None:
        self.examples, self.recipe = examples, recipe

    def __len__(self) -> int:
        return len(self.examples.clips)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor, int]:
        seed, index = key
        view = self.examples.varied(index, self.recipe.augment, seed_of(seed, index))
        return view, self.examples.targets[index], index


class _Order(Sampler[tuple[int, int]]):
    """All clips, shuffled by the seed and the epoch that is current when it is asked; this process's share of them."""

    def __init__(self, module: FineTuning, count: int) -> None:
        self.module, self.count = module, count

    def __len__(self) -> int:
        return self.count // self.module.trainer.world_size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        seed, trainer = self.module.epoch_seed(), self.module.trainer
        order = torch.randperm(self.count, generator=torch.Generator().manual_seed(seed)).tolist()
        mine = order[trainer.global_rank :: trainer.world_size][: len(self)]
        return iter([(seed, index) for index in mine])


def _loader(examples: Examples, module: FineTuning, recipe: Recipe) -> DataLoader:
    data = _Varied(examples, recipe)
    drop = len(data) >= recipe.batch and recipe.batch > 1
    return DataLoader(data, recipe.batch, sampler=_Order(module, len(data)), drop_last=drop)


class _Line(Callback):
    """A line per epoch."""

    def __init__(self, say: Say) -> None:
        self.say = say

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        assert isinstance(module, FineTuning)
        figures = trainer.callback_metrics
        score = f", validation AUC {float(figures[SCORE]):.3f}" if SCORE in figures else ""
        epoch = f"{module.phase.name} epoch {trainer.current_epoch + 1}/{module.phase.epochs}"
        self.say(f"{epoch}: loss {float(figures['loss']):.3f}{score}")


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Use that many CPU threads (None: as it is); Lightning without its tips, `say` tells what matters."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
