"""The report: phases beside limits, answers beside budgets, the reason, what is safe."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from controller.report import BEGINS, ENDS, HANDLERS, PHASES, SAFE_VOLTAGE_V, Report, budget_s, side
from controller.signals import (
    AnswerMeasured,
    ConnectionMade,
    ContactorReading,
    EvseInputs,
    InletReport,
    InletSample,
    InterlockReport,
    IsolationReading,
    LinkChanged,
    MessageReceived,
    MessageSent,
    Output,
    OutputReading,
    PeerMisbehaved,
    PevInputs,
    PilotSample,
    PowerEnvelope,
    SessionEnded,
    SlacMatched,
    StartSdp,
    StartSlac,
    StationChanged,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

EVSE, PEV = "evse.communication", "pev.communication"
VEHICLE = InletReport(400.0, 100.0, 399.0, 50.0, 420.0, 400.0, 415.0, 200.0, False, True, 0.0)
MATCHED = SlacMatched(bytes(6), bytes(8), bytes(7), bytes(16), 12.0)


def charger(voltage_v: float, current_a: float = 0.0, *, closed: bool = False) -> EvseInputs:
    return EvseInputs(
        PilotSample(6.0, -12.0, 0.0),
        OutputReading(voltage_v, current_a, 0.0),
        ContactorReading(closed, 0.0),
        IsolationReading(1e6, True, 0.0),
        PowerEnvelope(150.0, 920.0, 0.0, 300.0, 150e3),
    )


def car(soc_percent: float, *, closed: bool = False) -> PevInputs:
    return PevInputs(
        InletSample(6.0, 0.05, True, 0.0),
        ContactorReading(closed, 0.0),
        replace(VEHICLE, soc_percent=soc_percent),
    )


def report(*records: tuple[float, str, Output]) -> Report:
    result = Report()
    for now, node, item in records:
        result.observe(now, node, "out", item)
    return result


def asked(name: str) -> MessageReceived:
    return MessageReceived(name, "DIN")


def sent(name: str) -> MessageSent:
    return MessageSent(name, "DIN", "OK")


# --- phases --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "records"),
    [
        ("slac", [(1.0, EVSE, StartSlac()), (4.0, EVSE, MATCHED)]),
        ("join", [(1.0, EVSE, MATCHED), (4.0, EVSE, LinkChanged(up=True))]),
        ("sdp", [(1.0, PEV, StartSdp()), (4.0, PEV, ConnectionMade(("x", 1)))]),
        *[
            (phase, [(1.0, EVSE, asked(request)), (4.0, EVSE, sent(response))])
            for request, phase in BEGINS.items()
            for response, ended in ENDS.items()
            if ended == phase
        ],
    ],
)
def test_phase(phase: str, records: Sequence[tuple[float, str, Output]]) -> None:
    result = report(*records)
    assert result.phases[phase].duration_s == 3.0
    assert result.phases[phase].name == PHASES[phase][0]


def test_a_phase_lasts_from_its_first_to_its_last_event() -> None:
    result = report(
        (1.0, EVSE, asked("CableCheckReq")),
        (1.1, EVSE, sent("CableCheckRes")),
        (5.0, EVSE, asked("CableCheckReq")),
        (5.1, EVSE, sent("CableCheckRes")),
    )
    assert result.phases["cable_check"].duration_s == pytest.approx(4.1)


def test_an_end_without_a_beginning_is_none() -> None:
    result = report((1.0, EVSE, sent("CableCheckRes")), (2.0, EVSE, LinkChanged(up=True)))
    assert all(p.duration_s is None and p.within_limit for p in result.phases.values())


@pytest.mark.parametrize(
    ("records", "began"),
    [
        ([(9.0, EVSE, asked("PowerDeliveryReq"))], None),  # on: the charge has not begun
        ([(1.0, EVSE, asked("CurrentDemandReq")), (9.0, EVSE, asked("PowerDeliveryReq"))], 9.0),
    ],
)
def test_the_stop_begins_with_power_delivery_after_the_charge(
    records: list[tuple[float, str, Output]], began: float | None
) -> None:
    assert report(*records).phases["stop"].began_at == began


def test_what_the_vehicle_says_about_messages_counts_for_the_charger_only_once() -> None:
    result = report(
        (1.0, PEV, sent("CableCheckReq")), (2.0, PEV, asked("CableCheckRes")), (3.0, PEV, MATCHED)
    )
    assert result.messages == 0
    assert result.phases["cable_check"].began_at is None
    assert result.phases["slac"].ended_at is None


@pytest.mark.parametrize(("took_s", "within"), [(40.0, True), (40.001, False)])
def test_limit(took_s: float, within: bool) -> None:
    result = report(
        (0.0, EVSE, asked("CableCheckReq")), (took_s, EVSE, sent("CableCheckRes"))
    ).summary()
    phase = next(p for p in result["phases"] if p["name"] == "cable check")
    assert phase["limit_s"] == 40.0
    assert phase["within_limit"] is within


# --- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "budget"),
    [("CurrentDemandRes", 0.025), ("SessionSetupRes", 1.5), ("ServiceDetailRes", 4.5)],
)
def test_budget(name: str, budget: float) -> None:
    assert budget_s(name) == budget


def test_the_slowest_answer_of_each_budget() -> None:
    result = report(
        (0.0, EVSE, AnswerMeasured("CurrentDemandRes", 0.001, 0.0)),
        (0.0, EVSE, AnswerMeasured("CurrentDemandRes", 0.002, 0.010)),
        (0.0, EVSE, AnswerMeasured("CurrentDemandRes", 0.003, 0.0)),
        (0.0, EVSE, AnswerMeasured("CableCheckRes", 0.1, 0.0)),
        (0.0, EVSE, AnswerMeasured("SessionSetupRes", 0.2, 0.0)),
        (0.0, PEV, AnswerMeasured("CurrentDemandRes", 9.0, 0.0)),  # not the charger's
    )
    assert [(r["name"], r["seconds"], r["budget_s"]) for r in result.slowest()] == [
        ("CurrentDemandRes", pytest.approx(0.012), 0.025),
        ("SessionSetupRes", pytest.approx(0.2), 1.5),
        ("", None, 4.5),
    ]
    assert result.summary()["answers"]["CurrentDemandRes"]["waited_s"] == 0.010


# --- energy, target, safety ----------------------------------------------------------------------


def test_energy_and_peak() -> None:
    result = report(
        (0.0, "evse.realtime", charger(400.0)),
        (1800.0, "evse.realtime", charger(400.0, 100.0)),
        (3600.0, "evse.realtime", charger(400.0, 100.0)),
    )
    assert result.energy_wh == pytest.approx(30_000.0)
    assert result.peak_power_w == 40_000.0


@pytest.mark.parametrize(
    ("soc", "target", "reached"),
    [(79.94, 80.0, False), (79.95, 80.0, True), (81.0, 80.0, True), (81.0, None, False)],
)
def test_target(soc: float, target: float | None, reached: bool) -> None:
    result = report((0.0, "pev.realtime", car(50.0)), (1.0, "pev.realtime", car(soc)))
    summary = result.summary(target)
    assert summary["reached_target"] is reached
    assert (summary["soc_at_start_percent"], summary["soc_percent"]) == (50.0, soc)


@pytest.mark.parametrize(
    ("voltage_v", "evse_closed", "pev_closed", "safe"),
    [
        (0.0, False, False, True),
        (SAFE_VOLTAGE_V - 0.1, False, False, True),
        (SAFE_VOLTAGE_V, False, False, False),
        (0.0, True, False, False),
        (0.0, False, True, False),
    ],
)
def test_safe(voltage_v: float, evse_closed: bool, pev_closed: bool, safe: bool) -> None:
    result = report(
        (0.0, "evse.realtime", charger(voltage_v, closed=evse_closed)),
        (0.0, "pev.realtime", car(50.0, closed=pev_closed)),
    )
    assert result.safe is safe
    assert result.summary()["contactors_closed"] == {"evse": evse_closed, "pev": pev_closed}


def test_a_side_without_its_process_is_known_from_its_hardware() -> None:
    result = report(
        (0.0, "evse.realtime", charger(400.0, closed=True)), (1.0, "evse.hardware", charger(3.0))
    )
    assert result.safe


# --- why -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "reason", "normal"),
    [
        ([], "the session did not end", False),
        ([(EVSE, "car is full", True), (PEV, "target reached", True)], "car is full", True),
        ([(PEV, "target reached", True), (EVSE, "link lost", False)], "target reached", False),
        ([(PEV, "a", False), (EVSE, "b", False)], "a", False),
        ([(EVSE, "first", True), (EVSE, "second", False)], "first", True),
    ],
)
def test_reason(ends: list[tuple[str, str, bool]], reason: str, normal: bool) -> None:
    records = [(float(i), node, SessionEnded(why, ok)) for i, (node, why, ok) in enumerate(ends)]
    summary = report(*records).summary()
    assert summary["reason"] == reason
    assert summary["normal"] is normal


def test_the_first_latched_fault_and_what_the_peer_did_are_kept() -> None:
    latched = [InterlockReport(False, False, (), why, True) for why in ("", "welded", "other")]
    result = report(
        *((0.0, "evse.realtime", item) for item in latched),
        *((0.0, EVSE, PeerMisbehaved(f"bad {n}")) for n in range(200)),
    ).summary()
    assert result["latched"] == "welded"
    assert result["peer_misbehaved"][0] == f"{EVSE}: bad 0"
    assert len(result["peer_misbehaved"]) == 100


def test_what_it_does_not_know_changes_nothing() -> None:
    assert report((0.0, EVSE, StationChanged("x"))).summary() == Report().summary()
    assert StationChanged not in HANDLERS


def test_the_summary_is_plain_json() -> None:
    assert json.loads(json.dumps(Report().summary(80.0))) == Report().summary(80.0)


@pytest.mark.parametrize(
    ("node", "name"), [("evse.realtime", "evse"), ("pev", "pev"), ("pev.communication", "pev")]
)
def test_side(node: str, name: str) -> None:
    assert side(node) == name


def test_two_reports_share_nothing() -> None:
    one: Any = report((1.0, EVSE, asked("CableCheckReq")))
    assert one.phases["cable_check"].began_at == 1.0
    assert Report().phases["cable_check"].began_at is None
