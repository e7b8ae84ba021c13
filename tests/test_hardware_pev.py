"""A vehicle unit's hardware as a whole: opened, read, driven, broken in every way, safe in each."""

from __future__ import annotations

import errno
import itertools
import socket
import threading
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

import pytest

from controller import hardware_parts
from controller.board import Board, Side
from controller.config import CarConfig, CarHardwareSection
from controller.cp.proximity import Connector
from controller.cp.sim_adc import SimAds1115
from controller.errors import ConfigError, PortError
from controller.hardware import open_hardware
from controller.hardware_pev import open_vehicle
from controller.interlock_rules import PILOT_STALE_S
from controller.ipc import Channel
from controller.port import Hardware, MidPeriod
from controller.power.driver_battery import NO_BATTERY, BatteryLink
from controller.realtime_pev import PevRealtime
from controller.signals import (
    CloseContactors,
    Heartbeat,
    InletPilotChanged,
    InletReport,
    OpenContactors,
    Output,
    Phase,
    S2Request,
    SetOnboardCurrent,
    SetS2,
    SetWatchdog,
)
from tests.fake_pigpiod import TICK, FakePigpiod
from tests.vehicle_rig import VehicleRig, vehicle_rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controller.hardware_pev import PevHardware

OUTPUTS = ("contactors", "s2", "watchdog")
REPORT = InletReport(398.0, 0.0, 400.0, 50.0, 420.0, 300.0, 415.0, 200.0, True, True, 7.0)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[VehicleRig]:
    with vehicle_rig(monkeypatch) as made:
        yield made


def close_everything(made: PevHardware, rig: VehicleRig) -> None:
    made.carry_out(CloseContactors(), rig.time.at)
    made.carry_out(SetS2(closed=True), rig.time.at)


# --- the start -----------------------------------------------------------------------------------


def test_it_opens_with_everything_off(rig: VehicleRig) -> None:
    made: Hardware = rig.open()
    assert isinstance(made, MidPeriod)
    assert [rig.output(name) for name in OUTPUTS] == [False, False, False]
    assert made.problem() == (
        "battery: the simulated site at /nowhere/site.sock is not there (No such file or directory)"
    )
    made.close()


def test_outputs_of_a_killed_predecessor_are_off_before_anything_else(rig: VehicleRig) -> None:
    close_everything(rig.open(), rig)
    assert rig.output("contactors")
    assert rig.output("s2")
    rig.gpiod.wire.listening = False
    rig.open()
    assert not rig.output("contactors")
    assert not rig.output("s2")


def test_without_the_daemon_one_line_says_what_to_do(rig: VehicleRig) -> None:
    rig.daemon.stop()
    with pytest.raises(PortError, match="systemctl start pigpiod"):
        rig.open()


def test_without_a_converter_one_line_says_so_and_the_line_is_given_back(rig: VehicleRig) -> None:
    rig.daemon.i2c.clear()
    with pytest.raises(PortError, match=r"ADS1115.*refused"):
        rig.open()
    assert not rig.gpiod.wire.listening


def test_a_line_that_somebody_has(rig: VehicleRig) -> None:
    rig.gpiod.refuses = errno.EBUSY
    with pytest.raises(PortError, match="GPIO 17: another program has it"):
        rig.open()


@pytest.mark.parametrize("missing", ["pilot_edges", "s2", "contactors", "contactors_open"])
def test_a_board_without_a_pin(rig: VehicleRig, missing: str) -> None:
    pev = rig.board.pev
    pins = {name: pin for name, pin in pev.pins.items() if name != missing}
    board = Board(rig.board.evse, Side(pins, pev.channels))
    with pytest.raises(ConfigError, match=rf"the board: pev\.pins\.{missing} is missing"):
        open_vehicle(rig.config(), board, rig.time)


def test_a_board_with_a_pin_the_wrong_way_round(rig: VehicleRig) -> None:
    pev = rig.board.pev
    pins = pev.pins | {"s2": replace(pev.pins["s2"], direction="in")}
    with pytest.raises(ConfigError, match=r'pev\.pins\.s2: direction must be "out"'):
        open_vehicle(rig.config(), Board(rig.board.evse, Side(pins, pev.channels)), rig.time)


