"""One rig: a plant, the charger's two real processes, a real car, and what is done to them.

Everything runs in one loop of this process, so the plant goes on while a test waits. Processes are
started as systemd would: with a socket for notifications, and their standard error kept.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller import ipc, signals_json
from controller.child import Child
from controller.config import CarConfig, ChargerConfig, parse
from controller.loop import Loop, go_first
from controller.process_site import LOOPBACK
from controller.signals import OpenContactors, Phase, V2gEnding, V2gPhaseChanged
from controller.site_link import free_udp_port
from tests.pair.plant import STEP_S, Plant

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
"""For what a machine does in a second."""
CHARGER = """\
[plc]
modem = "none"
[realtime]
period_s = {period_s}
socket = "{folder}/realtime.sock"
[site]
isolation_test_s = 0.1
module_ramp_v_per_s = 4000
"""
CAR = """\
[plc]
modem = "none"
[car]
current_demand_interval_s = 0.05
target_soc_percent = 100
[battery]
soc_percent = 40
capacity_wh = 500000
"""
PLANT_PRIORITY = 60
"""The plant is physics: it waits for nobody."""


class TooLateError(AssertionError):
    """Something did not happen in time."""


class Service:
    """One of the charger's processes, started as a service."""

    def __init__(self, name: str, command: list[str], folder: Path) -> None:
        self.name = name
        self.ready = False
        self.alive = 0
        """Signs of life."""
        self.told: list[str] = []
        self._errors = folder / f"{name}.err"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"\0ccs-pilot-{os.getpid()}-{id(self)}")
        address = self._socket.getsockname()
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": "@" + address[1:].decode(),
            "WATCHDOG_USEC": "500000",
        }
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )

    def listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                for line in self._socket.recv(4096).decode().splitlines():
                    self.ready = self.ready or line == "READY=1"
                    self.alive += line == "WATCHDOG=1"
                    if not line.startswith("WATCHDOG"):
                        self.told.append(line)

    @property
    def said(self) -> str:
        """All that this process and those before it wrote to standard error."""
        return self._errors.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._socket.close()


