"""Someone stops before a V2G session has begun: nobody else could end it."""

from __future__ import annotations

import pytest

from controller.communication import Communication, EvseCommunication, PevCommunication
from controller.config import CarConfig, ChargerConfig, PlcSection
from controller.signals import (
    ConnectionMade,
    ControlPilotState,
    DutyRequest,
    InletPilotChanged,
    Output,
    Phase,
    PilotChanged,
    SendFrame,
    SessionEnded,
    StopRequest,
    V2gPhaseChanged,
)
from controller.station import EvseState, EvseStation
from controller.station_pev import PevState, PevStation

PLUGGED = PilotChanged(ControlPilotState.B1, 9.0, 9.0, 1.0, True)
DIGITAL = InletPilotChanged(True, 0.05, True)
STOP = StopRequest("driver pressed stop")


def evse() -> EvseStation:
    station = EvseStation(slac=False)
    station.receive_signal(PLUGGED, 0.0)
    assert station.state is EvseState.CONNECTED
    return station


def pev() -> PevStation:
    station = PevStation(slac=False)
    station.receive_signal(DIGITAL, 0.0)
    assert station.state is PevState.DISCOVERING
    return station


@pytest.mark.parametrize("make", [evse, pev])
def test_stop_before_the_session_ends_the_plug_in(make: type[EvseStation | PevStation]) -> None:
    station = make()
    out = station.receive_signal(STOP, 1.0)
    assert [o for o in out if isinstance(o, SessionEnded)] == [SessionEnded(STOP.reason, False)]
    assert station.state.name == "ENDED"


@pytest.mark.parametrize("make", [evse, pev])
def test_stop_within_the_session_is_the_sessions_affair(
    make: type[EvseStation | PevStation],
) -> None:
    station = make()
    station.receive_signal(ConnectionMade(("fe80::1", 50_000)), 0.5)
    station.receive_signal(V2gPhaseChanged(Phase.CONNECTED), 1.0)
    assert station.receive_signal(STOP, 2.0) == []
    assert station.state.name == "CONNECTED"


def test_the_next_plug_in_is_before_its_session_again() -> None:
    station = evse()
    station.receive_signal(ConnectionMade(("fe80::1", 50_000)), 1.0)
    assert station.receive_signal(STOP, 1.5) == []
    station.receive_signal(PilotChanged(ControlPilotState.A1, 12.0, 12.0, 1.0, True), 2.0)
    station.receive_signal(PLUGGED, 3.0)
    assert station.receive_signal(STOP, 4.0)


# --- without a modem -----------------------------------------------------------------------------

NO_MODEM = PlcSection(modem="none")
WITH_MODEM = PlcSection()


def cores(plc: PlcSection) -> list[Communication]:
    mac, address = b"\x02" + bytes(5), b"\xfe\x80" + bytes(14)
    return [
        EvseCommunication(ChargerConfig(plc=plc), mac, address, 50_000, bytes),
        PevCommunication(CarConfig(plc=plc), mac, bytes),
    ]


def frames(core: Communication, until: float) -> list[Output]:
    """Let time pass with a connector in; return what went to a modem."""
    out = core.receive(PLUGGED, 0.0) + core.receive(DIGITAL, 0.0)
    while (at := core.next_timer()) is not None and at <= until:
        out += core.handle_timer(at)
    return [o for o in out if isinstance(o, SendFrame)]


@pytest.mark.parametrize("side", [0, 1])
def test_without_modem_nothing_is_said_to_one(side: int) -> None:
    assert frames(cores(NO_MODEM)[side], 12.0) == []
    assert frames(cores(WITH_MODEM)[side], 12.0) != []


def test_without_modem_the_charger_is_reached_at_once() -> None:
    core = cores(NO_MODEM)[0]
    out = core.receive(PLUGGED, 0.0)
    assert [o.duty for o in out if isinstance(o, DutyRequest)] == [0.05]
    assert core.station.state is EvseState.CONNECTED
