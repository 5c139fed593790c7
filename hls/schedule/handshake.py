# SPDX-License-Identifier: Apache-2.0
"""Handshakes: no `ready` runs combinationally through more kernels than a clock cycle has time for."""

from dataclasses import replace

from framegate.hls.dataflow.graph import PIXELS, Dataflow, Link
from framegate.hls.kernels import Fifo, Kernel, Skid

_LONGEST = 3  # hops; on an ECP5 of speed 6 one takes 1.5 to 2 ns of the 10 that 100 MHz leave


def with_skids(dataflow: Dataflow) -> Dataflow:
    """The complete design with a skid buffer wherever a chain of `ready` signals grows too long.

    No cycle changes: only behind a FIFO does a beat ever wait, and there none is placed.
    """
    chain: dict[str, int] = {}  # hops that a kernel's `ready` comes through, its own included
    cut: dict[Link, Skid] = {}
    for kernel in reversed(dataflow.kernels):
        after = dataflow.links_from(kernel.name)
        behind = {link: _chain_into(link, dataflow, chain) for link in after}
        chain[kernel.name] = kernel.READY_HOPS + max(behind.values(), default=0)
        if chain[kernel.name] > _longest(kernel, dataflow) and not isinstance(kernel, Fifo | Skid):
            chain[kernel.name] = kernel.READY_HOPS
            cut |= {
                link: Skid(name=_name(kernel, link), input=dataflow.stream(link))
                for link in after
                if behind[link]
            }
    return _inserted(dataflow, cut)


def _longest(kernel: Kernel, dataflow: Dataflow) -> int:
    """A FIFO before it is the last hop: its block RAM reads on when the chain is ready, and may lie far off."""
    producers = [link.producer for link in dataflow.links_into(kernel.name)]
    fifo = any(name != PIXELS and isinstance(dataflow.kernel(name), Fifo) for name in producers)
    return _LONGEST - 1 if fifo and not kernel.REGISTERED_READY else _LONGEST


def _chain_into(link: Link, dataflow: Dataflow, chain: dict[str, int]) -> int:
    """Hops behind the `ready` of a link; none if its consumer keeps it in a register."""
    return 0 if dataflow.kernel(link.consumer).REGISTERED_READY else chain[link.consumer]


def _name(kernel: Kernel, link: Link) -> str:
    port = f"_{kernel.ports[len(kernel.inputs) + link.port]}" if len(kernel.outputs) > 1 else ""
    return f"{kernel.name}{port}_skid"


def _inserted(dataflow: Dataflow, cut: dict[Link, Skid]) -> Dataflow:
    kernels: list[Kernel] = []
    for kernel in dataflow.kernels:
        kernels.append(kernel)
        kernels += [cut[link] for link in dataflow.links_from(kernel.name) if link in cut]
    links: list[Link] = []
    for link in dataflow.links:
        if link not in cut:
            links.append(link)
            continue
        name = cut[link].name
        links += [replace(link, consumer=name, slot=0), Link(name, 0, link.consumer, link.slot)]
    return replace(dataflow, kernels=tuple(kernels), links=tuple(links)).check("skid placement")
