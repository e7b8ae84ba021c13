"""Charger's and vehicle's board behind the pins, in virtual time, by the daemon's own bytes."""

from __future__ import annotations

import struct
from itertools import pairwise
from math import isnan
from typing import TYPE_CHECKING

import pytest

from controller import board as boards
from controller.config import CarConfig, ChargerConfig, ChargerSection
from controller.cp import limits
from controller.cp.measuring import pt1000_celsius, pulled_up_ohm
from controller.cp.proximity import resistance_ohm
from controller.pigpiod.charger import ChargerScene
from controller.pigpiod.console import Actions, Console, WrongCommandError
from controller.pigpiod.daemon import Daemon, SendBytes
from controller.pigpiod.vehicle import VehicleScene
from controller.pigpiod.wire import BY_NAME, REPLY, REPORT, REQUEST
from controller.plc.sim import seeded_rng
from controller.signals import IsolationReading, OutputReading, PowerEnvelope, SetOutput
from controller.sim import World

if TYPE_CHECKING:
    from collections.abc import Callable

BOARD = boards.load()
PERIOD_S = 0.005


class Bench:
    """A daemon in virtual time, a client on it, and hands at the scene."""

    def __init__(self, scene: ChargerScene | VehicleScene) -> None:
        self.scene = scene
        self.daemon = Daemon(scene)
        self.daemon.connect(1)
        self.now = 100.0
        self.reports: list[tuple[int, int, int, int]] = []
        self.heard: list[str] = []
        self.actions = Actions(scene)
        self._pending = b""
        self.toggling = False
        self._edge = 0
        self.ask("NOIB")

    def ask(self, name: str, first: int = 0, second: int = 0, ext: bytes = b"") -> int:
        return self.ask_for(name, first, second, ext)[0]

    def ask_for(
        self, name: str, first: int = 0, second: int = 0, ext: bytes = b""
    ) -> tuple[int, bytes]:
        request = REQUEST.pack(BY_NAME[name].number, first, second, len(ext)) + ext
        outputs = self.daemon.receive_data(1, request, self.now)
        *reports, reply = [output for output in outputs if isinstance(output, SendBytes)]
        for report in reports:
            self._take(report.data)
        return REPLY.unpack(reply.data[:16])[3], reply.data[16:]

    def run(self, seconds: float) -> None:
        """Let time pass, in periods of the realtime process; it feeds the watchdog if it may."""
        end = self.now + seconds
        next_edge = self.now + PERIOD_S
        while True:
            due = min(self.daemon.next_timer() or end, next_edge, end)
            self.now = max(self.now, due)
            if due >= end:
                break
            for output in self.daemon.handle_timer(self.now):
                assert isinstance(output, SendBytes)
                self._take(output.data)
            if self.now >= next_edge:
                next_edge += PERIOD_S
                if self.toggling:
                    self._edge = 1 - self._edge
                    self.ask("WRITE", 4, self._edge)

    def _take(self, data: bytes) -> None:
        self.reports += REPORT.iter_unpack(data)

    def do(self, line: str) -> str:
        said = self.actions.carry_out(line.split(), self.now)
        for output in self.daemon.circuit_changed(self.now):
            assert isinstance(output, SendBytes)
            self._take(output.data)
        return said

    def adc(self, channel: int) -> float:
        """One conversion of the MCP3208."""
        if not hasattr(self, "_spi"):
            self._spi = self.ask("SPIO", 1, 1_000_000, bytes(4))
        code = bytes((6 | channel >> 2, (channel & 3) << 6, 0))
        _, data = self.ask_for("SPIX", self._spi, 0, code)
        return ((data[1] & 15) << 8 | data[2]) / 4096 * 3.3

    def cp(self) -> tuple[float, float]:
        channels = self.scene.side.channels
        return tuple(
            self.adc(channels[name].channel) * channels[name].slope + channels[name].offset_v
            for name in ("cp_high", "cp_low")
        )  # type: ignore[return-value]

    def reads(self, name: str) -> bool:
        """An input by its meaning."""
        pin = self.scene.side.pins[name]
        return (self.ask("READ", pin.gpio) == 1) is pin.is_active_high

    def pull_inputs(self) -> None:
        for pin in self.scene.side.pins.values():
            if pin.direction == "in":
                self.ask("PUD", pin.gpio, {"none": 0, "down": 1, "up": 2}[pin.pull])

    def pilot(self, duty: float) -> None:
        self.ask("HP", 18, 1000, struct.pack("<I", round(duty * 1_000_000)))


