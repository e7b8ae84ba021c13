"""How long a start takes: the command line's help, and the controller until it drives the pilot.

"Pilot driven" is measured from starting the charger's two processes, with a vehicle plugged in
already, until the realtime process commands 5 % duty. That takes everything: both interpreters and
their imports, the first inputs, the debounced state B, its way to the other process, the station's
decision and its way back.
"""

from __future__ import annotations

import select
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from controller import ipc
from controller.config import CarConfig, ChargerConfig
from controller.signals import DUTY_DIGITAL, Output, SetDuty
from controller.sim import World
from tests.perf.children import CLOCK, PATIENCE_S, ROOT, Child, NotMeasuredError, compiled
from tests.perf.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
PERIOD_S = 0.005
HELP_S = 0.150
DRIVEN_S = 1.0


def _command() -> list[str]:
    """The console command of this interpreter, or the module where it is not installed."""
    script = Path(sys.executable).with_name("ccs-pilot")
    return [str(script)] if script.exists() else [sys.executable, "-m", "controller.main"]


def _seconds(command: list[str]) -> float:
    began = perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, cwd=ROOT)
    return perf_counter() - began


def _help(rounds: int) -> list[Figure]:
    times: dict[str, list[float]] = {"help": [], "pass": []}
    for _ in range(rounds):
        times["pass"].append(_seconds([sys.executable, "-c", "pass"]))
        times["help"].append(_seconds([*_command(), "--help"]))
    took, least = (statistics.median(times[key]) for key in ("help", "pass"))
    note = f"{took / least:.1f} times `python -c pass` ({least * 1e3:.0f} ms)"
    return [Figure("ccs-pilot --help", took * 1e3, "ms", HELP_S * 1e3, note=note)]


class Start:
    """One start of the charger's processes."""

    def __init__(self) -> None:
        self._commands: list[tuple[float, Output]] = []
        self._world = World(ChargerConfig(), CarConfig())
        self._world.plug()
        near, far = ipc.pair()
        began = perf_counter()
        self.realtime = Child("evse-realtime", near)
        self.communication = Child("evse-communication", far, "--sdp-port", "0")
        near.close()
        far.close()
        try:
            self.realtime.wait_ready()
            self.first_s = self._play(lambda item: True) - began
            self.driven_s = self._play(_drives_digital) - began
            self.communication.wait_ready()
            self.resident_mib = {
                child.name: child.resident_mib() for child in (self.realtime, self.communication)
            }
        finally:
            self.realtime.close()
            self.communication.close()

    def _play(self, wanted: Callable[[Output], bool]) -> float:
        """Be the site until a wanted command comes; returns when that was."""
        channel = self.realtime.channel
        channel.on_signal(lambda item, now: self._command(item))
        end = perf_counter() + PATIENCE_S
        while perf_counter() < end:
            now = CLOCK.now()
            self.realtime.send(self._world.evse_inputs(now))
            select.select([channel], [], [], PERIOD_S)
            channel.receive(now)
            found = next((at for at, item in self._commands if wanted(item)), None)
            if found is not None:
                return found
        raise NotMeasuredError("the realtime process did not command what was expected")

    def _command(self, item: Output) -> None:
        self._commands.append((perf_counter(), item))
        self._world.carry_out("evse", item, CLOCK.now())


def _drives_digital(item: Output) -> bool:
    return isinstance(item, SetDuty) and item.duty == DUTY_DIGITAL


def bench(
    progress: Callable[[str], None] = lambda line: None, rounds: int = ROUNDS
) -> list[Figure]:
    """Measure; raises NotMeasuredError when a process does not start."""
    with compiled():
        for command in ([sys.executable, "-c", "pass"], [*_command(), "--help"]):
            _seconds(command)
        figures = _help(rounds)
        Start()
        starts = []
        for number in range(rounds):
            progress(f"start {number + 1} of {rounds}")
            starts.append(Start())
    driven = statistics.median(start.driven_s for start in starts)
    first = statistics.median(start.first_s for start in starts)
    figures += [
        Figure("controller: start to pilot driven (5 %)", driven * 1e3, "ms", DRIVEN_S * 1e3),
        Figure("  realtime process: start to its first command", first * 1e3, "ms"),
    ]
    for name in starts[0].resident_mib:
        memory = statistics.median(start.resident_mib[name] for start in starts)
        figures.append(Figure(f"  memory of {name} after the start", memory, "MiB"))
    return figures


if __name__ == "__main__":
    sys.stdout.write("\n".join(figure.line() for figure in bench()) + "\n")
