"""A charger's hardware as a whole: opened, read, driven, broken in every way, safe in each."""

from __future__ import annotations

import socket
from dataclasses import replace
from math import isnan
from typing import TYPE_CHECKING

import pytest
from gpiozero.pins.mock import MockFactory

from controller import board as boards
from controller import hardware as under_test
from controller import hardware_parts
from controller.config import CarConfig, ChargerConfig, HardwareSection
from controller.cp.calibration import Correction, Point, fit, render
from controller.cp.driver_kernel_pwm import KernelPwmPilot
from controller.errors import ConfigError, ControllerError, PortError
from controller.hardware import open_hardware
from controller.hardware_parts import one_line
from controller.interlock_rules import PILOT_STALE_S
from controller.port import Hardware, MidPeriod
from controller.power.driver_gpio import GpiozeroGpio
from controller.power.limits import NO_ENVELOPE
from controller.realtime import EvseRealtime
from controller.signals import (
    NO_CABLE_OHM,
    CloseContactors,
    EvseInputs,
    Heartbeat,
    OpenContactors,
    Output,
    Phase,
    SetDuty,
    SetOutput,
    SetWatchdog,
    StartIsolationTest,
)
from tests.charger_rig import ChargerRig, charger_rig
from tests.cp.converters import NO_ANSWER, Clock, ModelBus
from tests.cp.fake_sysfs import Channel, FakeSysfs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controller.hardware import EvseHardware

PILOT = 18
OUTPUTS = ("contactors", "module_enable", "watchdog")


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChargerRig]:
    with charger_rig(monkeypatch) as made:
        yield made


def close_everything(hardware: EvseHardware, rig: ChargerRig) -> None:
    """Drive every output as in the middle of a charge."""
    hardware.carry_out(CloseContactors(), rig.time.at)
    hardware.carry_out(SetOutput(400.0, 100.0, on=True), rig.time.at)
    hardware.carry_out(SetDuty(0.05), rig.time.at)


# --- the start -----------------------------------------------------------------------------------


def test_it_opens_with_everything_off_and_the_pilot_steady(rig: ChargerRig) -> None:
    hardware: Hardware = rig.open()
    assert isinstance(hardware, MidPeriod)
    assert [rig.output(name) for name in OUTPUTS] == [False, False, False]
    assert rig.duty == 1.0
    assert hardware.problem() == ""
    assert [duty for _, _, duty in rig.daemon.pwm_history][-1] == 1_000_000
    hardware.close()


def test_outputs_of_a_killed_predecessor_are_off_before_anything_else(rig: ChargerRig) -> None:
    first = rig.open()
    close_everything(first, rig)
    assert rig.output("contactors")
    rig.daemon.writes.clear()
    rig.open()  # nobody closed the first one
    assert not rig.output("contactors")
    assert not rig.output("module_enable")
    contactors = rig.board.evse.pins["contactors"].gpio
    assert rig.daemon.writes[0] == (contactors, 0)


def test_without_the_daemon_one_line_says_what_to_do(rig: ChargerRig) -> None:
    rig.daemon.stop()
    with pytest.raises(PortError) as caught:
        rig.open()
    text = str(caught.value)
    assert f"127.0.0.1:{rig.daemon.port}" in text
    assert "systemctl start pigpiod" in text
    assert "kernel-pwm" in text
    assert "\n" not in text


def test_without_a_converter_one_line_says_so(rig: ChargerRig) -> None:
    rig.daemon.i2c.clear()
    with pytest.raises(PortError, match=r"ADS1115.*refused"):
        rig.open()
    assert rig.duty == 1.0


def test_a_pin_that_serves_another_function_is_refused(rig: ChargerRig) -> None:
    rig.daemon.modes[rig.board.evse.pins["rcd_tripped"].gpio] = 4  # ALT0
    with pytest.raises(PortError, match=r"GPIO 13 \(AC: residual.*remove the overlay"):
        rig.open()