def charger(interlock: str = "external", mode: str = "dc") -> Bench:
    config = ChargerConfig(charger=ChargerSection(interlock=interlock, mode=mode))
    world = World(config, CarConfig())
    scene = ChargerScene(BOARD.evse, world, seeded_rng("test"))
    bench = Bench(scene)
    scene.tell = lambda now, text: bench.heard.append(text)
    bench.pull_inputs()
    return bench


def vehicle() -> Bench:
    world = World(ChargerConfig(), CarConfig())
    bench = Bench(VehicleScene(BOARD.pev, world, seeded_rng("test")))
    bench.pull_inputs()
    return bench


# --- charger: the pilot --------------------------------------------------------------------------


def test_a_pi_that_drives_nothing_leaves_a_pilot_of_minus_12_volts() -> None:
    bench = charger()
    bench.run(0.5)
    assert bench.cp() == pytest.approx((-12.0, -12.0), abs=0.1)
    assert not bench.reads("pilot_loop_back")


@pytest.mark.parametrize("duty", [0.05, 0.5, 0.96])
def test_every_letter_is_read_through_the_converter(duty: float) -> None:
    bench = charger()
    bench.pilot(duty)
    for commands, (lowest, highest) in (
        ((), limits.LEVEL_A_V),
        (("plug",), limits.LEVEL_B_V),
        (("s2 on",), limits.LEVEL_C_V),
        (("ventilation on",), limits.LEVEL_D_V),
        (("short 10",), limits.LEVEL_E_V),
    ):
        for command in commands:
            bench.do(command)
        bench.run(0.15)
        for _ in range(5):
            high, low = bench.cp()
            assert lowest < high < highest
            if commands != ("short 10",):
                assert limits.NEGATIVE_PEAK_V[0] < low < limits.NEGATIVE_PEAK_V[1]
            bench.run(0.0017)


@pytest.mark.parametrize(("duty", "volts"), [(1.0, 12.0), (0.0, -12.0)])
def test_a_steady_pilot_shows_in_both_detectors_and_the_comparator(
    duty: float, volts: float
) -> None:
    bench = charger()
    bench.pilot(duty)
    bench.run(0.5)
    assert bench.cp() == pytest.approx((volts, volts), abs=0.1)
    assert bench.reads("pilot_loop_back") is (duty == 1.0)


def test_the_loop_back_tells_duty_and_frequency() -> None:
    bench = charger()
    bench.pilot(0.05)
    bench.run(0.01)
    bench.ask("NB", 0, 1 << 17)
    bench.run(0.2)
    edges = [(tick, levels >> 17 & 1) for _, flags, tick, levels in bench.reports if not flags]
    ups = [tick for tick, level in edges if level]
    downs = [tick for tick, level in edges if not level and tick > ups[0]]
    assert len(ups) >= 199
    assert {b - a for a, b in pairwise(ups)} == {1000}
    assert all(abs(down - up - 50) <= 5 for up, down in zip(ups, downs, strict=False))


def test_faults_of_the_circuit_are_seen_at_the_pins() -> None:
    bench = charger()
    bench.pilot(0.05)
    bench.do("plug")
    bench.do("diode shorted")
    bench.run(0.2)
    high, low = bench.cp()
    assert low == pytest.approx(-8.8, abs=0.4)
    bench.do("diode good")
    bench.do("wire open")
    bench.run(0.2)
    assert bench.cp()[0] > 11.0
    bench.do("wire whole")
    bench.do("negative 0")
    bench.run(0.2)
    assert bench.cp()[1] > -1.0
    bench.do("negative -12")
    bench.do("supply 0")
    bench.run(0.3)
    assert bench.cp()[0] < 0.5
    assert not bench.reads("pilot_loop_back")
    assert high > 8.0


def test_the_ads1115_measures_the_same() -> None:
    bench = charger()
    bench.pilot(1.0)
    bench.run(0.5)
    handle = bench.ask("I2CO", 1, 0x48, bytes(4))
    bench.ask("I2CWW", handle, 1, struct.pack("<I", 0xE3C3))  # AIN0, 4.096 V, single, 860
    bench.run(0.01)
    word = bench.ask("I2CRW", handle, 0)
    volts = int.from_bytes(word.to_bytes(2, "little"), "big") / 32768 * 4.096
    assert volts * 9.58 - 16.0 == pytest.approx(12.0, abs=0.05)
    assert bench.ask("I2CO", 1, 0x49, bytes(4)) != handle
    assert bench.ask("I2CRW", handle + 1, 0) == -83


