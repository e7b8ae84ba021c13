"""One rig: a plant, the charger's two real processes, a real car, and what is done to them.

Everything runs in one loop of this process, so the plant goes on while a test waits. Processes are
started as systemd would: with a socket for notifications, and their standard error kept.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller import ipc, signals_json
from controller.child import Child
from controller.config import CarConfig, ChargerConfig, parse
from controller.loop import Loop
from controller.process_site import LOOPBACK
from controller.signals import (
    CloseContactors,
    OpenContactors,
    Phase,
    SetS2,
    StopRequest,
    V2gEnding,
    V2gPhaseChanged,
)
from controller.site_link import free_udp_port
from tests.pair.plant import STEP_S, Plant, VehicleBoard

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
"""For what a machine does in a second."""
LOOK_STEPS = 15
"""Logs are read every so many steps of the plant."""
SESSION_S = 12.0
"""For what a session takes two seconds to reach."""
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
[realtime]
socket = "{folder}/car-realtime.sock"
[hardware]
rest_s = 0
[car]
current_demand_interval_s = 0.05
target_soc_percent = 100
[battery]
soc_percent = 40
capacity_wh = 500000
"""
PLANT_PRIORITY = 60
"""The plant is physics: it waits for nobody."""


def go_first(priority: int) -> list[str]:
    """Run before all else, but not the processes that we start: they are what is tested."""
    try:
        how = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, how, os.sched_param(priority))
    except OSError as error:
        return [f"the plant is not hard-timed ({error.strerror})"]
    return []


class TooLateError(AssertionError):
    """Something did not happen in time."""


class Service:
    """One of the charger's processes, started as a service."""

    def __init__(self, name: str, command: list[str], folder: Path) -> None:
        self.name = name
        self._out = folder / f"{name}.out"
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
            "CCS_PILOT_CLOCK": str(folder / "clock"),
            "PYTHONPATH": os.pathsep.join(
                [str(Path(__file__).parent / "stepped"), os.environ.get("PYTHONPATH", "")]
            ),
        }
        with self._errors.open("ab") as errors, self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
            )

    def listen(self) -> None:
        with contextlib.suppress(OSError):  # nothing waits, or killed meanwhile
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

    @property
    def told_us(self) -> list[str]:
        """Lines on its standard output."""
        return self._out.read_text().splitlines()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._socket.close()


class ScriptedCar:
    """Moves S2 and the inlet contactors as a vehicle would, without a word of V2G."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._digital_since: float | None = None
        self._was_tested = self._is_checked = False

    @property
    def is_checked(self) -> bool:
        """The cable check's voltage has come and gone."""
        return self._is_checked

    def step(self, now: float) -> None:
        world = self._plant.world
        digital = world.pilot.plugged and 0.0 < world.pilot.duty < 1.0
        if not digital:
            self._digital_since = None
            self._was_tested = self._is_checked = False
        elif self._digital_since is None:
            self._digital_since = now
        wants = self._digital_since is not None and now >= self._digital_since + 0.1
        if wants is not world.pilot.s2_closed:
            world.carry_out("pev", SetS2(wants), now)
        self._move_contactors(now)

    def _move_contactors(self, now: float) -> None:
        world = self._plant.world
        voltage_v, battery_v = world.circuit.voltage_v, world.battery.open_voltage_v
        closed = self._plant.closed
        self._was_tested = closed and (self._was_tested or voltage_v > 300.0)
        self._is_checked = closed and (self._is_checked or (self._was_tested and voltage_v < 100.0))
        wanted = self._is_checked and (
            world.circuit.inlet_contactors.commanded or abs(voltage_v - battery_v) < 10.0
        )
        if wanted is not world.circuit.inlet_contactors.commanded:
            command = CloseContactors() if wanted else OpenContactors("scripted")
            world.carry_out("pev", command, now)