class Rig:
    """Plant, processes, and the time in between."""

    def __init__(self, folder: Path, *, period_s: float = 0.005) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.loop = Loop()
        self.services: dict[str, Service] = {}
        self.car_phase = Phase.IDLE
        self.car_said: list[str] = []
        self._charger_file = folder / "charger.toml"
        self._car_file = folder / "car.toml"
        text = CHARGER.format(folder=folder, period_s=period_s)
        self._charger_file.write_text(text)
        self._car_file.write_text(CAR)
        self.charger = parse(ChargerConfig, text, "charger")
        self.sdp_port = free_udp_port()
        self._wires = folder / "wires"
        car = parse(CarConfig, CAR, "car")
        self.plant = Plant(self.charger, car, self._wires, self.loop.now())
        self.deadline = self.plant.due
        self._step_count = 0
        self._until: Callable[[], bool] | None = None
        self._child: Child | None = None
        self.loop.add(self)

    # --- time ------------------------------------------------------------------------------------

    def fire(self, now: float) -> None:
        """One step of the plant, and a look at what is waited for."""
        plant = self.plant
        plant.step(now)
        self.deadline = plant.due = max(plant.due + STEP_S, now)
        self._step_count += 1
        if self._step_count % 3 == 0:
            if self._child is not None and not self._child.channel.lost:
                self._child.channel.send_signal(plant.pev_inputs(now))
            for service in self.services.values():
                service.listen()
        if self._until is not None and self._until():
            self.loop.stop()

    def wait(self, until: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> float:
        """Go on until something is so; returns when. Raises TooLateError."""
        end = self.loop.now() + patience_s
        self._until = lambda: until() or self.loop.now() > end
        self.loop.run()
        self._until = None
        if not until():
            raise TooLateError(f"{what} did not happen in {patience_s:g} s\n{self.story()}")
        return self.loop.now()

    def go_on(self, seconds: float) -> None:
        end = self.loop.now() + seconds
        self.wait(lambda: self.loop.now() >= end, "time", seconds + PATIENCE_S)

    # --- processes -------------------------------------------------------------------------------

    def start(self, name: str) -> Service:
        """Start realtime or communication; one that runs is ended first."""
        if name in self.services:
            self.services[name].kill()
        if name == "realtime":
            command = ["-m", "tests.pair.realtime", "--wires", str(self._wires)]
        else:
            command = ["-m", "controller.main", "communication", "--interface", "loopback"]
            command += ["--sdp-port", str(self.sdp_port), "--out", str(self.folder / "traces")]
        command += ["--charger", str(self._charger_file)]
        service = self.services[name] = Service(name, command, self.folder)
        return service

    def wait_ready(self, name: str) -> None:
        service = self.services[name]
        self.wait(lambda: service.ready or service.process.poll() is not None, f"{name} ready")
        assert service.process.poll() is None, f"{name} ended: {service.said}"

    def start_car(self) -> None:
        """Start a whole vehicle, with this rig as its site."""
        near, far = ipc.pair()
        ours, theirs = ipc.pair()
        wire, wire_far = ipc.pair()
        fds = [theirs.fileno(), far.fileno(), wire_far.fileno()]
        command = [sys.executable, "-m", "controller.process", "pev", *map(str, fds)]
        command += ["--link", LOOPBACK, "--sdp-port", str(self.sdp_port)]
        command += ["--config", str(self._car_file)]
        self._child = child = Child("pev", command, fds, ours)
        for sock in (near, far, theirs, wire_far):
            sock.close()
        self._wire = wire  # to no modem; closed, it would be readable for ever
        child.wait_ready()
        child.channel.on_signal(lambda item, now: self.plant.world.carry_out("pev", item, now))
        child.channel.on[ipc.RECORD] = lambda body, now: self._car_record(body)
        self.loop.watch(child.channel.fileno(), child.channel.receive)

    def _car_record(self, body: bytes) -> None:
        _, _, direction, _, data = body.split(b" ", 4)
        item = signals_json.decode(data)
        if isinstance(item, V2gPhaseChanged) and direction == b"out":
            self.car_phase = item.phase
        elif isinstance(item, V2gEnding | OpenContactors):
            self.car_said.append(item.reason)

    # --- what people do --------------------------------------------------------------------------

    def plug(self) -> None:
        self.car_phase = Phase.CONNECTED
        self.plant.world.plug()

    def unplug(self) -> None:
        self.plant.world.unplug()
        self.car_phase = Phase.IDLE

    def reach(self, phase: Phase) -> None:
        """Wait until the session is in a phase, as the car sees it."""
        self.wait(lambda: self.car_phase is phase, f"phase {phase.value}")

    def said(self, name: str = "realtime") -> str:
        path = self.folder / f"{name}.err"
        return path.read_text(errors="replace") if path.exists() else ""

    def story(self) -> str:
        """What is known, for a failed test."""
        lines = [f"car in phase {self.car_phase.value}, duty {self.plant.duty}", *self.car_said]
        lines.append(f"contacts closed {self.plant.closed}, output on {self.plant.output_on}")
        lines.append(f"plant's worst lateness {self.plant.worst_late_s * 1000:.1f} ms")
        for name in ("realtime", "communication"):
            lines += [f"--- {name}", *self.said(name).splitlines()[-15:]]
        return "\n".join(lines)

    def close(self) -> None:
        for service in self.services.values():
            service.kill()
        if self._child is not None:
            self._child.close()
            self._wire.close()
        self.plant.close()
        self.loop.close()


@contextlib.contextmanager
def running(folder: Path, **more: Any) -> Iterator[Rig]:  # noqa: ANN401
    """Give a rig with all its processes up, nothing plugged in."""
    rig = Rig(folder, **more)
    try:
        go_first(PLANT_PRIORITY)
        rig.start("realtime")
        rig.start("communication")
        rig.start_car()
        rig.wait_ready("realtime")
        rig.wait_ready("communication")
        yield rig
    finally:
        rig.close()
