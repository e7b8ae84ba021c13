"""The realtime process of a real site: order in a period, ends of peers, reasons kept, no file."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

import pytest

from controller import service_realtime
from controller.driver_notify import Notifier
from controller.realtime_base import HEARTBEAT_TIMEOUT_S
from controller.service_realtime import LAST_PERIODS_S, LOOP_REPORT_S
from controller.signals import (
    CurrentOffered,
    InterlockReport,
    LoopReport,
    Noted,
    OpenContactors,
    Output,
    PilotChanged,
    PowerReport,
    ResetRequest,
    SetWatchdog,
    StopRequest,
)
from tests.service_rig import PERIOD_S, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Heard(Notifier):
    """What systemd would have heard."""

    def __init__(self) -> None:
        super().__init__()
        self.words.interval_s = 0.25
        self.lines: list[str] = []

    def send(self, datagram: bytes) -> None:
        self.lines += datagram.decode().splitlines()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def heard(rig: Rig) -> Heard:
    heard = Heard()
    rig.service._notifier = heard
    return heard


CONTACTS_S = 0.03
"""What contacts may take once their coils are off."""
AT_ONCE_S = 0.0351
"""Two periods, and contacts that take 20 ms."""


def of(kind: type[Any], items: list[Any]) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]


# --- a period ------------------------------------------------------------------------------------


def test_in_a_period_hardware_is_read_first_and_the_watchdog_kicked_last(rig: Rig) -> None:
    rig.charge()
    rig.hardware.calls.clear()
    rig.run(0.5)
    assert len(rig.hardware.calls) > 200
    for before, after in zip(rig.hardware.calls, [*rig.hardware.calls[1:], "read"], strict=True):
        assert (before == "kick") == (after == "read")
    assert rig.hardware.calls.count("kick") == 100


def test_ready_comes_after_the_first_whole_period(rig: Rig, heard: Heard) -> None:
    rig.service._ready = False
    rig.turn()
    assert heard.lines[0] == "READY=1"
    rig.run(1.0)
    assert heard.lines.count("READY=1") == 1
    assert 4 <= heard.lines.count("WATCHDOG=1") <= 5


def test_without_whole_periods_there_is_no_sign_of_life(rig: Rig, heard: Heard) -> None:
    rig.run(1.0)
    heard.lines.clear()
    kicks = rig.hardware.kicks

    def fail() -> None:
        rig.clock.take(1.0)
        raise ZeroDivisionError

    rig.hardware.before_read = fail
    with pytest.raises(ZeroDivisionError):
        rig.turn()
    assert heard.lines == []
    assert rig.hardware.kicks == kicks


def test_a_bug_of_ours_leaves_everything_safe(rig: Rig) -> None:
    rig.charge()
    rig.hardware.before_read = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        rig.service.run()
    assert rig.hardware.calls[-1] == "make_safe"
    rig.world.advance(rig.now + 0.1)
    assert rig.is_safe


def test_the_interlock_test_may_stop_the_watchdog(rig: Rig) -> None:
    rig.turn()
    kicks = rig.hardware.kicks
    rig.service._carry_out(SetWatchdog(toggling=False), rig.now)
    rig.run(0.1)
    assert rig.hardware.kicks == kicks
    rig.service._carry_out(SetWatchdog(toggling=True), rig.now)
    rig.run(0.1)
    assert rig.hardware.kicks == kicks + 20


def test_the_watchdog_gets_no_edge_before_its_chain_was_seen_open(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    calls = rig.hardware.calls
    first = calls.index("kick")
    assert calls[:first].count("SetWatchdog") == 1
    assert calls[:first].count("read") >= 3  # at rest, by more than one reading
    assert "interlock self-test: interlock: proved in" in rig.said
    rig.close()


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (StopRequest("the connector is too hot"), "asked to end: the connector is too hot"),
        (CurrentOffered(13.0, "cable"), "offers 13 A (limit: cable)"),
        (CurrentOffered(0.0, "a phase is missing"), "offers no current: a phase is missing"),
    ],
)
def test_why_less_flows_is_in_the_journal(rig: Rig, output: Output, line: str) -> None:
    rig.service._carry_out(output, rig.now)
    assert line in rig.said


def test_bench_mode_is_in_the_journal(rig: Rig) -> None:
    rig.world.interlock.cp_bridged = True
    rig.service._take(ResetRequest(), rig.now)
    rig.until(lambda: rig.core.interlock_test.is_finished)
    assert "interlock self-test: CP loss: the coils have their supply" in rig.said
    assert "BENCH MODE: output limited to 60 V" in rig.said


# --- charging, and the end of communication ------------------------------------------------------


def test_it_charges_and_reports(rig: Rig) -> None:
    peer = rig.charge()
    assert rig.is_closed
    rig.run(1.1)
    power = of(PowerReport, peer.reports)[-1]
    assert power.contactors_closed
    assert power.current_a > 10
    assert of(LoopReport, peer.reports)
    states = [report.state.value for report in of(PilotChanged, peer.reports)]
    assert states[0] == "A1"
    assert states[-1] == "C2"


def test_a_silent_peer_opens_within_the_bound(rig: Rig) -> None:
    peer = rig.charge()
    peer.beats = False
    rig.until(lambda: rig.is_safe)
    assert HEARTBEAT_TIMEOUT_S < rig.now - peer.beat_at <= 0.1
    assert "contactors opened: the communication process is silent" in rig.said


@pytest.mark.parametrize("phase_s", [0.0, 0.0037, 0.0111, 0.0173])
@pytest.mark.parametrize("period_s", [0.001, 0.0025, 0.005, 0.007, 0.01, 0.02])
def test_the_bound_holds_with_every_period(tmp_path: Path, period_s: float, phase_s: float) -> None:
    """Beyond 10 ms there can be no external watchdog: bench mode."""
    rig = Rig(tmp_path, period_s=period_s, interlock=period_s <= 0.01)
    try:
        peer = rig.check_cable(400.0 if period_s <= 0.01 else 50.0)
        rig.run(phase_s)
        peer.beats = False
        rig.until(lambda: rig.is_safe)
        assert rig.hardware.opened_at + CONTACTS_S - peer.beat_at <= 0.1 + 1e-6
    finally:
        rig.close()


def test_a_vanished_peer_opens_at_once(rig: Rig) -> None:
    peer = rig.charge()
    rig.peers.clear()
    peer.channel.close()
    assert rig.until(lambda: rig.is_safe) <= AT_ONCE_S


@pytest.mark.parametrize("packet", [b"\xff" * 100, b"S{}", b"R1 n out 0 {}"])
def test_garbage_in_the_midst_of_a_charge_opens_and_is_named(rig: Rig, packet: bytes) -> None:
    peer = rig.charge()
    for _ in range(10):
        peer.channel.sock.send(packet)
    assert rig.until(lambda: rig.is_safe) <= AT_ONCE_S
    assert "shut out: it sent" in rig.said
    next_one = rig.come()
    rig.peers.remove(peer)
    rig.run(1.5)
    what = [n.what for n in of(Noted, [record[-1] for record in next_one.records])]
    assert any("packets that were no requests" in text for text in what)


def test_a_flood_delays_no_period_and_ends_the_charge(rig: Rig) -> None:
    peer = rig.charge()
    loop = rig.service.loop
    before = loop.overruns
    while rig.service._door.channel is not None:
        for _ in range(200):
            peer.channel.send(b"S", b'{"type":"DutyRequest","duty":0.05}')
        rig.turn()
    assert loop.overruns == before
    assert rig.until(lambda: rig.is_safe) <= AT_ONCE_S
    assert "packets in 0.5 s" in rig.said


def test_the_next_peer_learns_why_and_charges(rig: Rig) -> None:
    peer = rig.charge()
    peer.beats = False
    rig.until(lambda: rig.is_safe)
    peer.channel.close()
    rig.peers.clear()
    rig.run(0.5)
    rig.world.pilot.s2_closed = False
    rig.world.unplug()
    rig.world.circuit.inlet_contactors.set_closed(False)
    rig.run(3.0)
    peer = rig.charge()
    assert rig.is_closed
    (opened,) = [record for record in peer.records if isinstance(record[-1], OpenContactors)]
    assert opened[-1] == OpenContactors("the communication process is silent")
    assert opened[0] < rig.now - 3.0  # with the time at which it was
    assert opened[1:3] == ("evse.realtime", "out")


def test_a_fault_is_said_once_however_often_its_report_changes(rig: Rig) -> None:
    def say(latched: str, *more: str) -> None:
        report = InterlockReport(False, False, (latched, *more), latched, emergency=False)
        rig.service._say(report, rig.now)

    rig.run(0.2)
    for more in ("no vehicle", "the power supply is silent", "no vehicle"):
        say("the contactors are welded", more)
    rig.run(0.2)
    assert rig.said.count("fault: the contactors are welded") == 1
    say("")
    say("the contactors are welded")
    rig.run(0.2)
    assert rig.said.count("fault: the contactors are welded") == 2


def test_what_happens_with_nobody_there_is_told_when_somebody_comes(rig: Rig) -> None:
    rig.run(0.2)
    rig.world.press_emergency_stop()
    rig.run(0.2)
    rig.world.emergency_stop = False
    rig.run(0.2)
    peer = rig.come()
    rig.run(0.5)
    latched = [i.latched for i in of(InterlockReport, [record[-1] for record in peer.records])]
    assert any("emergency" in text for text in latched)
    assert of(InterlockReport, peer.reports)  # and the present state as reports
    assert of(PilotChanged, peer.reports)


def test_records_are_those_of_a_simulated_site(rig: Rig) -> None:
    """Inputs folded, outputs each: the trace of a real charger reads like any other."""
    peer = rig.charge()
    rig.run(3.0)
    kinds = {type(record[-1]).__name__ for record in peer.records}
    assert kinds >= {"EvseInputs", "Heartbeat", "PowerReport", "CloseContactors", "PilotChanged"}
    assert any(record[3] > 50 for record in peer.records)  # repeats


# --- reports of the loop -------------------------------------------------------------------------


def test_the_loop_reports_every_second(rig: Rig) -> None:
    peer = rig.come()
    rig.run(5.1)
    reports = of(LoopReport, peer.reports)
    assert len(reports) in (5, 6)
    assert reports[-1].periods > 900
    assert reports[-1].overruns == 0
    assert reports[-1].culprit == ""


def test_an_overrun_is_reported_at_once_with_its_culprit(rig: Rig) -> None:
    peer = rig.come()
    rig.run(LOOP_REPORT_S * 1.5)
    peer.reports.clear()
    rig.hardware.before_read = lambda: rig.clock.take(0.0112)
    rig.turn()
    rig.hardware.before_read = lambda: None
    rig.run(0.011)
    (report,) = of(LoopReport, peer.reports)
    assert report.overruns == 2
    assert report.culprit == "reading the hardware (11.2 ms)"
    assert "a period took too long: reading the hardware (11.2 ms)" in rig.said


def test_steady_overruns_do_not_flood(rig: Rig) -> None:
    peer = rig.come()
    rig.run(1.0)
    peer.reports.clear()
    rig.hardware.before_read = lambda: rig.clock.take(0.006)
    rig.run(5.0)
    assert len(of(LoopReport, peer.reports)) <= 51
    assert of(LoopReport, peer.reports)[-1].overruns >= 490
    assert "10 periods, at worst one, took too long: reading the hardware (6.0 ms)" in rig.said


def test_the_worst_overrun_waits_for_a_line_that_gets_through(rig: Rig) -> None:
    """A long one in a row of short ones, of which the journal drops most."""
    rig.run(1.0)
    took = {"s": 0.006}
    rig.hardware.before_read = lambda: rig.clock.take(took["s"])
    rig.run(8.0)  # more lines than are allowed at once
    before = len(rig.said)
    took["s"] = 0.3
    rig.turn()
    took["s"] = 0.006
    rig.run(3.0)
    assert "too long: reading the hardware (300.0 ms)" in rig.said[before:]
    took["s"] = 0.0
    rig.run(1.0)


def test_trouble_of_the_hardware_is_told_once_and_its_end_too(rig: Rig) -> None:
    peer = rig.come()
    rig.run(1.1)
    rig.hardware.trouble = "ADS1115 does not answer"
    rig.run(3.0)
    assert of(LoopReport, peer.reports)[-1].problem == "ADS1115 does not answer"
    rig.hardware.trouble = ""
    rig.run(3.0)
    assert rig.said.count("hardware: ADS1115 does not answer") == 1
    assert rig.said.count("hardware: all is well again") == 1


def test_the_status_line_says_how_it_is(rig: Rig, heard: Heard) -> None:
    rig.charge()
    rig.hardware.trouble = "no monitor"
    rig.run(1.1)
    status = [line for line in heard.lines if line.startswith("STATUS=")][-1]
    assert status.startswith("STATUS=contactors CLOSED, with communication, 0 periods skipped")
    assert status.endswith("; no monitor")


# --- the end -------------------------------------------------------------------------------------


def test_told_to_end_it_makes_safe_says_so_and_ends(rig: Rig, heard: Heard) -> None:
    rig.charge()
    rig.service.stop(15, None)
    began = rig.now
    rig.service.run()
    assert rig.now - began <= LAST_PERIODS_S + 3 * PERIOD_S
    assert rig.is_safe
    assert rig.hardware.calls[-1] == "make_safe"
    assert "STOPPING=1" in heard.lines
    assert "is told to end" in rig.said


def test_while_it_ends_it_takes_no_requests(rig: Rig) -> None:
    rig.charge()
    rig.service.stop()
    rig.turn()
    closings = rig.hardware.calls.count("CloseContactors")
    rig.run(LAST_PERIODS_S / 2)
    assert rig.hardware.calls.count("CloseContactors") == closings


# --- garbage, files, memory ----------------------------------------------------------------------


GARBAGE_S = 6.0
"""Shorter than in earnest, or these tests would take as long as that."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    assert service_realtime.GARBAGE_S >= 60.0
    monkeypatch.setattr(service_realtime, "GARBAGE_S", GARBAGE_S)


