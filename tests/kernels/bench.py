# SPDX-License-Identifier: Apache-2.0
"""One kernel between sources and sinks: values at any pace, cycles at the nominal one."""

import shutil
from pathlib import Path

import numpy as np

import framegate.hls.kernels
from framegate.hls.kernels import Kernel
from framegate.hls.stream import Stream, to_beats
from framegate.rtl_sim.compare import compare_words
from framegate.rtl_sim.simulator import ALWAYS, Bench, Simulator, Sink, Source


def random_clips(stream: Stream, clips: int, seed: int) -> np.ndarray:
    """Integers (clips, T, H, W, C) over the stream's whole range, ends included."""
    return np.random.default_rng(seed).integers(
        stream.low, stream.high + 1, size=(clips, *stream.shape), dtype=np.int32
    )


def check_kernel(
    kernel: Kernel, work: Path, *, clips: int = 2, seed: int = 0, simulator: Simulator = "verilator"
) -> None:
    """Compare values under three pairs of paces, and every beat's cycle where the sink never stalls."""
    values = [random_clips(stream, clips, seed + slot) for slot, stream in enumerate(kernel.inputs)]
    beats = [clips * stream.beats for stream in kernel.inputs]
    rng = np.random.default_rng(seed)
    offers = {
        "always": [np.zeros(count, dtype=np.int64) for count in beats],
        "mostly": [np.cumsum(rng.integers(0, 3, count)) for count in beats],
        "bursts": [np.repeat(np.cumsum(rng.integers(0, 60, count // 7 + 1)), 7)[:count] for count in beats],
    }
    accepts = {
        "always": ALWAYS,
        "mostly": np.append(rng.random(251) < 0.7, True),
        "bursts": np.append(np.repeat(rng.random(23) < 0.5, 11), True),
    }
    built = False
    for offer, accept in [("always", "always"), ("mostly", "always"), ("bursts", "always"), ("always", "bursts"), ("mostly", "mostly")]:
        bench = _bench(kernel, work, values, offers[offer], accepts[accept], clips, simulator)
        if not built:
            bench.build()
            built = True
        _check_run(kernel, bench, values, offers[offer] if accept == "always" else None)


def _check_run(kernel: Kernel, bench: Bench, values: list[np.ndarray], offers: list[np.ndarray] | None) -> None:
    recorded = bench.run(limit=200_000)
    expected = kernel.reference(*values)
    ports = kernel.ports
    for port, stream in zip(ports[len(values) :], kernel.outputs, strict=True):
        assert compare_words(port, expected, recorded[port].words, stream).first is None
    if offers is None:
        return
    predicted = kernel.timing(*offers)
    for port, cycles in zip(ports, (*predicted.taken, *[predicted.appears] * len(kernel.outputs)), strict=True):
        measured = recorded[port].cycles
        wrong = np.flatnonzero(measured != cycles)
        assert not len(wrong), f"{port} beat {wrong[0]}: cycle {measured[wrong[0]]}, predicted {cycles[wrong[0]]}"


def _bench(kernel, work, values, offers, accepts, clips, simulator) -> Bench:  # type: ignore[no-untyped-def]
    instance = kernel.instance()
    rtl = work / "rtl"
    rtl.mkdir(parents=True, exist_ok=True)
    folder = Path(framegate.hls.kernels.__file__).parent
    file = next(path for path in folder.glob("*.sv") if f"module {instance.module} " in path.read_text())
    shutil.copyfile(file, rtl / file.name)
    parameters = dict(instance.parameters)
    for memory in instance.memories:
        name = f"{memory.suffix}.hex"
        (rtl / name).write_text("\n".join(f"{word:x}" for word in memory.words) + "\n")
        parameters[memory.suffix.upper()] = f'"{name}"'
    ports = kernel.ports
    return Bench(
        module=instance.module,
        rtl=rtl,
        pins={f"{port}_{pin}": f"{port}_{pin}" for port in ports for pin in ("valid", "ready", "data")},
        inputs=tuple(
            Source(name=port, bits=stream.beat_bits, words=to_beats(value, stream), offers=offer)
            for port, stream, value, offer in zip(ports, kernel.inputs, values, offers, strict=False)
        ),
        outputs=tuple(
            Sink(name=port, bits=stream.beat_bits, beats=clips * stream.beats, accepts=accepts)
            for port, stream in zip(ports[len(values) :], kernel.outputs, strict=True)
        ),
        work=work,
        parameters=parameters,
        simulator=simulator,
    )
