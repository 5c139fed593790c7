# SPDX-License-Identifier: Apache-2.0
"""The dataflow: it survives its file, and every broken rule is found."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.dataflow.graph import PIXELS, Dataflow, Link, load_dataflow
from framegate.hls.folding.fold import fold
from framegate.hls.kernels import Fifo, Fork, Threshold
from framegate.hls.schedule.schedule import schedule
from framegate.hls.targets import load_target
from framegate.rtl_sim import reference

from tests.dataflows import random_pixels, residual


@pytest.fixture(scope="module")
def complete() -> Dataflow:
    return schedule(fold(residual(), load_target("ulx3s-85f"), 50, 20_000), 50)[0]


def test_the_file_holds_everything(complete: Dataflow, tmp_path: Path) -> None:
    original = replace(complete, network={"widths": [8, 8], "shift": "bidirectional"})
    loaded = load_dataflow(original.save(tmp_path / "dataflow.json"))
    for name in ("model", "classes", "logit_scale", "pixels", "links", "network"):
        assert getattr(loaded, name) == getattr(original, name), name
    for before, after in zip(original.kernels, loaded.kernels, strict=True):
        assert type(before) is type(after)
        for field in fields(before):
            assert np.array_equal(getattr(before, field.name), getattr(after, field.name)), (
                before.name,
                field,
            )
    assert loaded.save(tmp_path / "again.json").read_text() == (tmp_path / "dataflow.json").read_text()


def test_a_loaded_dataflow_gives_the_same_logits(complete: Dataflow, tmp_path: Path) -> None:
    loaded = load_dataflow(complete.save(tmp_path / "dataflow.json")).check("loading")
    pixels = random_pixels(complete, 3)
    assert np.array_equal(reference.logits(loaded, pixels), reference.logits(complete, pixels))


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^\S+/none\.json: not there; run `framegate compile` first$"):
        load_dataflow(tmp_path / "none.json")


@pytest.mark.parametrize("missing", ["links", "pixels", "network"])
def test_a_file_of_another_version_is_refused(missing: str, complete: Dataflow, tmp_path: Path) -> None:
    path = complete.save(tmp_path / "dataflow.json")
    plain = json.loads(path.read_text())
    del plain[missing]
    path.write_text(json.dumps(plain))
    with pytest.raises(
        UsageError,
        match=rf"^\S+/dataflow\.json: not a dataflow of this version \('{missing}'\); "
        rf"run `framegate compile` again$",
    ):
        load_dataflow(path)


def test_links_are_found_by_slot_and_port(complete: Dataflow) -> None:
    assert [link.slot for link in complete.links_into("stage1_add")] == [0, 1]
    assert [link.port for link in complete.links_from("stage1_fork")] == [0, 1]
    entry = complete.links_from(PIXELS)[0]
    assert complete.stream(entry) == complete.pixels
    assert str(entry) == "pixels.0 -> pace.0"


def with_kernels(dataflow: Dataflow, old: str, *new: object) -> Dataflow:
    kernels = []
    for kernel in dataflow.kernels:
        kernels += list(new) if kernel.name == old else [kernel]
    return replace(dataflow, kernels=tuple(kernels))


def twin(dataflow: Dataflow) -> Dataflow:
    return replace(dataflow, kernels=(*dataflow.kernels, dataflow.kernel("pool")))


def reversed_order(dataflow: Dataflow) -> Dataflow:
    return replace(dataflow, kernels=(*dataflow.kernels[1:], dataflow.kernels[0]))


def another_stream(dataflow: Dataflow) -> Dataflow:
    pool = dataflow.kernel("pool")
    return with_kernels(dataflow, "pool", replace(pool, input=replace(pool.inputs[0], bits=5)))  # type: ignore[call-arg]


def no_producer(dataflow: Dataflow) -> Dataflow:
    gone = dataflow.links_from(PIXELS)[0]
    return replace(dataflow, links=tuple(link for link in dataflow.links if link != gone))


def two_consumers(dataflow: Dataflow) -> Dataflow:
    second = Fork(name="late", input=dataflow.kernel("pool").outputs[0])
    kernels = (*dataflow.kernels[:-1], second, dataflow.kernels[-1])
    return replace(dataflow, kernels=kernels, links=(*dataflow.links, Link("pool", 0, "late", 0)))


def no_consumer(dataflow: Dataflow) -> Dataflow:
    pool = dataflow.kernel("pool")
    aside = Fork(name="aside", input=pool.outputs[0])
    links = [replace(link, producer="aside") if link.producer == "pool" else link for link in dataflow.links]
    index = dataflow.kernels.index(pool) + 1
    kernels = (*dataflow.kernels[:index], aside, *dataflow.kernels[index:])
    return replace(dataflow, kernels=kernels, links=(*links, Link("pool", 0, "aside", 0)))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (twin, r"two kernels share a name"),
        (reversed_order, r"pace\.0 -> \w+\.0 runs against the order of the kernels"),
        (
            another_stream,
            r".* -> pool\.0 carries Stream\(.*bits=4.*\) but its consumer takes Stream\(.*bits=5.*\)",
        ),
        (no_producer, r"pace must have one producer per input"),
        (two_consumers, r"pool must have one consumer per output \(put a fork there\)"),
        (no_consumer, r"aside must have one consumer per output \(put a fork there\)"),
    ],
)
def test_every_rule_is_checked(spoil: object, sentence: str, complete: Dataflow) -> None:
    complete.check("nothing")
    with pytest.raises(AssertionError, match=rf"^after spoiling: {sentence}$"):
        spoil(complete).check("spoiling")  # type: ignore[operator]


def test_kernels_are_found_by_name(complete: Dataflow) -> None:
    assert isinstance(complete.kernel("stem_act"), Threshold)
    assert isinstance(complete.kernel("stage1_add_right_fifo"), Fifo)