@pytest.mark.parametrize("missing", ["cp_high", "proximity"])
def test_a_board_without_an_input(rig: VehicleRig, missing: str) -> None:
    pev = rig.board.pev
    channels = {name: c for name, c in pev.channels.items() if name != missing}
    with pytest.raises(ConfigError, match=rf"pev\.channels\.{missing} is missing"):
        open_vehicle(rig.config(), Board(rig.board.evse, Side(pev.pins, channels)), rig.time)


def test_the_services_door_opens_it(rig: VehicleRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.daemon.stop()
    monkeypatch.setattr(hardware_parts, "START_S", 0.2)
    config = CarConfig(hardware=CarHardwareSection(pigpiod=f"127.0.0.1:{rig.daemon.port}"))
    with pytest.raises(PortError, match="pigpio daemon at 127"):
        open_hardware(config, "pev")


# --- what it measures ----------------------------------------------------------------------------


@pytest.mark.parametrize("adc", ["ads1115", "mcp3208"])
@pytest.mark.parametrize(
    ("plug_ohm", "duty", "high_v"), [(1500.0, 0.05, 8.28), (150.0, 0.5, 8.28), (220.0, 1.0, 8.28)]
)
def test_an_inlet(rig: VehicleRig, adc: str, plug_ohm: float, duty: float, high_v: float) -> None:
    made = rig.open(rig.config(adc=adc))
    rig.plug(plug_ohm, duty)
    inputs = rig.run(made, 30)
    pilot = inputs.pilot
    assert pilot.duty == pytest.approx(duty, abs=1e-3)
    assert pilot.high_v == pytest.approx(high_v, abs=0.05)
    assert pilot.plugged
    assert pilot.proximity_ohm == pytest.approx(plug_ohm, rel=0.02)
    assert pilot.frequency_hz == pytest.approx(1000.0 if duty < 1.0 else 0.0, abs=0.5)
    assert rig.time.at - 0.011 <= pilot.taken_at <= rig.time.at
    assert not inputs.contactors.closed
    assert not inputs.chain_open
    assert not inputs.vehicle.ready


def test_an_empty_inlet(rig: VehicleRig) -> None:
    pilot = rig.run(rig.open(), 30).pilot
    assert (pilot.duty, pilot.plugged, pilot.proximity_ohm) == (0.0, False, 1e6)


def test_the_core_believes_it(rig: VehicleRig) -> None:
    """Plugged in, S2 asked for, button pressed, pulled: by real parts and the real core."""
    made, core = rig.open(), PevRealtime(Connector.CCS1)
    seen: list[Output] = []

    sequence = itertools.count(1)

    def run(periods: int) -> None:
        for _ in range(periods):
            inputs = rig.period(made)
            out = core.receive(Heartbeat(next(sequence), Phase.CONNECTED), rig.time.at)
            for item in (*out, *core.receive(inputs, rig.time.at)):
                seen.append(item)
                made.carry_out(item, rig.time.at)

    run(20)
    rig.plug(150.0)
    run(60)
    for item in core.receive(S2Request(closed=True), rig.time.at):
        made.carry_out(item, rig.time.at)
    assert rig.output("s2")
    run(200)
    rig.plug_ohm = 480.0
    run(20)
    rig.unplug()
    run(20)
    assert not rig.output("s2")
    changes = [item for item in seen if isinstance(item, InletPilotChanged)]
    assert [(c.plugged, c.digital, c.button, c.fault) for c in changes] == [
        (True, True, False, ""),
        (True, True, True, ""),
        (True, False, True, ""),  # the pilot goes first, PP takes 20 ms to be believed
        (False, False, False, ""),
    ]


# --- what it drives ------------------------------------------------------------------------------


def test_outputs(rig: VehicleRig) -> None:
    made = rig.open()
    made.carry_out(SetS2(closed=True), rig.time.at)
    assert (rig.output("s2"), rig.output("contactors")) == (True, False)
    made.carry_out(CloseContactors(), rig.time.at)
    assert rig.output("contactors")
    made.carry_out(OpenContactors("x"), rig.time.at)
    made.carry_out(SetS2(closed=False), rig.time.at)
    assert not any(rig.output(name) for name in ("s2", "contactors"))
    close_everything(made, rig)
    made.make_safe()
    made.make_safe()
    assert not any(rig.output(name) for name in ("s2", "contactors"))
    close_everything(made, rig)
    made.close()
    assert not any(rig.output(name) for name in ("s2", "contactors"))


def test_the_watchdog_gets_an_edge_a_period_unless_told_otherwise(rig: VehicleRig) -> None:
    made = rig.open()
    seen = []
    for _ in range(4):
        rig.period(made)
        seen.append(rig.output("watchdog"))
    assert seen == [True, False, True, False]
    made.carry_out(SetWatchdog(toggling=False), rig.time.at)
    rig.period(made)
    assert not rig.output("watchdog")


def test_feedback_and_chain(rig: VehicleRig) -> None:
    made = rig.open()
    rig.put("contactors_open", active=False)
    rig.put("chain_closed", active=False)
    inputs = rig.run(made, 2)
    assert inputs.contactors.closed
    assert inputs.vehicle.contactors_closed
    assert inputs.chain_open


# --- what breaks ---------------------------------------------------------------------------------


def test_a_daemon_that_dies_makes_everything_old_and_the_chain_open(rig: VehicleRig) -> None:
    made = rig.open()
    rig.plug()
    rig.run(made, 10)
    rig.daemon.stop()
    inputs = rig.run(made, 20)
    assert rig.time.at - inputs.pilot.taken_at > PILOT_STALE_S
    assert rig.time.at - inputs.contactors.taken_at > PILOT_STALE_S
    assert inputs.chain_open
    assert "pigpio daemon" in made.problem()
    made.make_safe()
    rig.daemon.start()
    rig.run(made, 200)
    assert "pigpio" not in made.problem()


def test_a_daemon_that_waits_for_a_processor_is_found_again(
    rig: VehicleRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a busy machine: its answers take real time, in which no period of the test passes."""
    made = rig.open()
    rig.daemon.stop()
    rig.run(made, 5)
    answer = FakePigpiod._run

    def later(self: FakePigpiod, command: int, p1: int, p2: int, extension: bytes) -> int | bytes:
        if command == TICK:  # the question whether it lives
            threading.Event().wait(0.05)
        return answer(self, command, p1, p2, extension)

    monkeypatch.setattr(FakePigpiod, "_run", later)
    rig.daemon.start()
    rig.run(made, 100)
    assert "pigpio" not in made.problem()


@pytest.mark.parametrize("part", ["edges", "converter"])
def test_one_part_that_is_gone_makes_the_sample_old(rig: VehicleRig, part: str) -> None:
    made = rig.open()
    rig.plug()
    rig.run(made, 30)
    if part == "edges":
        rig.gpiod.broken = errno.ENODEV
    else:
        rig.daemon.i2c.clear()
    inputs = rig.run(made, 20)
    assert rig.time.at - inputs.pilot.taken_at > PILOT_STALE_S
    assert "battery" not in made.problem().split(";")[0]
    rig.gpiod.broken = 0
    rig.daemon.i2c[0x48] = SimAds1115(rig.voltage)
    inputs = rig.run(made, 300)
    assert rig.time.at - inputs.pilot.taken_at < 0.02
    assert inputs.pilot.duty == pytest.approx(0.05, abs=1e-3)


def test_an_edge_wakes(rig: VehicleRig) -> None:
    made = rig.open()
    assert made.wake_fileno() == 99
    made.close()
    assert made.wake_fileno() == -1


def test_the_on_board_charger_is_told_its_limit(
    rig: VehicleRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Output] = []
    monkeypatch.setattr(BatteryLink, "send", lambda self, command: told.append(command))
    made = rig.open()
    made.carry_out(SetOnboardCurrent(13.0), rig.time.at)
    made.close()
    assert told == [SetOnboardCurrent(13.0)]


# --- the battery ---------------------------------------------------------------------------------


def test_the_simulated_battery(tmp_path: Path) -> None:
    path = tmp_path / "site.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen(1)
    link = BatteryLink(str(path))
    link.step(1.0)
    assert link.report == NO_BATTERY
    assert (link.report.ready, link.report.taken_at) == (False, -inf)
    channel = Channel(listener.accept()[0])
    channel.send_signal(REPORT)
    link.step(1.005)
    assert link.report == REPORT
    told: list[Output] = []
    channel.on_signal(lambda item, now: told.append(item))
    link.send(SetOnboardCurrent(16.0))
    channel.receive(1.01)
    assert told == [SetOnboardCurrent(16.0)]
    channel.close()
    link.step(1.01)
    assert link.report == NO_BATTERY
    assert link.problem().startswith("battery: the simulated site at")
    link.close()
    listener.close()
