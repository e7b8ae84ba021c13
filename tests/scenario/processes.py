"""The death of a communication process in virtual time, and the one that takes its place."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from controller.communication import EvseCommunication
from controller.plc.sim import seeded_rng
from controller.sim import SIDES, SIM_PORT, SimWorld, host_mac

if TYPE_CHECKING:
    from controller.config import ChargerConfig

SIDE = "evse"


def kill(world: SimWorld) -> None:
    """Let the charger's communication process die: its sockets close, realtime learns it."""
    world.silent.add(SIDE)
    world.network.kill(world.now)
    node = world.nodes[f"{SIDE}.realtime"]
    node.finish(world.evse.communication_lost(world.now), world.now)


def start(world: SimWorld, charger: ChargerConfig) -> None:
    """Start another one: it knows nothing, and is told everything."""
    name, seed = f"{SIDE}.communication", f"keys/{world.now}"
    address = bytes.fromhex("fe80") + bytes(14)
    core = EvseCommunication(charger, host_mac(SIDE), address, SIM_PORT, seeded_rng(seed))
    node = world._communication(SIDE, core)
    world.loop.remove(world.nodes[name])
    world.nodes[name] = node
    world.loop.add(node)
    world._deliver[name] = partial(node.feed, core.receive)
    world._beats[SIDE] = world._connect(SIDE)
    world.silent.discard(SIDE)
    realtime = world.nodes[f"{SIDE}.realtime"]
    realtime.finish(world.evse.communication_found(world.now), world.now)


assert SIDE in SIDES