class Rig:
    """Plant, processes, and the time in between."""

    def __init__(self, folder: Path, *, period_s: float = 0.005) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.step_wall_clock(0.0)
        self.loop = Loop()
        self.services: dict[str, Service] = {}
        self.car_phase = Phase.IDLE
        self.car_said: list[str] = []
        self.refused: list[str] = []
        """What the kernel did not let the plant have."""
        self._charger_file = folder / "charger.toml"
        self._car_file = folder / "car.toml"
        text = CHARGER.format(folder=folder, period_s=period_s)
        self._charger_file.write_text(text)
        self._car_file.write_text(CAR.format(folder=folder))
        self.charger = parse(ChargerConfig, text, "charger")
        self.sdp_port = free_udp_port()
        self._wires = folder / "wires"
        car = parse(CarConfig, CAR.format(folder=folder), "car")
        self.plant = Plant(self.charger, car, self._wires, self.loop.now())
        self.deadline = self.plant.due
        self._step_count = 0
        self._until: Callable[[], bool] | None = None
        self._child: Child | None = None
        self.car: ScriptedCar | None = None
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
        if self.car is not None:
            self.car.step(now)
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

    def start(self, name: str, *peer: str) -> Service:
        """Start realtime or communication; one that runs is ended first.

        With arguments for `tests.pair.peer` that one takes the place of communication.
        """
        if name in self.services:
            self.services[name].kill()
        if peer:
            command = ["-m", "tests.pair.peer", "--socket", f"{self.folder}/realtime.sock", *peer]
            self.services[name] = Service(name, command, self.folder)
            return self.services[name]
        car = name.startswith("car-")
        if name.endswith("realtime"):
            wires = self._wires.with_name("car-wires") if car else self._wires
            command = ["-m", "tests.pair.realtime", "--wires", str(wires)]
        else:
            command = ["-m", "controller.main", "communication", "--interface", "loopback"]
            traces = self.folder / ("car-traces" if car else "traces")
            command += ["--sdp-port", str(self.sdp_port), "--out", str(traces)]
        command += ["--car", str(self._car_file)] if car else ["--charger", str(self._charger_file)]
        service = self.services[name] = Service(name, command, self.folder)
        return service

    def start_vehicle_unit(self) -> None:
        """Start a vehicle as two services, wired to the plant like the charger's."""
        wires = self._wires.with_name("car-wires")
        self.plant.vehicle = VehicleBoard(self.plant.world, wires, self.loop.now())
        for name in ("car-realtime", "car-communication"):
            self.start(name)

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
        """Wait until the session is in a phase, as the car sees it; one that failed never will."""
        self.wait(lambda: self.car_phase in (phase, Phase.FAULT), f"{phase.value}", SESSION_S)
        if self.car_phase is not phase:
            raise TooLateError(f"the session failed before {phase.value}\n{self.story()}")

    def step_wall_clock(self, seconds: float) -> None:
        """Let the date of the processes under test jump; see `stepped`."""
        new = self.folder / "clock.new"
        new.write_text(f"{seconds}", encoding="ascii")
        new.rename(self.folder / "clock")

    def ask_car_to_stop(self) -> None:
        assert self._child is not None
        self._child.channel.send_signal(StopRequest("the driver has enough"))

    def marks(self) -> dict[str, int]:
        """How long each journal is now."""
        return {name: len(self.said(name)) for name in self.services}

    def stalled_s(self, marks: dict[str, int]) -> float:
        """How long the machine stood still, as plant and processes saw it since `marks`.

        More than a second is not the machine: that was a SIGSTOP of ours, or the plant saw it, too.
        Nor is a turn of a loop that was late because of its own work.
        """
        late_ms = [self.plant.worst_late_s * 1e3]
        for name in self.services:
            said = self.said(name)[marks.get(name, 0) :]
            late_ms += [float(ms) for ms in re.findall(r"woke it late \((\d+\.\d) ms\)", said)]
            for turned_ms, own_ms in re.findall(r"turned (\d+) ms late, after (\d+) ms", said):
                late_ms += [float(turned_ms)] if int(own_ms) < int(turned_ms) / 2 else []
        return max([late_ms[0], *(ms for ms in late_ms if ms < 1000.0)]) / 1e3

    def is_busy(self) -> bool:
        """Say that this is no step for reading files: the plant must not wait for long ones."""
        return self._step_count % LOOK_STEPS != 0

    def is_idle(self) -> bool:
        """Realtime sees no vehicle, and the station has said that it waits for one."""
        if self.is_busy():
            return False
        states = [line for line in self.services["communication"].told if "STATUS=" in line]
        pilots = re.findall(r"^pilot (\w+)", self.said(), re.MULTILINE)
        tests = re.findall(r"interlock: proved|at rest: chain open", self.said())
        proved = tests[-1:] == ["interlock: proved"]
        return proved and states[-1:] == ["STATUS=unplugged"] and pilots[-1:] == ["A1"]

    def said(self, name: str = "realtime") -> str:
        path = self.folder / f"{name}.err"
        return path.read_text(errors="replace") if path.exists() else ""

    def story(self) -> str:
        """What is known, for a failed test."""
        lines = [f"car in phase {self.car_phase.value}, duty {self.plant.duty}", *self.car_said]
        lines.append(f"contacts closed {self.plant.closed}, output on {self.plant.output_on}")
        lines.append(f"plant's worst lateness {self.plant.worst_late_s * 1000:.1f} ms")
        for name in self.services:
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


def bring_up(
    folder: Path,
    *,
    scripted: bool = False,
    unit: bool = False,
    **more: Any,  # noqa: ANN401
) -> Rig:
    """Make a rig with nothing plugged in: all real, or for `tests.pair.peer` (not started).

    With `unit` the vehicle is two services as well, else one process of a simulated site.
    """
    rig = Rig(folder, **more)
    try:
        rig.refused = go_first(PLANT_PRIORITY)
        rig.start("realtime")
        if scripted:
            rig.car = ScriptedCar(rig.plant)
        else:
            rig.start("communication")
            if unit:
                rig.start_vehicle_unit()
            else:
                rig.start_car()
        for name in rig.services:
            rig.wait_ready(name)
        rig.wait(lambda: "interlock: proved" in rig.said(), "the interlock's self-test")
    except BaseException:
        rig.close()
        raise
    return rig


@contextlib.contextmanager
def running(folder: Path, **more: Any) -> Iterator[Rig]:  # noqa: ANN401
    """Give a rig for as long as a test needs it."""
    rig = bring_up(folder, **more)
    try:
        yield rig
    finally:
        rig.close()
