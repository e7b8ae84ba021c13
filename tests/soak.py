"""Does memory grow? An hour of real periods and a day of virtual time, as fast as they go.

`make soak` (or `python -m tests.soak`) runs both in full: 720,000 periods of 5 ms of the realtime
service itself, sockets, records and journal included, and 24 hours of a simulated charger and car
with a plug-in each hour. Tests run a tenth. The collector is off as in earnest: frozen after the
start, and asked only in state A, every five minutes.

Counted are the interpreter's memory blocks and the memory that the process occupies, always at the
same place of a cycle. A leak of a single object a period would be 720,000 blocks.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from controller.config import CarConfig, ChargerConfig, parse
from controller.sim import SimWorld
from tests.service_rig import PERIOD_S, Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOUR_S, DAY_H = 3600.0, 24
CYCLE_S = 40.0
"""One plug-in with a charge, and idle time."""
BLOCKS_ALLOWED = 500
"""The backlog of records and the like fill up to their bounds after the first cycles."""
DAY_BLOCKS_ALLOWED = 2500
"""In a day of whole sessions also the codec's caches: frames, numbers, each with a bound."""
BYTES_ALLOWED = 2 << 20
"""Of what the process occupies: an arena of the allocator, or two."""


@dataclass
class Growth:
    """What was counted at the end of each cycle."""

    allowed: int = BLOCKS_ALLOWED
    blocks: list[int] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)

    def count(self) -> None:
        gc.collect()  # as in state A
        self.blocks.append(sys.getallocatedblocks())
        self.resident.append(resident())

    @property
    def grown_blocks(self) -> int:
        """From the end of the first third (all is warm by then) to the end."""
        return self.blocks[-1] - self.blocks[len(self.blocks) // 3]

    @property
    def grown_bytes(self) -> int:
        return self.resident[-1] - self.resident[len(self.resident) // 3]

    @property
    def is_constant(self) -> bool:
        return self.grown_blocks <= self.allowed and self.grown_bytes <= BYTES_ALLOWED

    def line(self, what: str) -> str:
        return (
            f"{what}: {self.blocks[-1]} blocks, {self.grown_blocks:+d}; "
            f"{self.resident[-1] / 2**20:.1f} MiB, {self.grown_bytes / 2**10:+.0f} KiB"
        )


def resident() -> int:
    """Bytes that this process occupies now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096


@contextmanager
def collector_as_in_earnest() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def periods(folder: Path, seconds: float, progress: Callable[[str], None]) -> Growth:
    """Run the realtime service for so many seconds of its periods, a plug-in every CYCLE_S."""
    growth = Growth()
    with collector_as_in_earnest():
        rig = Rig(folder)
        try:
            for cycle in range(int(seconds / CYCLE_S)):
                _cycle(rig)
                growth.count()
                progress(growth.line(f"cycle {cycle + 1}, {rig.service.loop.periods} periods"))
        finally:
            rig.close()
    return growth


def _cycle(rig: Rig) -> None:
    """Idle, a charge, its end by a peer that falls silent, the next peer."""
    end = rig.now + CYCLE_S
    peer = rig.charge()
    rig.run(CYCLE_S / 2)
    peer.beats = False
    rig.until(lambda: rig.is_safe)
    peer.channel.close()
    rig.peers.clear()
    rig._everyone.clear()
    rig.world.pilot.s2_closed = False
    rig.world.circuit.inlet_contactors.set_closed(False)
    rig.world.unplug()
    rig.run(end - rig.now)
    rig.hardware.calls.clear()


def day(hours: int, progress: Callable[[str], None]) -> Growth:
    """Run a simulated charger and car for so many hours, with a short charge in each."""
    growth = Growth(DAY_BLOCKS_ALLOWED)
    charger = parse(ChargerConfig, "", "charger")
    car = parse(CarConfig, "[battery]\nsoc_percent = 20\ncapacity_wh = 500000\n", "car")
    with collector_as_in_earnest():
        site = SimWorld(charger, car)
        for hour in range(hours):
            begin = hour * HOUR_S
            site.run(begin + 60.0)
            site.world.plug()
            site.run(begin + 300.0)
            site.world.unplug()
            site.run(begin + HOUR_S)
            growth.count()
            progress(growth.line(f"hour {hour + 1}"))
    return growth


def main() -> int:
    """Run both, or a part of them; exit code 1 if memory grew."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--part", type=float, default=1.0, help="of an hour, and of a day")
    part = parser.parse_args().part

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as folder:
        hour = periods(Path(folder), HOUR_S * part, say)
    virtual = day(round(DAY_H * part), say)
    say(hour.line(f"{HOUR_S * part / PERIOD_S:.0f} periods"))
    say(virtual.line(f"{DAY_H * part:.3g} hours of virtual time"))
    grown = not (hour.is_constant and virtual.is_constant)
    say("MEMORY GREW" if grown else "memory is constant")
    return int(grown)


if __name__ == "__main__":
    sys.exit(main())
