# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
"""NNgen's hardware and test bench of one small network. Run by the python of an environment that has NNgen.

    python nngen_cnn.py FOLDER      reads network.npz and network.json there, writes rtl/, bench.v and memory.hex

The bench has NNgen's own model of an AXI memory and, like its examples, counts the cycles from the write to the start
register until the busy register is seen at 0. It prints a line "cycles N" and a line "logit K V" for each logit.
"""

import json
import math
import sys
import time
from pathlib import Path

import nngen as ng
import numpy as np
import veriloggen.thread as vthread
import veriloggen.types.axi as axi
from veriloggen import Delay, Module, Not, Seq, Systask, simulation

_CHUNK = 64  # bytes at which addresses are aligned
_WORD = 32  # bits of the AXI port
_MEMORY_BITS = 8 << 20
_TOO_LATE = 100_000_000  # time steps, 10 per cycle


def main(folder):
    """Generate, and print a JSON line: seconds of the generation, NNgen's own evaluation of the network."""
    choices = json.loads((folder / "network.json").read_text())
    arrays = np.load(folder / "network.npz")
    values = {name: arrays[name].astype(np.int64) for name in arrays.files}
    started = time.perf_counter()
    pixels, logits = network(values, choices)
    core = ng.to_veriloggen([logits], choices["module"], silent=True, config={"maxi_datawidth": _WORD})
    core.to_verilog(str(folder / "rtl" / f"{choices['module']}.sv"))
    seconds = time.perf_counter() - started
    (evaluated,) = ng.eval([logits], pixels=values["pixels"])
    bench(core, pixels, logits, values["pixels"], choices, folder)
    print(json.dumps({"seconds": seconds, "logits": np.asarray(evaluated).reshape(-1).tolist()}))


def network(values, choices):
    """Two convolutions of 3x3, each with a pooling of 2x2 behind it, and a matrix product; all integers."""
    weights = ng.dtype_int(choices["bits"])
    pixels = ng.placeholder(ng.int8, shape=values["pixels"].shape, name="pixels")
    x = pixels
    for name, shift in zip(("first", "second"), choices["shifts"], strict=True):
        x = ng.conv2d(
            x,
            _variable(values, f"{name}_weights", weights),
            strides=(1, 1, 1, 1),
            bias=_variable(values, f"{name}_bias", ng.int32),
            act_func=ng.relu,
            dtype=ng.int8,
            sum_dtype=ng.int32,
            name=name,
        )
        x.attribute(par_ich=choices["par_ich"], par_och=choices["par_och"], cshamt_out=shift)
        x = ng.max_pool_serial(x, ksize=(1, 2, 2, 1), strides=(1, 2, 2, 1), name=f"{name}_pool")
        x.attribute(par=choices["par_och"])
    head = ng.matmul(
        ng.reshape(x, [1, -1]),
        _variable(values, "head_weights", weights),
        transposed_b=True,
        dtype=ng.int32,
        sum_dtype=ng.int32,
        name="head",
    )
    head.attribute(par_ich=choices["par_ich"], par_och=choices["par_och"])
    return pixels, head


def _variable(values, name, dtype):
    made = ng.variable(dtype, shape=values[name].shape, name=name)
    made.set_value(values[name])
    return made


def bench(core, pixels, logits, frame, choices, folder):
    """Write the test bench around `core` with all that it needs in its memory."""
    image, scratch = _memory(pixels, logits, frame, choices)
    module = Module("bench")
    module.copy_params(core)
    ports = module.copy_sim_ports(core)
    clock, reset = ports["CLK"], module.Wire("RST")
    reset.assign(Not(ports["RESETN"]))
    memory = axi.AxiMemoryModel(
        module,
        "memory",
        clock,
        reset,
        datawidth=_WORD,
        memimg=image,
        memimg_name="memory.hex",
        memimg_datawidth=_WORD,
        sleep_interval=0,  # never pauses
    )
    memory.connect(ports, "maxi")
    control = vthread.AXIMLite(module, "control", clock, reset, noio=True)
    control.connect(ports, "saxi")
    timer = module.Reg("timer", 32, initval=0)
    Seq(module, "seq", clock, reset)(timer.inc())

    def run():  # becomes a state machine: as simple as NNgen's examples
        for _ in range(100):
            pass
        ng.sim.set_global_addrs(control, scratch)
        begin = timer.value
        ng.sim.start(control)
        ng.sim.wait(control)
        print("cycles %d" % (timer.value - begin))  # noqa: UP031
        for k in range(logits.shape[-1]):
            print("logit %d %d" % (k, memory.read_word(k, logits.addr, 32)))  # noqa: UP031
        vthread.finish()

    vthread.Thread(module, "thread", clock, reset, run).start()
    module.Instance(core, "core", params=module.connect_params(core), ports=module.connect_ports(core))
    simulation.setup_clock(module, clock, hperiod=5)
    initial = simulation.setup_reset(module, ports["RESETN"], module.make_reset(), period=100, polarity="low")
    initial.add(Delay(_TOO_LATE), Systask("finish"))
    module.to_verilog(str(folder / "bench.v"))


def _memory(pixels, logits, frame, choices):
    """The memory's words, with the frame and the parameters in their places, and the first address behind them."""
    parameters = ng.export_ndarray([logits], _CHUNK)
    at = _aligned(pixels.addr + pixels.memory_size)
    image = np.zeros(_MEMORY_BITS // _WORD, dtype=np.int64)
    per_word = max(math.ceil(_WORD / pixels.dtype.width), choices["par_ich"])
    axi.set_memory(image, frame, _WORD, pixels.dtype.width, pixels.addr, per_word)
    axi.set_memory(image, parameters, _WORD, 8, at)
    return image, _aligned(at + len(parameters))


def _aligned(address):
    return -(-address // _CHUNK) * _CHUNK


if __name__ == "__main__":
    main(Path(sys.argv[1]))
