"""The steps with the hardware opened: good, broken in every way; nothing closed, all given back."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from controller import hardware_parts
from controller.board import Board, Side
from controller.check import driver_bench
from controller.check.findings import Finding, Status
from controller.cp.edges import Line, Timing
from controller.power.sim_interlock import SimInterlock, SimWatchdog
from tests.charger_rig import ChargerRig, charger_rig
from tests.vehicle_rig import VehicleRig, vehicle_rig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.config import ChargerConfig

OK, WARN, FAIL = Status.OK, Status.WARN, Status.FAIL
LOOP_BACK = 17


class Comparator:
    """`EdgePort` on the rig's pilot."""

    def __init__(self, rig: ChargerRig) -> None:
        self.rig = rig
        self.frequency_hz = 1000.0
        self.inverted = False
        self.line: Line | None = None
        self.closed = False
        self.duties: set[float] = set()

    def read(self, now: float) -> tuple[Timing, float]:
        duty = self.rig.duty
        self.duties.add(duty)
        line = Line.OSCILLATING if 0.0 < duty < 1.0 else Line.HIGH
        shown = 1.0 - duty if self.inverted else duty
        return Timing(self.line or line, shown, self.frequency_hz, now * 1e6, now * 1e6), now

    def problem(self) -> str:
        return ""

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.closed = True


class Bench:
    """The rig with an interlock that works, and somebody who watches the coils."""

    def __init__(self, rig: ChargerRig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rig = rig
        self.interlock = SimInterlock(rig.circuit)
        self.comparator = Comparator(rig)
        self.watchdog = rig.output("watchdog")
        self.ever_closed = False
        monkeypatch.setattr(
            driver_bench, "PigpioEdges", lambda link, gpio, clock, inverted: self.comparator
        )
        self.pause, rig.time.pause = rig.time.pause, self.follow  # type: ignore[method-assign]

    def follow(self, seconds: float) -> None:
        """Let the interlock follow the watchdog's pin while time passes."""
        self.pause(seconds)
        rig, chain = self.rig, self.interlock
        rig.circuit.duty = rig.duty
        if rig.output("watchdog") is not self.watchdog:
            self.watchdog = not self.watchdog
            chain.watchdog.edge(rig.time.at)
            chain.touch()
        chain.advance(rig.time.at)
        rig.put("chain_closed", active=chain.chain_closed)
        rig.put("coil_supply", active=chain.coils_live)
        self.ever_closed = self.ever_closed or rig.output("contactors")

    def run(self, config: ChargerConfig | None = None, board: Board | None = None) -> list[Finding]:
        rig = self.rig
        steps = driver_bench.charger(config or rig.config(), board or rig.board, rig.time)
        found = list(steps)
        assert not self.ever_closed
        assert not rig.output("contactors")
        assert not rig.output("module_enable")
        for finding in found:
            assert bool(finding.todo) is (finding.status is not OK), finding
        return found


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with charger_rig(monkeypatch) as rig:
        yield Bench(rig, monkeypatch)


def told(found: list[Finding]) -> dict[str, Status]:
    """The worst status of each name."""
    order = list(Status)
    worst: dict[str, Status] = {}
    for finding in found:
        before = worst.get(finding.name, OK)
        worst[finding.name] = max(before, finding.status, key=order.index)
    return worst


GOOD = {
    "pigpiod": OK,
    "gpio": OK,
    "converter": OK,
    "pilot -12 V": OK,
    "pilot +12 V": OK,
    "pilot loop-back": OK,
    "contactors": OK,
    "emergency stop": OK,
    "connector": OK,
    "interlock": OK,
}


# --- a charger -----------------------------------------------------------------------------------


def test_a_good_charger(bench: Bench) -> None:
    found = bench.run()
    assert told(found) == GOOD
    assert "1000.0 Hz, duty 5.00%" in next(f.found for f in found if f.name == "pilot loop-back")
    parts = [f.found.partition(":")[0] for f in found if f.name == "interlock"]
    assert {"at rest", "watchdog closes", "CP loss", "watchdog opens", "interlock"} <= set(parts)
    assert bench.rig.duty == 1.0
    assert bench.comparator.closed
    assert 0.05 in bench.comparator.duties


def test_a_vehicle_that_is_plugged_in_is_not_woken(bench: Bench) -> None:
    bench.rig.circuit.plugged = True
    found = told(bench.run())
    assert found["pilot +12 V"] is WARN
    assert found["pilot loop-back"] is WARN
    assert bench.comparator.duties == set()
    assert not any(0.0 < duty < 1e6 for _, _, duty in bench.rig.daemon.pwm_history)


@pytest.mark.parametrize(
    ("gain", "name"), [(0.8, "pilot -12 V"), (1.2, "pilot -12 V"), (0.0, "pilot -12 V")]
)
def test_a_front_end_that_reads_wrong(bench: Bench, gain: float, name: str) -> None:
    bench.rig.front_end = (gain, 0.0)
    found = told(bench.run())
    assert found[name] is FAIL
    assert found["pilot loop-back"] is WARN


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"frequency_hz": 1010.0}, WARN),
        ({"frequency_hz": 1100.0}, FAIL),
        ({"inverted": True}, FAIL),
        ({"line": Line.LOW}, FAIL),
        ({"line": Line.UNKNOWN}, FAIL),
    ],
)
def test_a_pilot_that_is_not_as_driven(
    bench: Bench, changes: dict[str, object], status: Status
) -> None:
    for name, value in changes.items():
        setattr(bench.comparator, name, value)
    assert told(bench.run()) == GOOD | {"pilot loop-back": status}
    assert bench.rig.duty == 1.0