def test_temperature_and_cable_are_resistors() -> None:
    bench = charger()
    for celsius in (-20.0, 25.0, 90.0):
        bench.do(f"temperature {celsius}")
        assert pt1000_celsius(pulled_up_ohm(bench.adc(3))) == pytest.approx(celsius, abs=0.6)
    for broken in ("open", "short"):
        bench.do(f"temperature {broken}")
        assert isnan(pt1000_celsius(pulled_up_ohm(bench.adc(3))))
    bench.do("temperature 30")
    assert pt1000_celsius(pulled_up_ohm(bench.adc(3))) == pytest.approx(30.0, abs=0.6)
    assert pulled_up_ohm(bench.adc(2)) > 1e6
    bench.do("plug")
    assert pulled_up_ohm(bench.adc(2)) == pytest.approx(220.0, abs=3.0)


# --- charger: chain and contactors ---------------------------------------------------------------


def ready_to_close() -> Bench:
    bench = charger()
    bench.pilot(0.05)
    bench.do("plug")
    bench.do("s2 on")
    bench.toggling = True
    bench.run(0.1)
    return bench


def test_the_chain_needs_the_watchdogs_edges() -> None:
    bench = charger()
    bench.run(0.05)
    assert not bench.reads("chain_closed")
    bench.toggling = True
    bench.run(0.05)
    assert bench.reads("chain_closed")
    bench.toggling = False
    bench.run(0.021)
    assert not bench.reads("chain_closed")


def test_the_watchdog_can_be_broken_and_made_patient() -> None:
    for bench in (charger(), vehicle()):
        bench.do("watchdog welded")
        assert bench.reads("chain_closed")
        bench.do("watchdog dead")
        bench.toggling = True
        bench.run(0.1)
        assert not bench.reads("chain_closed")
        bench.do("watchdog ok")
        bench.do("watchdog 0.5")
        bench.run(0.1)
        bench.toggling = False
        bench.run(0.4)
        assert bench.reads("chain_closed")
        bench.run(0.2)
        assert not bench.reads("chain_closed")


def test_pwm_on_the_watchdogs_pin_counts_as_edges_and_a_level_does_not() -> None:
    bench = charger()
    bench.ask("PFS", 4, 100)
    bench.ask("PWM", 4, 128)
    bench.run(0.1)
    assert bench.reads("chain_closed")
    bench.ask("WRITE", 4, 1)
    bench.run(0.05)
    assert not bench.reads("chain_closed")


def test_contactors_close_only_with_chain_and_vehicle() -> None:
    bench = ready_to_close()
    assert bench.reads("coil_supply")
    assert bench.reads("contactors_open")
    bench.ask("WRITE", 23, 1)
    bench.run(0.1)
    assert not bench.reads("contactors_open")
    assert "contactors closed" in bench.heard
    bench.do("s2 off")
    bench.run(0.05)
    assert bench.reads("contactors_open")
    assert not bench.reads("coil_supply")
    assert bench.reads("chain_closed")  # whatever the pilot does
    bench.do("s2 on")
    bench.run(0.1)
    assert bench.reads("contactors_open")  # only a new command closes them
    bench.ask("WRITE", 23, 0)
    bench.ask("WRITE", 23, 1)
    bench.run(0.1)
    assert not bench.reads("contactors_open")


@pytest.mark.parametrize(
    "accident",
    [
        lambda bench: setattr(bench, "toggling", False),
        lambda bench: bench.do("emergency on"),
        lambda bench: bench.do("unplug"),
        lambda bench: bench.do("short 10"),
        lambda bench: bench.ask("WRITE", 23, 0),
        lambda bench: bench.ask("MODES", 23, 0),
        lambda bench: bench.pilot(0.0),
        lambda bench: bench.pilot(1.0),
    ],
)
def test_every_accident_opens_the_contactors(accident: Callable[[Bench], object]) -> None:
    bench = ready_to_close()
    bench.ask("WRITE", 23, 1)
    bench.run(0.1)
    assert not bench.reads("contactors_open")
    accident(bench)
    bench.run(0.05)
    assert bench.reads("contactors_open")


def test_welded_and_stuck_contactors() -> None:
    bench = ready_to_close()
    bench.do("stuck on")
    bench.ask("WRITE", 23, 1)
    bench.run(0.1)
    assert bench.reads("contactors_open")
    bench.do("stuck off")
    bench.ask("WRITE", 23, 0)
    bench.ask("WRITE", 23, 1)
    bench.run(0.1)
    bench.do("weld on")
    bench.ask("WRITE", 23, 0)
    bench.run(0.1)
    assert not bench.reads("contactors_open")