def collections(rig: Rig, seconds: float, monkeypatch: pytest.MonkeyPatch) -> int:
    count = [0]
    rig.come()

    def collect() -> int:
        count[0] += 1
        return 0

    monkeypatch.setattr(gc, "collect", collect)
    rig.run(seconds)
    return count[0]


@pytest.mark.usefixtures("impatient")
def test_garbage_is_collected_with_no_vehicle_and_seldom(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert collections(rig, 3 * GARBAGE_S + 2.0, monkeypatch) == 3


@pytest.mark.usefixtures("impatient")
def test_with_a_vehicle_no_garbage_is_collected(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.world.plug()
    assert collections(rig, GARBAGE_S + 5.0, monkeypatch) == 0
    rig.world.unplug()
    assert collections(rig, 1.0, monkeypatch) == 1


@pytest.mark.usefixtures("impatient")
def test_after_a_session_that_broke_off_garbage_is_collected(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its power stage stays aborted until the next one asks: that is off, too."""
    peer = rig.charge()
    peer.beats = False
    rig.until(lambda: rig.is_safe)
    rig.world.pilot.s2_closed = False
    rig.world.unplug()
    assert collections(rig, GARBAGE_S + 1.0, monkeypatch) >= 1


@pytest.mark.usefixtures("impatient")
def test_a_long_collection_is_named(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.come()
    monkeypatch.setattr(gc, "collect", lambda: rig.clock.take(0.02))
    rig.run(GARBAGE_S + 1.0)
    assert rig.service.loop.culprit == "garbage collection (20.0 ms)"
    assert rig.service.loop.overruns == 1


AUDITED: list[str] = []
AUDITING = [False]


def test_running_it_opens_no_file(rig: Rig) -> None:
    """Not in a charge, not when peers come and go, not when something is told."""

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if AUDITING[0] and (event.startswith(("open", "os.", "subprocess")) or "import" in event):
            AUDITED.append(f"{event} {args!r:.80}")

    sys.addaudithook(audit)
    peer = rig.charge()
    rig.run(1.5)
    AUDITING[0] = True
    try:
        for _ in range(400):
            rig.service.loop.turn()
        peer.channel.close()
        rig.peers.clear()
        for _ in range(400):
            rig.service.loop.turn()
        rig.world.unplug()
        for _ in range(400):
            rig.service.loop.turn()
    finally:
        AUDITING[0] = False
    assert AUDITED == []


def test_the_vehicles_half_runs_the_same_way(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "pev")
    peer = rig.come()
    rig.world.pilot.duty = 0.05
    rig.run(0.2)
    rig.world.plug()
    rig.run(0.5)
    assert {type(report).__name__ for report in peer.reports} >= {
        "InletPilotChanged",
        "InletReport",
        "InterlockReport",
    }
    rig.service.stop()
    rig.service.run()
    assert rig.hardware.calls[-1] == "make_safe"
    rig.close()


def test_the_journal_tells_of_the_vehicles_inlet(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "pev")
    rig.world.pilot.duty = 0.05
    rig.world.plug()
    rig.run(0.2)
    assert "inlet plugged, duty 5%" in rig.said
    rig.world.pilot.proximity_ohm = 5.0
    rig.run(0.2)
    assert "inlet plugged, duty 5%: proximity (PP): 5 Ohm is no CCS2 plug" in rig.said
    rig.world.unplug()
    rig.run(0.2)
    assert "inlet empty, duty 0%" in rig.said
    rig.close()


def test_a_guard_that_died_is_a_problem_that_is_told(tmp_path: Path) -> None:
    class Guard:
        said = ""

        def problem(self) -> str:
            return self.said

    rig = Rig(tmp_path)
    guard = Guard()
    rig.service._guard = guard  # type: ignore[assignment]
    try:
        peer = rig.come()
        rig.run(1.1)
        assert [r.problem for r in peer.reports if isinstance(r, LoopReport)][-1] == ""
        guard.said, rig.hardware.trouble = "the guard has died", "no daemon"
        rig.run(1.1)
        assert "hardware: no daemon; the guard has died" in rig.said
        rig.hardware.trouble = ""
        rig.run(1.1)
        assert [r.problem for r in peer.reports if isinstance(r, LoopReport)][-1] == guard.said
    finally:
        rig.close()
