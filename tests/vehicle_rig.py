"""A vehicle unit's hardware for tests: daemon, converter, inlet, and edges by the kernel's device.

Time is the test's own; only what a thread or a socket needs is waited for.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from controller import board as boards
from controller import hardware_parts, hardware_pev
from controller.config import CarConfig, CarHardwareSection
from controller.cp.proximity import INLET_OHM, PULL_UP_OHM, PULL_UP_V
from controller.cp.sim import PilotCircuit
from controller.cp.sim_adc import SimAds1115, SimMcp3208
from controller.pigpio_link import PigpioLink
from tests.charger_rig import PERIOD_S, TestTime
from tests.cp.fake_gpiod import FakeGpiod
from tests.fake_pigpiod import FakePigpiod, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from controller.hardware_pev import PevHardware
    from controller.signals import PevInputs

OPEN_OHM = 1e9


class VehicleRig:
    """What hangs on the pins and inputs of a vehicle unit."""

    def __init__(self, daemon: FakePigpiod) -> None:
        self.daemon = daemon
        self.gpiod = FakeGpiod()
        self.time = TestTime(daemon)
        self.board = boards.load()
        self.circuit = PilotCircuit()
        self.plug_ohm = OPEN_OHM
        self.frequency_hz = 1000.0
        self.pilot_at = 0.0
        """Up to when edges were made."""
        daemon.now = self.time.now
        daemon.i2c[0x48] = SimAds1115(self.voltage)
        daemon.spi[1] = SimMcp3208(self.voltage)
        self.put("chain_closed", active=True)
        self.put("contactors_open", active=True)

    def plug(self, ohm: float = 1500.0, duty: float = 0.05) -> None:
        self.plug_ohm, self.circuit.plugged, self.circuit.duty = ohm, True, duty

    def unplug(self) -> None:
        self.plug_ohm, self.circuit.plugged = OPEN_OHM, False

    def put(self, name: str, *, active: bool) -> None:
        """Set a pin's level so that it means what its name says, or not."""
        pin = self.board.pev.pins[name]
        self.daemon.level(pin.gpio, int(active is pin.is_active_high))

    def output(self, name: str) -> bool:
        """Whether an output is active."""
        pin = self.board.pev.pins[name]
        return bool(self.daemon.levels[pin.gpio]) is pin.is_active_high

    def voltage(self, number: int, at: float) -> float:
        """Volts at an input of the converter, through the board's dividers."""
        channels = {c.channel: (name, c) for name, c in self.board.pev.channels.items()}
        name, channel = channels[number]
        if name == "proximity":
            to_pe = 1.0 / (1.0 / INLET_OHM + 1.0 / self.plug_ohm)
            value = PULL_UP_V * to_pe / (PULL_UP_OHM + to_pe)
        else:
            self.circuit.s2_closed = self.output("s2")
            value = self.circuit.inlet_sample(at).high_v
        return (value - channel.offset_v) / channel.slope

    def edges(self, until: float) -> None:
        """Let the line behind the comparator follow the pilot."""
        wire, circuit = self.gpiod.wire, self.circuit
        duty = circuit.duty if circuit.is_connected else 0.0
        period = 1.0 / self.frequency_hz
        while self.pilot_at + period <= until:
            if duty in (0.0, 1.0):
                if wire.level != int(duty):
                    wire.put(int(duty), self.pilot_at)
            else:
                wire.put(1, self.pilot_at)
                wire.put(0, self.pilot_at + duty * period)
            self.pilot_at += period

    def config(self, **keys: str) -> CarConfig:
        section = CarHardwareSection(
            pigpiod=f"127.0.0.1:{self.daemon.port}", edges="gpiochip", adc_bus="pigpio"
        )
        section = replace(section, site="/nowhere/site.sock")
        return CarConfig(hardware=replace(section, **keys))  # type: ignore[arg-type]

    def open(self, config: CarConfig | None = None) -> PevHardware:
        self.pilot_at = self.time.at
        return hardware_pev.open_vehicle(config or self.config(), self.board, self.time)

    def period(self, made: PevHardware) -> PevInputs:
        """One period as the service runs it."""
        self.daemon.keep_up()
        self.time.at += PERIOD_S / 2
        made.mid_period(self.time.at)
        self.time.at += PERIOD_S / 2
        self.edges(self.time.at)
        inputs = made.read(self.time.at)
        made.kick()
        return inputs

    def run(self, made: PevHardware, periods: int) -> PevInputs:
        for _ in range(periods - 1):
            self.period(made)
        return self.period(made)


@contextlib.contextmanager
def vehicle_rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[VehicleRig]:
    """Give a rig whose links are patient with a busy machine and are closed afterwards."""
    with running() as daemon:
        rig = VehicleRig(daemon)

        def link(address: str) -> PigpioLink:
            made = PigpioLink(address, 1.0)
            daemon.links.append(made)
            return made

        monkeypatch.setattr(hardware_parts, "PigpioLink", functools.wraps(PigpioLink)(link))
        monkeypatch.setattr(hardware_pev, "load_gpiod", lambda: rig.gpiod)
        monkeypatch.setattr(hardware_pev, "header_chip", lambda gpiod: "/dev/gpiochip0")
        yield rig
