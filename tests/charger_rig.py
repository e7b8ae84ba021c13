"""A charger's hardware for tests: a daemon, converters and a pilot circuit, wired as the board is.

Time is the test's own; only what a thread or a socket needs is waited for.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from controller import board as boards
from controller import hardware as under_test
from controller import hardware_parts
from controller.config import ChargerConfig, ChargerSection, HardwareSection
from controller.cp.sim import PilotCircuit
from controller.cp.sim_adc import SimAds1115, SimMcp3208
from controller.pigpio_link import PigpioLink
from tests.fake_pigpiod import FakePigpiod, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from controller.hardware import EvseHardware
    from controller.signals import EvseInputs

PERIOD_S = 0.005
PILOT_GPIO = 18
MAINS_CURRENT = 4


class TestTime:
    """The `Time` of a test; in a pause the daemon's thread does what it was asked to do."""

    __test__ = False

    def __init__(self, daemon: FakePigpiod) -> None:
        self.at = 1000.0
        self._daemon = daemon

    def now(self) -> float:
        return self.at

    def pause(self, seconds: float) -> None:
        self.at += seconds
        self._daemon.keep_up()


class ChargerRig:
    """The daemon with a circuit on CP, and everything a charger's pins are wired to."""

    def __init__(self, daemon: FakePigpiod) -> None:
        self.daemon = daemon
        self.time = TestTime(daemon)
        self.circuit = PilotCircuit()
        self.board = boards.load()
        self.pp_ohm = 220.0
        self.pt1000_ohm = 1077.94
        self.mains_v = 0.0
        self.front_end = (1.0, 0.0)
        """Gain and offset of both detectors: what a calibration has to find."""
        self.ads = SimAds1115(self.voltage)
        daemon.now = self.time.now
        daemon.i2c[0x48] = self.ads
        daemon.spi[1] = SimMcp3208(self.voltage)
        self.link_timeout_s = 1.0
        self.quiet()

    def quiet(self) -> None:
        """Nothing pressed, everything open, chain closed, mains there."""
        for name in self.board.evse.pins:
            if self.board.evse.pins[name].direction == "in":
                self.put(name, active=name in ("chain_closed", "contactors_open"))
        for name in ("mains_l1", "mains_l2", "mains_l3"):
            self.put(name, active=True)

    def measure_mains(self) -> None:
        """Give the board the input that it does not have by default: 20 A a volt."""
        side = self.board.evse
        more = {"mains_current": boards.Channel(MAINS_CURRENT, 20.0, 0.0, "mains")}
        side = replace(side, channels=side.channels | more)
        self.board = replace(self.board, evse=side)

    def put(self, name: str, *, active: bool) -> None:
        """Set a pin's level so that it means what its name says, or not."""
        pin = self.board.evse.pins[name]
        self.daemon.level(pin.gpio, int(active is pin.is_active_high))

    def output(self, name: str) -> bool:
        """Whether an output is active."""
        pin = self.board.evse.pins[name]
        return bool(self.daemon.levels[pin.gpio]) is pin.is_active_high

    @property
    def duty(self) -> float:
        return self.daemon.pwm.get(PILOT_GPIO, (0, 0))[1] / 1e6

    def voltage(self, number: int, at: float) -> float:
        """Volts at an input of the converter."""
        if number == MAINS_CURRENT:
            return self.mains_v
        if number >= 2:
            ohm = self.pp_ohm if number == 2 else self.pt1000_ohm
            return 3.3 * ohm / (ohm + 1000.0)
        self.circuit.duty = self.duty
        sample = self.circuit.pilot_sample(at)
        gain, offset_v = self.front_end
        cp_v = (sample.high_v if number == 0 else sample.low_v) * gain + offset_v
        return (cp_v + 16.0) / 9.58

    def config(
        self, *, ac: bool = False, interlock: str = "external", **keys: str
    ) -> ChargerConfig:
        hardware = HardwareSection(
            pigpiod=f"127.0.0.1:{self.daemon.port}", adc_bus="pigpio", modules="none"
        )
        return ChargerConfig(
            charger=ChargerSection(mode="ac" if ac else "dc", interlock=interlock),
            hardware=replace(hardware, **keys),
        )

    def open(self, config: ChargerConfig | None = None) -> EvseHardware:
        return under_test.open_charger(config or self.config(), self.board, self.time)

    def period(self, hardware: EvseHardware) -> EvseInputs:
        """One period as the service runs it."""
        self.daemon.keep_up()
        self.time.at += PERIOD_S / 2
        hardware.mid_period(self.time.at)
        self.time.at += PERIOD_S / 2
        inputs = hardware.read(self.time.at)
        hardware.kick()
        return inputs

    def run(self, hardware: EvseHardware, periods: int) -> EvseInputs:
        for _ in range(periods - 1):
            self.period(hardware)
        return self.period(hardware)


@contextlib.contextmanager
def charger_rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChargerRig]:
    """Give a rig whose links are patient with a busy machine and are closed afterwards."""
    with running() as daemon:
        rig = ChargerRig(daemon)

        def link(address: str) -> PigpioLink:
            made = PigpioLink(address, rig.link_timeout_s)
            daemon.links.append(made)
            return made

        monkeypatch.setattr(hardware_parts, "PigpioLink", functools.wraps(PigpioLink)(link))
        yield rig
