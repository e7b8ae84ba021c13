"""How fast virtual time passes: a whole DIN session, both sides, every period and every message.

The car asks for current every 250 ms and charges for 20 minutes; the world is simulated from
plugging in to unplugging. The garbage collector is prepared as in the real processes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from controller.config import CarConfig, ChargerConfig
from controller.loop import freeze_garbage
from controller.sim import SimWorld
from tests.perf.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

CHARGE_S = 1200.0
WANTED = 1000.0
INTERVAL_S = 0.25
STEP_S = 60.0
"""Virtual seconds between two signs of life."""
MEAN_POWER_W = 84_000.0
"""What the standard car takes between 62 and 80 %, about."""


def car_that_charges(seconds: float) -> CarConfig:
    """The standard car with a battery that takes this long (and a little more)."""
    car = CarConfig()
    part = (car.car.target_soc_percent - car.battery.soc_percent) / 100.0
    capacity_wh = min(1.05 * MEAN_POWER_W * seconds / 3600.0 / part, 500_000.0)
    return replace(
        car,
        battery=replace(car.battery, capacity_wh=capacity_wh),
        car=replace(car.car, current_demand_interval_s=INTERVAL_S),
    )


def bench(
    progress: Callable[[str], None] = lambda line: None, charge_s: float = CHARGE_S
) -> list[Figure]:
    """Play the session; raises RuntimeError when it did not go as it should."""
    world = SimWorld(ChargerConfig(), car_that_charges(charge_s))
    report, charge = world.report, world.report.phases["charge"]
    freeze_garbage()
    wall, cpu = perf_counter(), process_time()
    world.run(1.0)
    world.world.plug()
    fastest = 0.0
    while not world.has_ended() and world.now < 2 * charge_s + 60.0:
        began_at, began = world.now, perf_counter()
        world.loop.run(world.now + STEP_S, done=world.has_ended)
        if world.now - began_at >= STEP_S / 2:
            fastest = max(fastest, (world.now - began_at) / (perf_counter() - began))
        progress(f"{world.now:.0f} simulated seconds")
    world.world.unplug()
    world.run(world.now + 2.0)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    lasted_s = charge.duration_s or 0.0
    normal = bool(report.reasons) and all(n for _, n in report.reasons.values())
    if not (normal and report.safe and lasted_s >= charge_s):
        raise RuntimeError(f"the session is not as wanted: {report.reasons}, {lasted_s:.0f} s")
    return [
        Figure(
            "whole world in virtual time, 20-minute DIN charge",
            world.now / wall,
            "s/s",
            WANTED,
            at_least=True,
            note=f"{lasted_s:.0f} s of charge, {report.messages} messages in {wall:.2f} s",
        ),
        Figure("  the same by processor time", world.now / cpu, "s/s"),
        Figure("  the same, fastest simulated minute", fastest or world.now / wall, "s/s"),
    ]


if __name__ == "__main__":
    sys.stdout.write("\n".join(figure.line() for figure in bench()) + "\n")
