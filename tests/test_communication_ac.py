"""The AC charger's communication: who takes part, who hears what, what it asks of realtime."""

from __future__ import annotations

import pytest

from controller.communication import EvseCommunication
from controller.config import AcSection, ChargerConfig, ChargerSection, PlcSection
from controller.signals import (
    CloseConnection,
    ConnectionLost,
    ConnectionMade,
    ContactorRequest,
    ControlPilotState,
    CurrentOffered,
    CurrentRequest,
    DatagramReceived,
    DataReceived,
    DutyRequest,
    EmergencyStop,
    FrameReceived,
    Heartbeat,
    InterlockReport,
    Output,
    Phase,
    PilotChanged,
    ResetRequest,
    SendDatagram,
    SendFrame,
    StartSlac,
    StopRequest,
)
from controller.station import EvseStation
from controller.station_ac import AcState, AcStation

MAC = bytes.fromhex("024343530001")
ADDRESS = bytes.fromhex("fe80") + bytes(14)
PLUG = PilotChanged(ControlPilotState.B1, 9.0, 9.0, 1.0, diode_ok=True)
READY = PilotChanged(ControlPilotState.C2, 6.0, -12.0, 0.27, diode_ok=True)
PERMITTED = InterlockReport(True, True, (), "", emergency=False)
SDP_REQUEST = bytes.fromhex("01fe9000000000021000")


def ac(*, digital_first: bool = False, modem: str = "homeplug") -> EvseCommunication:
    config = ChargerConfig(
        charger=ChargerSection(mode="ac"),
        ac=AcSection(digital_first=digital_first, maximum_current_a=20.0),
        plc=PlcSection(modem=modem),
    )
    return EvseCommunication(config, MAC, ADDRESS, 50000, lambda count: bytes(count))


def of(kind: type[Output], out: list[Output]) -> list[Output]:
    return [item for item in out if isinstance(item, kind)]


@pytest.mark.parametrize(
    ("digital_first", "modem", "with_modem"),
    [
        (True, "homeplug", True),
        (False, "homeplug", False),
        (True, "none", False),
        (False, "none", False),
    ],
)
def test_a_modem_takes_part_only_where_it_is_needed(
    digital_first: bool, modem: str, with_modem: bool
) -> None:
    core = ac(digital_first=digital_first, modem=modem)
    out = core.handle_timer(0.0) + core.receive(PLUG, 1.0)
    assert core.with_modem is with_modem
    assert bool(of(StartSlac, out)) is with_modem
    assert bool(of(SendFrame, out)) is with_modem
    assert bool(of(CurrentRequest, out)) is not with_modem


def test_a_dc_charger_has_its_own_station() -> None:
    core = EvseCommunication(ChargerConfig(), MAC, ADDRESS, 50000, lambda count: bytes(count))
    assert isinstance(core.station, EvseStation)
    assert core.receive(CurrentRequest(10.0), 1.0)[1:] == []


def test_it_offers_what_the_file_says() -> None:
    assert CurrentRequest(20.0) in ac().receive(PLUG, 1.0)


def test_a_charge_and_its_stop() -> None:
    core = ac()
    core.receive(PLUG, 1.0)
    assert ContactorRequest(closed=True) in core.receive(READY, 2.0)
    core.receive(PERMITTED, 2.1)
    assert core.station.phase is Phase.CHARGE
    out = core.receive(StopRequest("stop button"), 3.0)
    assert of(DutyRequest, out) == [DutyRequest(1.0)]
    assert [beat.phase for beat in of(Heartbeat, out)] == [Phase.STOPPING]  # type: ignore[attr-defined]


def test_another_current_is_passed_on_once() -> None:
    core = ac()
    core.receive(PLUG, 1.0)
    assert of(CurrentRequest, core.receive(CurrentRequest(10.0), 2.0)) == [CurrentRequest(10.0)]


def test_a_reset_reaches_realtime_and_ends_the_session() -> None:
    core = ac()
    core.receive(PLUG, 1.0)
    out = core.receive(ResetRequest(), 2.0)
    assert ResetRequest() in out
    assert DutyRequest(1.0) in out


def test_an_emergency_stop_ends_the_session() -> None:
    core = ac()
    core.receive(PLUG, 1.0)
    core.receive(READY, 2.0)
    assert ContactorRequest(closed=False) in core.receive(EmergencyStop("button"), 3.0)


def test_why_nothing_is_offered_reaches_the_station() -> None:
    core = ac()
    core.receive(PLUG, 1.0)
    core.receive(CurrentOffered(0.0, "a mains phase is missing"), 1.1)
    assert isinstance(core.station, AcStation)
    assert core.station.obstacle == "a mains phase is missing"


def test_without_v2g_nobody_is_answered() -> None:
    """A peer on the wire of an AC charger starts no session and no contactor."""
    core = ac(digital_first=True)
    core.handle_timer(0.0)
    core.receive(PLUG, 1.0)
    assert of(SendDatagram, core.receive(DatagramReceived(SDP_REQUEST, ("fe80::1", 1)), 2.0)) == []
    (refused,) = of(CloseConnection, core.receive(ConnectionMade(("fe80::1", 1)), 2.1))
    assert isinstance(refused, CloseConnection)
    assert "AC" in refused.reason
    for item in (DataReceived(b"\x01\xfe\x80\x01"), ConnectionLost("gone")):
        assert not of(ContactorRequest, core.receive(item, 2.2))
    assert core.station.state is AcState.MATCHING


def test_frames_of_the_modem_are_for_slac() -> None:
    core = ac(digital_first=True)
    core.handle_timer(0.0)
    core.receive(FrameReceived(bytes(60)), 0.5)
    assert core.station.state is AcState.UNPLUGGED


def test_the_end_of_realtime_is_a_fault() -> None:
    core = ac()
    core.receive(PLUG, 1.0)
    core.realtime_lost(2.0)
    assert core.station.state is AcState.SHOWING_FAULT