def test_a_board_without_loop_back(bench: Bench) -> None:
    side = bench.rig.board.evse
    pins = {name: pin for name, pin in side.pins.items() if name != "pilot_loop_back"}
    board = Board(Side(pins, side.channels), bench.rig.board.pev)
    assert told(bench.run(board=board)) == GOOD | {"pilot loop-back": WARN}


def test_contacts_that_show_closed(bench: Bench) -> None:
    bench.rig.put("contactors_open", active=False)
    found = told(bench.run())
    assert found["contactors"] is FAIL
    assert found["interlock"] is FAIL


@pytest.mark.parametrize(("channels", "status"), [("ab", WARN), ("a", FAIL), ("b", FAIL)])
def test_an_emergency_stop(bench: Bench, channels: str, status: Status) -> None:
    for channel in channels:
        bench.rig.put(f"emergency_stop_{channel}", active=True)
    found = told(bench.run())
    assert found["emergency stop"] is status
    assert found["interlock"] in (WARN, FAIL)  # it waits, or finds the channels


@pytest.mark.parametrize("ohm", [1e-3, 1e9, 1385.06])
def test_a_connector_whose_sensor_is_broken_or_hot(bench: Bench, ohm: float) -> None:
    bench.rig.pt1000_ohm = ohm
    assert told(bench.run()) == GOOD | {"connector": FAIL}


def test_a_board_without_a_temperature_sensor(bench: Bench) -> None:
    side = bench.rig.board.evse
    channels = {name: c for name, c in side.channels.items() if name != "temperature"}
    board = Board(Side(side.pins, channels), bench.rig.board.pev)
    assert told(bench.run(board=board)) == GOOD | {"connector": WARN}


@pytest.mark.parametrize(("volts", "status"), [(0.0, OK), (0.02, OK), (0.8, FAIL)])
def test_the_mains_current_with_nothing_plugged_in(
    bench: Bench, volts: float, status: Status
) -> None:
    bench.interlock.needs_oscillator = False
    bench.rig.measure_mains()
    bench.rig.mains_v = volts
    found = told(bench.run(bench.rig.config(ac=True, adc="mcp3208")))
    assert found["mains current"] is status


def test_an_ac_board_without_its_current(bench: Bench) -> None:
    bench.interlock.needs_oscillator = False
    assert told(bench.run(bench.rig.config(ac=True))) == GOOD | {"mains current": WARN}


@pytest.mark.parametrize("fault", ["chain_bridged", "cp_bridged"])
def test_an_interlock_that_does_not_work(bench: Bench, fault: str) -> None:
    setattr(bench.interlock, fault, True)
    assert told(bench.run())["interlock"] is FAIL


def test_a_dead_watchdog(bench: Bench) -> None:
    bench.interlock.watchdog.stuck = False
    found = bench.run()
    assert told(found)["interlock"] is FAIL
    assert any("did not close" in f.found for f in found)


def test_bench_mode_is_a_warning(bench: Bench) -> None:
    assert told(bench.run(bench.rig.config(interlock="none"))) == GOOD | {"interlock": WARN}


def test_without_the_daemon_nothing_else_is_tried(bench: Bench) -> None:
    bench.rig.daemon.stop()
    assert told(bench.run()) == {"hardware": FAIL}


@pytest.mark.parametrize("after", ["converter", "pilot loop-back"])
def test_a_daemon_that_goes_in_the_middle(bench: Bench, after: str) -> None:
    """What was read last is not told as what is."""
    rig, found = bench.rig, []
    for finding in driver_bench.charger(rig.config(), rig.board, rig.time):
        found.append(finding)
        if finding.name == after:
            rig.daemon.stop()
    assert told(found)["hardware"] is FAIL
    assert "pigpio daemon" in next(f.found for f in found if f.name == "hardware")
    assert not {"contactors", "emergency stop", "connector", "interlock"} & set(told(found))