@pytest.mark.parametrize(
    ("gain", "offset_v", "words"),
    [
        (0.8, 0.0, r"steady -12 V is driven, and cp_high shows -9\.6"),
        (1.0, 1.5, r"steady -12 V is driven, and cp_high shows -10\.5"),
        (0.0, -16.0, r"steady -12 V is driven, and cp_high shows -16"),  # a dead input
        (1.09, -0.5, r"steady -12 V"),
    ],
)
def test_a_front_end_that_reads_wrong_is_refused(
    rig: ChargerRig, gain: float, offset_v: float, words: str
) -> None:
    rig.front_end = (gain, offset_v)
    with pytest.raises(PortError, match=words) as caught:
        rig.open()
    assert "ccs-pilot calibrate" in str(caught.value)
    assert rig.duty == 1.0


def test_an_error_at_plus_12_v_alone_is_found_too(rig: ChargerRig) -> None:
    rig.circuit.supply_v = 10.8
    with pytest.raises(PortError, match=r"steady \+12 V is driven, and cp_high shows \+10\.8"):
        rig.open()


@pytest.mark.parametrize("s2_closed", [False, True])
def test_a_vehicle_at_the_start_is_no_reason_not_to_start(rig: ChargerRig, s2_closed: bool) -> None:
    rig.circuit.plugged, rig.circuit.s2_closed = True, s2_closed
    hardware = rig.open()
    assert rig.run(hardware, 4).pilot.high_v == pytest.approx(6.0 if s2_closed else 9.0, abs=0.1)
    hardware.close()


def calibration_file(path: Path, correction: Correction) -> str:
    def raw(actual: float) -> float:
        return (actual - correction.offset_v) / correction.gain

    points = [Point("x", volts, raw(volts), raw(volts)) for volts in (12.0, 0.0, -12.0)]
    path.write_text(render(fit(points, "ads1115", "today")))
    return str(path)


def test_the_calibration_is_applied(rig: ChargerRig, tmp_path: Path) -> None:
    """A board that is off by as much as is allowed reads right with its file, and not without."""
    rig.front_end = (0.92, 0.5)
    name = calibration_file(tmp_path / "cal.toml", Correction(1 / 0.92, -0.5 / 0.92))
    hardware = rig.open(rig.config(calibration=name))
    assert rig.run(hardware, 4).pilot.high_v == pytest.approx(12.0, abs=0.05)
    hardware.close()


def test_a_calibration_of_another_board_is_refused(rig: ChargerRig, tmp_path: Path) -> None:
    name = calibration_file(tmp_path / "cal.toml", Correction(1.09, 0.9))
    with pytest.raises(PortError, match=r"steady -12 V|steady \+12 V"):
        rig.open(rig.config(calibration=name))
    with pytest.raises(ConfigError, match="cannot be read"):
        rig.open(rig.config(calibration=str(tmp_path / "none.toml")))


def test_mcp3208_through_the_daemon(rig: ChargerRig) -> None:
    hardware = rig.open(rig.config(adc="mcp3208"))
    inputs = rig.run(hardware, 2)
    assert inputs.pilot.high_v == pytest.approx(12.0, abs=0.05)
    assert inputs.pilot.taken_at == rig.time.at
    hardware.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("watchdog", "evse.pins.watchdog is missing"),
        ("emergency_stop_b", "evse.pins.emergency_stop_b is missing"),
        ("mains_l3", "evse.pins.mains_l3 is missing"),
    ],
)
def test_a_board_that_lacks_a_pin_is_refused(rig: ChargerRig, change: str, words: str) -> None:
    pins = {name: pin for name, pin in rig.board.evse.pins.items() if name != change}
    rig.board = boards.Board(replace(rig.board.evse, pins=pins), rig.board.pev)
    with pytest.raises(ConfigError, match=words):
        rig.open(rig.config(ac=True))


def test_a_board_whose_pin_has_the_wrong_direction_is_refused(rig: ChargerRig) -> None:
    pins = dict(rig.board.evse.pins)
    pins["contactors"] = replace(pins["contactors"], direction="in")
    rig.board = boards.Board(replace(rig.board.evse, pins=pins), rig.board.pev)
    with pytest.raises(ConfigError, match=r'contactors: direction must be "out"'):
        rig.open()


