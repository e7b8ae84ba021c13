"""A realtime process to be measured: our period with the charger's core and simulated hardware.

Prints one line of JSON at its end: percentiles of its lateness in microseconds, what was skipped,
and what the kernel refused.
"""

from __future__ import annotations

import argparse
import json
import sys

from controller.config import CarConfig, ChargerConfig
from controller.loop import PreciseClock, become_realtime
from controller.period import PeriodLoop
from controller.realtime import EvseRealtime
from controller.sim import World

PERCENTS = (50.0, 99.0, 99.9)


def main() -> int:
    """Run so many periods."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--period-us", type=int, default=1000)
    parser.add_argument("--periods", type=int, default=5000)
    parser.add_argument("--priority", type=int, default=80)
    parser.add_argument("--cpu", type=int, default=-1)
    args = parser.parse_args()
    world = World(ChargerConfig(), CarConfig())
    core = EvseRealtime(hardware_interlock=True)

    def decide(now: float) -> None:
        world.advance(now)
        for output in core.receive(world.evse_inputs(now), now):
            world.carry_out("evse", output, now)

    def count(now: float) -> None:
        if loop.periods >= args.periods:
            loop.stop()

    loop = PeriodLoop(args.period_us / 1e6, [("decide", decide), ("count", count)], PreciseClock())
    refused = become_realtime(args.priority, args.cpu)
    loop.run()
    late = [seconds * 1e6 for seconds in loop.lateness.percentiles_s(*PERCENTS)]
    figures = {"late_us": [*late, loop.lateness.worst_ns / 1e3], "skipped": loop.skipped}
    sys.stdout.write(json.dumps(figures | {"refused": refused}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