def test_the_emergency_stop_has_two_channels() -> None:
    bench = ready_to_close()
    assert not bench.reads("emergency_stop_a")
    assert not bench.reads("emergency_stop_b")
    bench.do("emergency on b")
    assert (bench.reads("emergency_stop_a"), bench.reads("emergency_stop_b")) == (False, True)
    assert not bench.reads("chain_closed")
    bench.do("emergency off")
    assert not bench.reads("emergency_stop_b")
    assert bench.reads("chain_closed")


def test_a_board_without_interlock_leaves_its_pins_to_the_pulls() -> None:
    bench = charger(interlock="none")
    bench.toggling = True
    bench.run(0.1)
    assert not bench.reads("chain_closed")
    bench.ask("WRITE", 23, 1)
    bench.run(0.1)
    assert not bench.reads("contactors_open")  # nothing in between


def test_ac_inputs() -> None:
    bench = charger(mode="ac")
    assert [bench.reads(f"mains_l{n}") for n in (1, 2, 3)] == [True, True, True]
    bench.do("mains l2 off")
    assert [bench.reads(f"mains_l{n}") for n in (1, 2, 3)] == [True, False, True]
    assert not bench.reads("rcd_tripped")
    bench.do("rcd tripped")
    assert bench.reads("rcd_tripped")
    bench.pilot(1.0)  # an AC board needs no oscillator
    bench.do("plug")
    bench.do("s2 on")
    bench.toggling = True
    bench.run(0.1)
    assert not bench.reads("live_behind")
    bench.ask("WRITE", 23, 1)
    bench.run(0.1)
    assert bench.reads("live_behind")
    ac = bench.scene.world.ac
    assert ac is not None
    assert (ac.phases, ac.rcd_tripped) == (2, True)
    for phase in (1, 3):
        bench.do(f"mains l{phase} off")
    assert not bench.reads("live_behind")


# --- charger: modules and car --------------------------------------------------------------------


def test_modules_need_their_enable_wire_and_the_chain() -> None:
    bench = ready_to_close()
    scene = bench.scene
    assert isinstance(scene, ChargerScene)

    def voltage() -> float:
        scene.carry_out(SetOutput(400.0, 10.0, on=True), bench.now)
        bench.run(2.0)
        output, isolation, envelope = scene.site_signals(bench.now)
        assert isinstance(output, OutputReading)
        assert isinstance(isolation, IsolationReading)
        assert isinstance(envelope, PowerEnvelope)
        assert output.taken_at == bench.now
        return output.voltage_v

    assert voltage() < 5.0
    bench.ask("WRITE", 22, 1)
    assert voltage() == pytest.approx(400.0, abs=2.0)
    bench.toggling = False
    assert voltage() < 60.0


def test_contacts_that_moved_as_the_modules_were_asked_show_at_the_pins() -> None:
    """A controller that fell silent reads nothing: the modules' socket alone lets time pass."""
    bench = ready_to_close()
    scene = bench.scene
    assert isinstance(scene, ChargerScene)
    bench.ask("WRITE", 23, 1)
    bench.run(0.1)
    assert not bench.reads("contactors_open")
    bench.toggling = False
    bench.heard.clear()
    for _ in range(100):
        bench.now += 0.001
        scene.site_signals(bench.now)
        bench.daemon.circuit_changed(bench.now)
    assert bench.heard.count("contactors open") == 1
    at = round(bench.now * 1e9)
    level = bench.daemon.pins.levels(at) >> scene.side.pins["contactors_open"].gpio & 1
    assert not level  # active low


def test_a_scripted_car_closes_s2_after_the_oscillator_began() -> None:
    bench = charger()
    bench.do("car 0.5")
    bench.do("plug")
    bench.run(1.0)
    assert not bench.scene.pilot.s2_closed
    bench.pilot(0.05)
    bench.run(0.45)
    assert not bench.scene.pilot.s2_closed
    bench.run(0.1)
    assert bench.scene.pilot.s2_closed
    bench.pilot(1.0)
    bench.run(0.01)
    assert not bench.scene.pilot.s2_closed


# --- vehicle -------------------------------------------------------------------------------------