def test_without_a_converter(bench: Bench) -> None:
    bench.rig.daemon.i2c.clear()
    found = bench.run()
    assert told(found) == {"pigpiod": OK, "gpio": OK, "hardware": FAIL}
    assert "ADS1115" in found[-1].found


def test_a_pin_that_serves_another_function(bench: Bench) -> None:
    bench.rig.daemon.modes[bench.rig.board.evse.pins["rcd_tripped"].gpio] = 4
    found = bench.run()
    assert told(found) == {"pigpiod": OK, "hardware": FAIL}
    assert "GPIO 13" in found[-1].found


def test_a_calibration_that_is_not_there(bench: Bench) -> None:
    found = bench.run(bench.rig.config(calibration="/nowhere.toml"))
    assert told(found)["hardware"] is FAIL
    assert "/nowhere.toml" in found[-1].found


@pytest.mark.parametrize("after", range(12))
def test_ended_after_any_step_everything_is_safe(bench: Bench, after: int) -> None:
    rig = bench.rig
    steps = driver_bench.charger(rig.config(), rig.board, rig.time)
    for _ in range(after):
        next(steps, None)
    steps.close()  # type: ignore[attr-defined]
    assert not rig.output("contactors")
    assert not rig.output("module_enable")
    assert rig.duty in (0.0, 1.0)
    if after > 3:
        assert rig.duty == 1.0


# --- a vehicle unit ------------------------------------------------------------------------------


@pytest.fixture
def vehicle(monkeypatch: pytest.MonkeyPatch) -> Iterator[VehicleRig]:
    with vehicle_rig(monkeypatch) as rig:
        yield rig


def look(rig: VehicleRig, dog: SimWatchdog | None = None) -> dict[str, Status]:
    dog, level = dog or SimWatchdog(), rig.output("watchdog")

    def pause(seconds: float) -> None:
        nonlocal level
        if rig.output("watchdog") is not level:
            level = not level
            dog.edge(rig.time.at)
        before(seconds)
        rig.edges(rig.time.at)
        rig.put("chain_closed", active=dog.is_closed(rig.time.at))

    before, rig.time.pause = rig.time.pause, pause  # type: ignore[method-assign]
    rig.pilot_at = rig.time.at
    found = list(driver_bench.vehicle(rig.config(), rig.board, rig.time))
    assert not rig.output("contactors")
    assert not rig.output("s2")
    assert not rig.gpiod.wire.listening
    return told(found)


VEHICLE = {
    "gpio": OK,
    "converter": OK,
    "proximity": OK,
    "inlet pilot": OK,
    "contactors": OK,
    "interlock": OK,
}


def test_a_good_vehicle_unit(vehicle: VehicleRig) -> None:
    assert look(vehicle) == VEHICLE | {"battery": WARN}


@pytest.mark.parametrize("stuck", [True, False])
def test_a_vehicles_chain_that_does_not_work(vehicle: VehicleRig, stuck: bool) -> None:
    dog = SimWatchdog()
    dog.stuck = stuck
    assert look(vehicle, dog)["interlock"] is FAIL


def test_a_vehicles_board_without_a_chain(vehicle: VehicleRig) -> None:
    side = vehicle.board.pev
    pins = {name: pin for name, pin in side.pins.items() if name != "chain_closed"}
    found = list(
        driver_bench.vehicle(
            vehicle.config(),
            Board(vehicle.board.evse, Side(pins, side.channels)),
            vehicle.time,
        )
    )
    assert told(found)["interlock"] is WARN


def test_a_vehicle_unit_with_a_charger(vehicle: VehicleRig) -> None:
    vehicle.plug()
    found = look(vehicle)
    assert found["proximity"] is WARN
    assert "inlet pilot" not in found


def test_an_inlet_with_a_broken_resistor(vehicle: VehicleRig) -> None:
    vehicle.plug_ohm = 30.0
    assert look(vehicle)["proximity"] is FAIL


def test_welded_contacts_of_the_inlet(vehicle: VehicleRig) -> None:
    vehicle.put("contactors_open", active=False)
    assert look(vehicle)["contactors"] is FAIL


def test_no_edges_to_be_had(vehicle: VehicleRig) -> None:
    vehicle.gpiod.refuses = errno.EBUSY
    assert look(vehicle) == {"hardware": FAIL}


def test_no_time_is_waited_for_ever(vehicle: VehicleRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A converter that never measures ends the opening."""
    monkeypatch.setattr(hardware_parts, "START_S", 0.1)
    vehicle.daemon.i2c.clear()
    began = vehicle.time.at
    assert look(vehicle) == {"hardware": FAIL}
    assert vehicle.time.at - began < 1.0
