"""Folding: cyclic items that say nothing new are counted, everything else is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.recorder import CYCLIC, FOLD_S, Backlog, Recorder
from controller.signals import (
    AcReading,
    CableCheckState,
    ContactorReading,
    EvseInputs,
    Heartbeat,
    InletReport,
    InletSample,
    IsolationReading,
    IsolationStatus,
    LinkChanged,
    OutputReading,
    PevInputs,
    Phase,
    PilotSample,
    PowerEnvelope,
    PowerReport,
    SetOutput,
)

Row = tuple[float, str, str, Any, int]
ENVELOPE = PowerEnvelope(150.0, 920.0, 0.0, 300.0, 150e3)
VEHICLE = InletReport(400.0, 100.0, 399.0, 50.0, 420.0, 400.0, 415.0, 200.0, True, True, 0.0)
EVSE = EvseInputs(
    PilotSample(6.0, -12.0, 0.0),
    OutputReading(400.0, 100.0, 0.0),
    ContactorReading(True, 0.0),
    IsolationReading(1e6, True, 0.0),
    ENVELOPE,
)
AC = AcReading(220.0, False, True, 3, 16.0, 0.0)
AC_EVSE = replace(EVSE, ac=AC)
PEV = PevInputs(InletSample(6.0, 0.05, True, 0.0), ContactorReading(True, 0.0), VEHICLE)
POWER = PowerReport(
    400.0, 100.0, 0.0, True, True, CableCheckState.PASSED, IsolationStatus.VALID, ENVELOPE, True
)


def recorded(*items: tuple[float, Any], node: str = "n", way: str = "in") -> list[Row]:
    rows: list[Row] = []
    recorder = Recorder(lambda *row: rows.append(row))
    for now, item in items:
        recorder(now, node, way, item)
    return rows


def test_other_items_are_written_as_they_come() -> None:
    link = LinkChanged(up=True)
    assert recorded((0.0, link), (0.0, link)) == [(0.0, "n", "in", link, 0)] * 2


@pytest.mark.parametrize(
    ("item", "noise", "news"),
    [
        (Heartbeat(1, Phase.IDLE), {"sequence": 2}, {"phase": Phase.CHARGE}),
        (SetOutput(400.0, 10.0, True), {"voltage_v": 400.3}, {"voltage_v": 401.0}),
        (SetOutput(400.0, 10.0, True), {"current_a": 10.4}, {"current_a": 11.0}),
        (SetOutput(400.0, 10.0, True), {"voltage_v": 399.9}, {"on": False}),
        (POWER, {"reading_at": 1.0}, {"valid": False}),
        (POWER, {"voltage_v": 400.4}, {"contactors_closed": False}),
        (POWER, {"voltage_v": 400.4}, {"cable_check": CableCheckState.FAILED}),
        (POWER, {"current_a": 100.3}, {"isolation": IsolationStatus.FAULT}),
        (POWER, {"current_a": 100.3}, {"output_on": False}),
        (POWER, {"current_a": 100.3}, {"power_limited": True}),
        (POWER, {"current_a": 100.3}, {"current_limited": True}),
        (POWER, {"current_a": 100.3}, {"voltage_limited": True}),
        (VEHICLE, {"taken_at": 1.0}, {"ready": False}),
        (VEHICLE, {"soc_percent": 50.04}, {"soc_percent": 50.1}),
        (VEHICLE, {"inlet_voltage_v": 400.4}, {"contactors_closed": False}),
        (EVSE, {"pilot": PilotSample(6.1, -11.9, 1.0)}, {"pilot": PilotSample(9.0, -12.0, 1.0)}),
        (EVSE, {"output": OutputReading(400.2, 100.2, 1.0)}, {"emergency_stop": True}),
        (
            EVSE,
            {"isolation": IsolationReading(1e6, True, 1.0)},
            {"isolation": IsolationReading(1e6, True, 1.0, valid=False)},
        ),
        (
            EVSE,
            {"contactors": ContactorReading(True, 1.0)},
            {"contactors": ContactorReading(False, 1.0)},
        ),
        (
            EVSE,
            {"output": OutputReading(400.0, 100.0, 1.0)},
            {"output": OutputReading(400.0, 100.0, 1.0, valid=False)},
        ),
        (EVSE, {"pilot": PilotSample(6.1, -11.9, 1.0)}, {"chain_open": True}),
        (
            AC_EVSE,
            {"ac": replace(AC, current_a=16.4, taken_at=1.0)},
            {"ac": replace(AC, rcd_tripped=True)},
        ),
        (AC_EVSE, {"ac": replace(AC, cable_ohm=215.0)}, {"ac": replace(AC, cable_ohm=680.0)}),
        (AC_EVSE, {"ac": replace(AC, power_w=1e4)}, {"ac": replace(AC, live_behind=False)}),
        (AC_EVSE, {"ac": replace(AC, taken_at=9.0)}, {"ac": replace(AC, phases=2)}),
        (AC_EVSE, {"ac": replace(AC, taken_at=9.0)}, {"ac": replace(AC, valid=False)}),
        (AC_EVSE, {"ac": replace(AC, taken_at=9.0)}, {"ac": replace(AC, current_a=17.0)}),
        (
            PEV,
            {"pilot": InletSample(6.1, 0.051, True, 1.0)},
            {"pilot": InletSample(6.0, 0.05, False, 1.0)},
        ),
        (
            PEV,
            {"contactors": ContactorReading(True, 1.0)},
            {"contactors": ContactorReading(False, 1.0)},
        ),
        (
            PEV,
            {"vehicle": replace(VEHICLE, taken_at=1.0)},
            {"vehicle": replace(VEHICLE, ready=False)},
        ),
    ],
)
def test_news_is_written_and_noise_is_counted(
    item: EvseInputs | PevInputs, noise: dict[str, Any], news: dict[str, Any]
) -> None:
    same, other = replace(item, **noise), replace(item, **news)
    rows = recorded((0.0, item), (0.1, same), (0.2, same), (0.3, other))
    assert rows == [(0.0, "n", "in", item, 0), (0.3, "n", "in", other, 2)]


@pytest.mark.parametrize(("later", "written"), [(FOLD_S - 0.001, 1), (FOLD_S, 2)])
def test_once_a_second_it_is_written_all_the_same(later: float, written: int) -> None:
    beat = Heartbeat(1, Phase.IDLE)
    assert len(recorded((0.0, beat), (later, beat))) == written


def test_repeats_count_from_the_last_one_written() -> None:
    beat = Heartbeat(1, Phase.IDLE)
    rows = recorded(*[(n * 0.25, beat) for n in range(9)])
    assert [(at, repeats) for at, _, _, _, repeats in rows] == [(0.0, 0), (1.0, 3), (2.0, 3)]


def test_nodes_and_directions_are_apart() -> None:
    rows: list[Row] = []
    recorder = Recorder(lambda *row: rows.append(row))
    for node, way in (("a", "in"), ("a", "out"), ("b", "in"), ("a", "in")):
        recorder(0.0, node, way, Heartbeat(1, Phase.IDLE))
    assert len(rows) == 3


def test_every_cyclic_kind_is_tested() -> None:
    assert set(CYCLIC) == {EvseInputs, PevInputs, PowerReport, InletReport, Heartbeat, SetOutput}


# --- the backlog ---------------------------------------------------------------------------------


def drain(backlog: Backlog) -> list[bytes]:
    packets = []
    while (packet := backlog.peek()) is not None:
        packets.append(packet)
        backlog.taken()
    return packets


def test_a_backlog_gives_each_once_and_all_again_when_asked() -> None:
    backlog = Backlog(10)
    assert backlog.peek() is None
    for n in range(4):
        backlog.put(b"%d" % n)
    assert drain(backlog) == [b"0", b"1", b"2", b"3"]
    backlog.put(b"4")
    assert backlog.peek() == backlog.peek() == b"4"  # not taken yet: the socket was full
    assert drain(backlog) == [b"4"]
    backlog.rewind()
    assert drain(backlog) == [b"0", b"1", b"2", b"3", b"4"]


def test_a_backlog_is_bounded_and_loses_the_oldest() -> None:
    backlog = Backlog(3)
    for n in range(10):
        backlog.put(b"%d" % n)
        if n == 4:
            assert drain(backlog) == [b"2", b"3", b"4"]
    assert drain(backlog) == [b"7", b"8", b"9"]
    backlog.rewind()
    assert drain(backlog) == [b"7", b"8", b"9"]