def test_a_missing_channel_is_refused(rig: ChargerRig) -> None:
    channels = {n: c for n, c in rig.board.evse.channels.items() if n != "cp_low"}
    rig.board = boards.Board(replace(rig.board.evse, channels=channels), rig.board.pev)
    with pytest.raises(ConfigError, match=r"evse\.channels\.cp_low is missing"):
        rig.open()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"pilot": "kernel-pwm", "adc_bus": "pigpio"}, "pigpio daemon at 127.0.0.1:1"),
        ({"pilot": "pigpio"}, "pigpio daemon at 127.0.0.1:1"),
        ({"board": "/no/such/board.toml"}, "/no/such/board.toml: cannot be read"),
        ({"calibration": "/no/such/file"}, "/no/such/file: cannot be read"),
        ({"pigpiod": "here"}, "must be host:port"),
    ],
)
def test_what_a_file_names_and_this_machine_lacks(
    keys: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the outside, with the machine's own time: one line."""
    monkeypatch.setattr(hardware_parts, "START_S", 0.3)
    hardware = HardwareSection(**{"pigpiod": "127.0.0.1:1", **keys})
    with pytest.raises(ControllerError) as caught:
        open_hardware(ChargerConfig(hardware=hardware), "evse")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


# --- reading -------------------------------------------------------------------------------------


def test_both_levels_are_new_in_every_period(rig: ChargerRig) -> None:
    hardware = rig.open()
    hardware.carry_out(SetDuty(0.05), rig.time.at)
    rig.circuit.plugged = True
    rig.run(hardware, 10)
    ages = []
    for _ in range(8):
        inputs = rig.period(hardware)
        ages.append(rig.time.at - inputs.pilot.taken_at)
        assert inputs.pilot.high_v == pytest.approx(9.0, abs=0.1)
        assert inputs.pilot.low_v == pytest.approx(-12.0, abs=0.1)
    assert sorted(ages)[4] == pytest.approx(0.005)
    assert max(ages) <= 0.0101
    hardware.close()


@pytest.mark.parametrize(
    ("pin", "active", "field", "expected"),
    [
        ("emergency_stop_a", True, "emergency_stop", True),
        ("emergency_stop_b", True, "emergency_stop", True),
        ("emergency_stop_b", True, "stops_disagree", True),
        ("emergency_stop_a", False, "emergency_stop", False),
        ("emergency_stop_a", False, "stops_disagree", False),
        ("chain_closed", False, "chain_open", True),
        ("chain_closed", True, "chain_open", False),
        ("coil_supply", True, "coils_live", True),
        ("coil_supply", False, "coils_live", False),
    ],
)
def test_pins_are_told_by_name(
    rig: ChargerRig, pin: str, active: bool, field: str, expected: bool
) -> None:
    hardware = rig.open()
    rig.put(pin, active=active)
    assert getattr(rig.run(hardware, 2), field) is expected
    hardware.close()


def test_both_stops_pressed_agree(rig: ChargerRig) -> None:
    hardware = rig.open()
    rig.put("emergency_stop_a", active=True)
    rig.put("emergency_stop_b", active=True)
    inputs = rig.period(hardware)
    assert inputs.emergency_stop
    assert not inputs.stops_disagree
    hardware.close()


def test_contactor_feedback(rig: ChargerRig) -> None:
    hardware = rig.open()
    assert not rig.period(hardware).contactors.closed
    rig.put("contactors_open", active=False)
    inputs = rig.period(hardware)
    assert inputs.contactors.closed
    assert inputs.contactors.taken_at == rig.time.at
    hardware.close()


def test_in_bench_mode_there_is_no_chain_to_be_open(rig: ChargerRig) -> None:
    hardware = rig.open(rig.config(interlock="none"))
    rig.put("chain_closed", active=False)
    assert not rig.period(hardware).chain_open
    hardware.close()


def test_a_board_without_supply_read_back_does_not_say(rig: ChargerRig) -> None:
    pins = {name: pin for name, pin in rig.board.evse.pins.items() if name != "coil_supply"}
    rig.board = boards.Board(replace(rig.board.evse, pins=pins), rig.board.pev)
    hardware = rig.open()
    assert rig.period(hardware).coils_live is None
    hardware.close()


def test_without_modules_nothing_is_valid(rig: ChargerRig) -> None:
    hardware = rig.open()
    inputs = rig.period(hardware)
    assert not inputs.output.valid
    assert not inputs.isolation.valid
    assert inputs.envelope == NO_ENVELOPE
    assert inputs.ac is None
    hardware.carry_out(StartIsolationTest(), rig.time.at)
    hardware.close()


def test_an_ac_charger_has_a_cable_and_an_installation(rig: ChargerRig) -> None:
    hardware = rig.open(rig.config(ac=True))
    rig.run(hardware, 12)
    ac = rig.period(hardware).ac
    assert ac is not None
    assert ac.cable_ohm == pytest.approx(220.0, rel=0.01)
    assert (ac.rcd_tripped, ac.live_behind, ac.phases, ac.valid) == (False, False, 3, True)
    rig.put("mains_l2", active=False)
    rig.put("rcd_tripped", active=True)
    rig.put("live_behind", active=True)
    rig.pp_ohm = 1e9
    rig.run(hardware, 25)
    ac = rig.period(hardware).ac
    assert ac is not None
    assert ac.cable_ohm == NO_CABLE_OHM
    assert (ac.rcd_tripped, ac.live_behind, ac.phases) == (True, True, 2)
    hardware.close()


def test_an_ac_reading_without_a_fresh_cable_is_not_valid(rig: ChargerRig) -> None:
    hardware = rig.open(rig.config(ac=True))
    rig.run(hardware, 30)
    rig.daemon.i2c.clear()
    ac = rig.run(hardware, 230).ac
    assert ac is not None
    assert not ac.valid
    hardware.close()


def test_the_connector_has_a_temperature(rig: ChargerRig) -> None:
    hardware = rig.open()
    assert rig.run(hardware, 30).connector_c == pytest.approx(20.0, abs=0.5)
    for broken_ohm in (1e9, 1e-3):
        rig.pt1000_ohm = broken_ohm
        seen = rig.run(hardware, 30).connector_c
        assert seen is not None
        assert isnan(seen)
    rig.pt1000_ohm = 1385.06
    assert rig.run(hardware, 30).connector_c == pytest.approx(100.0, abs=0.5)
    hardware.close()


def test_the_mains_current_is_measured_where_the_board_says_so(rig: ChargerRig) -> None:
    rig.mains_v = 0.8
    config = rig.config(ac=True, adc="mcp3208")
    hardware = rig.open(config)
    ac = rig.run(hardware, 30).ac
    assert ac is not None
    assert ac.current_a == 0.0
    hardware.close()
    rig.measure_mains()
    hardware = rig.open(config)
    ac = rig.run(hardware, 30).ac
    assert ac is not None
    assert ac.valid
    assert ac.current_a == pytest.approx(16.0, abs=0.1)
    hardware.close()


@pytest.mark.parametrize("name", ["cp_low", "temperature"])
def test_an_input_that_the_converter_does_not_have(rig: ChargerRig, name: str) -> None:
    """An ADS1115 would measure another one instead: its multiplexer has two bits for it."""
    channels = dict(rig.board.evse.channels)
    channels[name] = replace(channels[name], channel=4)
    rig.board = replace(rig.board, evse=replace(rig.board.evse, channels=channels))
    with pytest.raises(ConfigError, match=r"ads1115.*inputs 0 to 3.*channel 4"):
        rig.open()
    assert not rig.output("contactors")


def test_a_board_without_a_sensor_tells_no_temperature(rig: ChargerRig) -> None:
    channels = {name: c for name, c in rig.board.evse.channels.items() if name != "temperature"}
    rig.board = replace(rig.board, evse=replace(rig.board.evse, channels=channels))
    hardware = rig.open()
    assert rig.run(hardware, 30).connector_c is None
    hardware.close()


# --- driving -------------------------------------------------------------------------------------


def test_commands_reach_their_pins(rig: ChargerRig) -> None:
    hardware = rig.open()
    close_everything(hardware, rig)
    assert rig.output("contactors")
    assert rig.output("module_enable")
    assert rig.duty == 0.05
    hardware.carry_out(OpenContactors("test"), rig.time.at)
    assert not rig.output("contactors")
    hardware.carry_out(SetOutput(0.0, 0.0, on=False), rig.time.at)
    assert not rig.output("module_enable")
    hardware.close()


def test_the_watchdog_gets_one_edge_a_period_and_none_when_told_so(rig: ChargerRig) -> None:
    hardware = rig.open()
    gpio = rig.board.evse.pins["watchdog"].gpio
    rig.daemon.writes.clear()
    rig.run(hardware, 10)
    edges = [level for pin, level in rig.daemon.writes if pin == gpio]
    assert edges == [1, 0] * 5
    hardware.carry_out(SetWatchdog(toggling=False), rig.time.at)
    rig.run(hardware, 10)
    assert [level for pin, level in rig.daemon.writes if pin == gpio] == edges
    hardware.carry_out(SetWatchdog(toggling=True), rig.time.at)
    rig.run(hardware, 2)
    assert len([1 for pin, _ in rig.daemon.writes if pin == gpio]) == 12
    hardware.close()


def test_a_period_costs_few_commands(rig: ChargerRig) -> None:
    """Each is a round trip to the daemon: the pins, two words each way, the watchdog."""
    hardware = rig.open()
    rig.run(hardware, 10)
    before = rig.daemon.commands
    rig.run(hardware, 100)
    assert (rig.daemon.commands - before) / 100 < 6.5
    hardware.close()


def test_making_safe_is_allowed_at_any_time_and_repeatedly(rig: ChargerRig) -> None:
    hardware = rig.open()
    close_everything(hardware, rig)
    for _ in range(2):
        hardware.make_safe()
        assert [rig.output(name) for name in ("contactors", "module_enable")] == [False, False]
        assert rig.duty == 1.0
    hardware.close()
    hardware.close()
    hardware.make_safe()


def test_closing_makes_safe_and_leaves_the_pilot_high(rig: ChargerRig) -> None:
    hardware = rig.open()
    close_everything(hardware, rig)
    hardware.close()
    assert [rig.output(name) for name in OUTPUTS] == [False, False, False]
    assert rig.duty == 1.0


# --- what breaks ---------------------------------------------------------------------------------


def age_s(rig: ChargerRig, inputs: EvseInputs) -> float:
    return rig.time.at - inputs.pilot.taken_at


def test_a_killed_daemon_stops_the_samples_and_a_new_one_restores_them(rig: ChargerRig) -> None:
    hardware = rig.open()
    close_everything(hardware, rig)
    rig.run(hardware, 5)
    rig.daemon.stop()
    inputs = rig.run(hardware, 12)
    assert age_s(rig, inputs) > PILOT_STALE_S
    assert inputs.chain_open
    assert rig.time.at - inputs.contactors.taken_at > 0.05
    assert "pigpio daemon" in hardware.problem()
    assert not inputs.emergency_stop  # nobody pressed it: nothing must latch that is not there
    rig.daemon.modes[PILOT] = 0
    rig.daemon.pwm.clear()  # the new daemon knows nothing
    rig.daemon.start()
    for _ in range(400):
        rig.time.pause(0.0)
        inputs = rig.period(hardware)
        if not hardware.problem() and age_s(rig, inputs) < 0.02:
            break
    assert hardware.problem() == ""
    assert age_s(rig, inputs) < 0.02
    assert rig.duty == 0.05  # driven anew
    assert not rig.output("contactors")  # until it is commanded again
    assert not rig.output("module_enable")
    hardware.close()


def test_without_the_daemon_all_commands_are_taken_and_nothing_is_raised(rig: ChargerRig) -> None:
    hardware = rig.open()
    rig.daemon.stop()
    for _ in range(30):
        rig.period(hardware)
        close_everything(hardware, rig)
        hardware.make_safe()
    hardware.close()


def test_a_hung_daemon_costs_one_time_out_and_permits_end(rig: ChargerRig) -> None:
    hardware = rig.open()
    rig.run(hardware, 5)
    link = rig.daemon.links[-1]
    link._timeout_s = 0.05
    assert link._sock is not None
    link._sock.sock.settimeout(0.05)
    asked = 0
    real_recv = link._sock._read_on

    def counting() -> bool:
        nonlocal asked
        asked += link._sock is not None and (link._sock.sock.gettimeout() or 0) > 0
        return real_recv()

    link._sock._read_on = counting  # type: ignore[method-assign]
    rig.daemon.hung.set()
    inputs = rig.run(hardware, 15)
    assert asked == 1  # waited once, for one time-out, in fifteen periods
    assert age_s(rig, inputs) > PILOT_STALE_S
    assert inputs.chain_open
    assert "no answer" in hardware.problem()
    rig.daemon.hung.clear()
    for _ in range(400):
        rig.time.pause(0.0)
        inputs = rig.period(hardware)
        if not hardware.problem():
            break
    assert hardware.problem() == ""
    hardware.close()


def test_a_converter_that_is_gone_stops_the_samples_and_nothing_else(rig: ChargerRig) -> None:
    hardware = rig.open()
    rig.run(hardware, 5)
    part = rig.daemon.i2c.pop(0x48)
    inputs = rig.run(hardware, 20)
    assert age_s(rig, inputs) > PILOT_STALE_S
    assert rig.time.at == inputs.contactors.taken_at
    assert not inputs.chain_open
    assert "ADS1115" in hardware.problem()
    rig.daemon.i2c[0x48] = part
    inputs = rig.run(hardware, 60)
    assert age_s(rig, inputs) < 0.02
    assert hardware.problem() == ""
    hardware.close()


def test_a_pilot_that_another_program_drives_is_not_believed(rig: ChargerRig) -> None:
    hardware = rig.open()
    hardware.carry_out(SetDuty(0.05), rig.time.at)
    rig.run(hardware, 60)
    rig.daemon.pwm[PILOT] = (1000, 500_000)
    seen = []
    for _ in range(60):
        rig.period(hardware)
        seen.append(hardware.problem())
    assert any("another program drives it" in text for text in seen)
    assert rig.duty == 0.05
    assert hardware.problem() == ""
    hardware.close()


class Permitting:
    """The realtime core on the rig: what it commands goes to the hardware, as in the process."""

    def __init__(self, rig: ChargerRig, hardware: EvseHardware) -> None:
        self.rig, self.hardware = rig, hardware
        self.core = EvseRealtime(hardware_interlock=True)
        self.sequence = 0

    def period(self) -> list[Output]:
        inputs = self.rig.period(self.hardware)
        now = self.rig.time.at
        self.sequence += 1
        out = self.core.receive(Heartbeat(self.sequence, Phase.CHARGE), now)
        out += self.core.receive(inputs, now)
        for output in out:
            if isinstance(output, self.core.TO_HARDWARE):
                self.hardware.carry_out(output, now)
        return out


def test_the_core_sees_the_vehicle_and_holds_everything_when_the_daemon_dies(
    rig: ChargerRig,
) -> None:
    hardware = rig.open()
    hardware.carry_out(SetDuty(0.05), rig.time.at)
    process = Permitting(rig, hardware)
    for _ in range(10):
        process.period()
    assert process.core.pilot.state.value == "A1"
    rig.circuit.plugged = True
    for _ in range(10):
        process.period()
    assert process.core.pilot.state.value == "B1"
    rig.daemon.stop()
    for _ in range(14):
        process.period()
    reasons = process.core.interlock.report.reasons
    assert "pilot samples have stopped" in reasons
    assert not process.core.interlock.report.close_contactors
    hardware.close()


# --- without the daemon: Pi 5, Debian 13 ---------------------------------------------------------


class KernelRig:
    """The kernel's interfaces in place of the daemon's, the same circuit behind them."""

    def __init__(self, rig: ChargerRig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rig = rig
        rig.daemon.stop()
        self.files = FakeSysfs("1f00098000.pwm", channels=[Channel() for _ in range(4)])
        self.factory = MockFactory()
        clock = Clock()
        self.bus = ModelBus(rig.ads, clock)
        self.bus.clock = rig.time.now  # type: ignore[assignment]
        monkeypatch.setattr(ChargerRig, "duty", property(lambda _: self.files.pin(2)[1]))
        monkeypatch.setattr(
            under_test, "KernelPwmPilot", lambda gpio: KernelPwmPilot(gpio, files=self.files)
        )
        monkeypatch.setattr(hardware_parts, "KernelBus", lambda: self.bus)
        monkeypatch.setattr(hardware_parts, "open_lgpio", self.open_pins)

    def open_pins(self, inputs: list[boards.Pin], outputs: list[boards.Pin]) -> GpiozeroGpio:
        port = GpiozeroGpio(self.factory, inputs, outputs)
        for pin in inputs:
            outside = self.factory.pin(f"GPIO{pin.gpio}")
            if self.rig.daemon.levels[pin.gpio]:
                outside.drive_high()
            else:
                outside.drive_low()
        return port

    def open(self) -> EvseHardware:
        return self.rig.open(
            self.rig.config(
                pilot="kernel-pwm", gpio="lgpio", adc_bus="kernel", pigpiod="127.0.0.1:1"
            )
        )

    def level(self, name: str) -> int:
        return int(self.factory.pin(f"GPIO{self.rig.board.evse.pins[name].gpio}").state)


def test_a_pi_5_needs_no_daemon(rig: ChargerRig, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = KernelRig(rig, monkeypatch)
    hardware = kernel.open()
    assert hardware.problem() == ""
    assert kernel.files.pin(2) == (0.0, 1.0)
    close_everything(hardware, rig)
    inputs = rig.run(hardware, 10)
    assert kernel.files.pin(2) == (1000.0, 0.05)
    assert age_s(rig, inputs) <= 0.0101
    assert not inputs.emergency_stop
    assert not inputs.chain_open
    assert (kernel.level("contactors"), kernel.level("module_enable")) == (1, 1)
    edges = []
    for _ in range(4):
        rig.period(hardware)
        edges.append(kernel.level("watchdog"))
    assert edges in ([0, 1, 0, 1], [1, 0, 1, 0])
    hardware.make_safe()
    assert (kernel.level("contactors"), kernel.level("module_enable")) == (0, 0)
    hardware.close()
    assert kernel.files.pin(2) == (0.0, 1.0)
    kernel.factory.reset()


@pytest.mark.parametrize("fault", ["pwm", "bus"])
def test_on_a_pi_5_a_part_that_is_gone_stops_the_samples_too(
    rig: ChargerRig, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    kernel = KernelRig(rig, monkeypatch)
    hardware = kernel.open()
    rig.run(hardware, 60)
    if fault == "pwm":
        kernel.files.gone = True
    else:
        kernel.bus.error = NO_ANSWER
    inputs = rig.run(hardware, 70)
    assert age_s(rig, inputs) > PILOT_STALE_S
    assert hardware.problem()
    kernel.files.gone, kernel.bus.error = False, 0
    inputs = rig.run(hardware, 70)
    assert age_s(rig, inputs) < 0.02
    assert hardware.problem() == ""
    hardware.close()
    kernel.factory.reset()


# --- the site's modules --------------------------------------------------------------------------


def test_modules_of_a_site_that_is_not_there_are_told(rig: ChargerRig, tmp_path: Path) -> None:
    hardware = rig.open(rig.config(modules="simulated", site=str(tmp_path / "site.sock")))
    inputs = rig.period(hardware)
    assert not inputs.output.valid
    assert "site.sock is not there (No such file" in hardware.problem()
    hardware.close()


def test_what_is_said_twice_is_told_once() -> None:
    assert one_line(("", "a", "b: a", "c", "a")) == "a; c"
    assert one_line(("", "")) == ""


def test_a_vehicle_is_opened_by_its_own_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware_parts, "START_S", 0.1)
    with pytest.raises(ControllerError):
        open_hardware(CarConfig(), "pev")


def test_the_port_is_in_use_by_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware_parts, "START_S", 0.8)
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = ChargerConfig(
            hardware=HardwareSection(pigpiod=f"127.0.0.1:{other.getsockname()[1]}")
        )
        with pytest.raises(PortError, match="does not answer"):
            open_hardware(config, "evse")