def test_a_vehicle_sees_the_pilots_edges_behind_its_diode() -> None:
    bench = vehicle()
    bench.do("duty 5%")
    bench.run(0.1)
    assert bench.ask("READ", 17) == 0
    bench.ask("NB", 0, 1 << 17)
    bench.run(0.05)
    assert bench.reports == []  # nothing arrives at an inlet without a plug
    bench.do("plug")
    bench.run(0.05)
    ups = [tick for _, _, tick, levels in bench.reports if levels >> 17 & 1]
    assert len(ups) >= 49
    assert {b - a for a, b in pairwise(ups)} == {1000}
    bench.do("duty 50 900")
    bench.run(0.05)
    ticks = [tick for _, _, tick, levels in bench.reports if levels >> 17 & 1][-20:]
    gaps = [b - a for a, b in pairwise(ticks)]
    assert set(gaps) <= {1110, 1115}
    bench.do("duty steady")
    bench.run(0.05)
    assert bench.ask("READ", 17) == 1


def test_s2_changes_what_the_vehicle_measures() -> None:
    bench = vehicle()
    bench.do("plug")
    bench.do("duty 5")
    bench.run(0.2)
    high = bench.adc(0) * 4.3
    bench.ask("WRITE", 22, 1)
    bench.run(0.2)
    assert high == pytest.approx(8.15, abs=0.2)  # 9 V less the diode, less what it droops
    assert bench.adc(0) * 4.3 == pytest.approx(5.2, abs=0.2)
    assert bench.scene.pilot.s2_closed
    bench.do("unplug")
    bench.run(0.3)
    assert bench.adc(0) == pytest.approx(0.0, abs=0.01)


def test_proximity_is_a_resistor_of_the_plug() -> None:
    bench = vehicle()
    assert resistance_ohm(bench.adc(1) * 2) > 1e4
    bench.do("plug")
    assert resistance_ohm(bench.adc(1) * 2) == pytest.approx(1500.0, rel=0.02)
    bench.do("pp 150")
    assert resistance_ohm(bench.adc(1) * 2) == pytest.approx(150.0, rel=0.02)


def test_the_vehicles_contactors_need_its_watchdog() -> None:
    bench = vehicle()
    bench.ask("WRITE", 23, 1)
    bench.run(0.1)
    assert bench.reads("contactors_open")
    bench.toggling = True
    bench.run(0.1)
    assert bench.reads("chain_closed")
    assert not bench.reads("contactors_open")
    bench.toggling = False
    bench.run(0.1)
    assert not bench.reads("chain_closed")
    assert bench.reads("contactors_open")


# --- console -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("fly", "fly: unknown; there are amperes, car"),
        ("plug in", "plug: not allowed; nothing comes after it"),
        ("s2", "s2: not allowed; on or off"),
        ("s2 maybe", "s2: not allowed; on or off"),
        ("short", "short: not allowed; a number from 1"),
        ("short nan", "short: not allowed; a number from 1"),
        ("diode big", "diode: not allowed; good, shorted, open"),
        ("emergency on c", "emergency: not allowed; on or off, and a or b"),
        ("mains l4 on", "mains: not allowed; l1, l2 or l3"),
        ("temperature 1000", "temperature: not allowed; a number from -40 to 200"),
        ("modules loud", "modules: not allowed; talk or silent"),
        ("status now", "status: not allowed; nothing"),
    ],
)
def test_what_is_not_understood_changes_nothing_and_says_what_is_allowed(
    line: str, text: str
) -> None:
    with pytest.raises(WrongCommandError) as raised:
        charger().do(line)
    assert str(raised.value).startswith(text)


@pytest.mark.parametrize(
    "line", ["duty", "duty 101", "duty 5 1", "pp x", "s2 on", "dc", "dc 0", "dc 400 x"]
)
def test_the_vehicles_words_are_checked_too(line: str) -> None:
    with pytest.raises(WrongCommandError):
        vehicle().do(line)


def test_a_console_waits_and_goes_on() -> None:
    bench = charger()
    said: list[tuple[float, str]] = []
    console = Console(bench.actions, lambda now, text: said.append((now, text)))
    assert console.next_timer() is None
    console.put("PLUG; wait 2 # a comment\n\nnonsense\nwait x\ns2 on; help\n")
    assert console.next_timer() == 0.0
    assert console.handle_timer(1.0)
    assert said == [(1.0, "plugged in")]
    assert console.next_timer() == 3.0
    assert not console.handle_timer(2.9)
    assert console.handle_timer(3.0)
    texts = [text for _, text in said[1:]]
    assert texts[0].startswith("nonsense: unknown")
    assert texts[1].startswith("wait: not allowed")
    assert texts[2] == "S2 on"
    assert len(texts) == 3 + len(bench.actions.commands)
    assert bench.do("status").startswith("duty ")
    for line in ("isolation 1e6", "modules silent", "modules talk", "inlet close", "car off"):
        assert bench.do(line)
    other = vehicle()
    for line in ("weld on", "stuck off", "duty off", "status", "diode open"):
        assert other.do(line)
