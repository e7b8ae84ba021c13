"""Report, view and speed of an AC session: what took place, and nothing of V2G that did not."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from controller.config import (
    AcSection,
    CarConfig,
    ChargerConfig,
    ChargerSection,
    OnboardSection,
    SiteSection,
)
from controller.errors import ConfigError
from controller.report import Report
from controller.scene import DEFAULT_RUN_S, ac_power_w, default_speed, summary_lines
from controller.signals import (
    AcReading,
    ContactorRequest,
    ControlPilotState,
    CurrentOffered,
    EvseInputs,
    Output,
    PilotChanged,
    S2Request,
    SessionEnded,
    SetOnboardCurrent,
    SlacFailed,
    StartSlac,
)
from controller.view import EVENTS, LiveView, PlainView
from tests.test_report import car, charger

P = ControlPilotState
RT, COM, PEV = "evse.realtime", "evse.communication", "pev.communication"
DEAD = AcReading(220.0, False, False, 3, 0.0, 0.0)
LIVE = replace(DEAD, live_behind=True)
FULL_POWER = replace(LIVE, current_a=16.0, power_w=11_040.0)


def ac(reading: AcReading, *, closed: bool) -> EvseInputs:
    return replace(charger(0.0, closed=closed), ac=reading)


def pilot(state: ControlPilotState) -> PilotChanged:
    return PilotChanged(state, 9.0, -12.0, 0.25, diode_ok=True)


CHARGE: list[tuple[float, str, Output]] = [
    (1.0, RT, ac(DEAD, closed=False)),
    (2.0, RT, pilot(P.B1)),
    (2.5, RT, CurrentOffered(0.0, "not asked for")),
    (3.0, RT, CurrentOffered(16.0, "cable")),
    (4.0, RT, pilot(P.C2)),
    (4.5, RT, pilot(P.C2)),
    (5.0, RT, ac(LIVE, closed=True)),
    (5.0, RT, ac(FULL_POWER, closed=True)),
    (3605.0, RT, ac(FULL_POWER, closed=True)),
    (3605.0, RT, pilot(P.B2)),
    (3605.03, RT, ac(DEAD, closed=False)),
]


def played(*records: tuple[float, str, Output]) -> Report:
    report = Report()
    for now, node, item in (*CHARGE, *records):
        report.observe(now, node, "out", item)
    return report


def phases(report: Report) -> dict[str, float | None]:
    rows = report.summary(80.0)["phases"]
    return {row["name"]: row["duration_s"] for row in rows}


def test_phases_of_an_ac_session() -> None:
    report = played()
    assert report.summary()["mode"] == "ac"
    assert phases(report) == {
        "plug to offer": 1.0,
        "close after C": 1.0,
        "charge": pytest.approx(3600.03),
        "open after B": pytest.approx(0.03),
    }


def test_slac_is_told_where_it_was_tried() -> None:
    report = played((4000.0, COM, StartSlac()), (4050.0, COM, SlacFailed("nobody")))
    assert "SLAC" in phases(report)
    assert "plug to session" not in phases(report)


def test_a_second_closing_does_not_lengthen_the_first() -> None:
    report = played(
        (3700.0, RT, pilot(P.C2)),
        (3710.0, RT, ac(LIVE, closed=True)),
        (3800.0, RT, pilot(P.B2)),
        (3800.05, RT, ac(DEAD, closed=False)),
    )
    assert phases(report)["close after C"] == 1.0
    assert phases(report)["open after B"] == pytest.approx(0.05)
    assert phases(report)["charge"] == pytest.approx(3795.05)


def test_late_is_said() -> None:
    report = played((3700.0, RT, pilot(P.B2)))
    rows = {row["name"]: row for row in report.summary()["phases"]}
    assert rows["open after B"]["limit_s"] == 0.1
    assert rows["close after C"]["limit_s"] == 3.0
    assert all(row["within_limit"] for row in rows.values())


def test_energy_and_power_are_the_meters() -> None:
    summary = played().summary()
    assert summary["energy_wh"] == pytest.approx(11_040.0, rel=0.001)
    assert summary["peak_power_w"] == 11_040.0


def test_safe_is_open_and_dead() -> None:
    report = played()
    assert report.safe
    report.observe(4000.0, RT, "in", ac(LIVE, closed=False))
    assert not report.safe  # welded
    assert report.output_voltage_v == 230.0
    report.observe(4001.0, RT, "in", ac(DEAD, closed=True))
    assert not report.safe


def test_who_begins_anew_has_not_ended() -> None:
    report = played(
        (3700.0, COM, SessionEnded("vehicle stopped drawing power", normal=True)),
        (3701.0, PEV, SessionEnded("charger stopped offering current", normal=True)),
    )
    assert set(report.reasons) == {"evse", "pev"}
    report.observe(3702.0, COM, "out", ContactorRequest(closed=False))
    assert set(report.reasons) == {"evse", "pev"}
    report.observe(3702.0, COM, "out", ContactorRequest(closed=True))
    assert set(report.reasons) == {"pev"}
    report.observe(3702.0, PEV, "out", S2Request(closed=True))
    assert not report.reasons
    assert report.reason() == "the session did not end"


def test_the_summary_in_words() -> None:
    report = played()
    report.observe(3601.0, "pev.realtime", "in", car(80.0))
    summary = report.summary(80.0) | {"given_up": "", "folder": "x"}
    text = "\n".join(summary_lines(summary))
    for words in ("11.04 kWh", "peak 11.0 kW", "close after C", "yes: contactors open"):
        assert words in text
    for words in ("CurrentDemandRes", "cable check", "SDP", "pre-charge", "slowest answer"):
        assert words not in text


# --- the view ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (CurrentOffered(16.0, "cable"), "offers 16.0 A (limit: cable)"),
        (CurrentOffered(0.0, "a mains phase is missing"), "offers no current: a mains phase"),
        (SetOnboardCurrent(13.0), "on-board charger may draw 13.0 A"),
        (SetOnboardCurrent(0.0), "on-board charger off"),
    ],
)
def test_lines(item: Output, text: str) -> None:
    stream = io.StringIO()
    PlainView(stream).observe(1.0, RT, "out", item)
    assert text in stream.getvalue()
    assert EVENTS[type(item)](item).startswith(text)


def test_the_table() -> None:
    stream = io.StringIO()
    view = LiveView(Console(file=stream, width=140, force_terminal=False), "t")
    records: list[tuple[str, str, Any]] = [
        (RT, "in", ac(FULL_POWER, closed=True)),
        (RT, "out", CurrentOffered(16.0, "cable")),
        ("pev.realtime", "out", SetOnboardCurrent(16.0)),
    ]
    for node, way, item in records:
        view.observe(1.0, node, way, item)
    view.close()
    text = stream.getvalue()
    for words in ("AC limit", "16.0 A (cable)", "16.0 A per phase", "11.0 kW", "live, 3 phases"):
        assert words in text


# --- speed ---------------------------------------------------------------------------------------

AC = ChargerConfig(charger=ChargerSection(mode="ac"))


def at(ac: AcSection, site: SiteSection | None = None) -> ChargerConfig:
    return replace(AC, ac=ac, site=site or SiteSection())


@pytest.mark.parametrize(
    ("config", "onboard", "power_w"),
    [
        (AC, OnboardSection(efficiency=1.0), 16 * 3 * 230),
        (AC, OnboardSection(efficiency=0.9), 16 * 3 * 230 * 0.9),
        (AC, OnboardSection(phases=1, efficiency=1.0), 16 * 230),
        (AC, OnboardSection(maximum_current_a=80.0, efficiency=1.0), 32 * 3 * 230),
        (at(AcSection(phases=1)), OnboardSection(efficiency=1.0), 16 * 230),
        (at(AcSection(maximum_current_a=10.0)), OnboardSection(efficiency=1.0), 10 * 3 * 230),
        (at(AcSection(installation_current_a=6.0)), OnboardSection(efficiency=1.0), 6 * 3 * 230),
        (
            at(AcSection(connector="socket"), SiteSection(cable_ohm=1500.0)),
            OnboardSection(efficiency=1.0),
            13 * 3 * 230,
        ),
    ],
)
def test_power(config: ChargerConfig, onboard: OnboardSection, power_w: float) -> None:
    assert ac_power_w(config, CarConfig(onboard=onboard)) == pytest.approx(power_w)


@pytest.mark.parametrize(
    ("config", "onboard_a", "says"),
    [
        (AC, 0.0, r"\[onboard\] maximum_current_a allows 0 A"),
        (AC, 5.9, r"\[onboard\] maximum_current_a allows 5.9 A"),
        (
            at(AcSection(connector="socket"), SiteSection(cable_ohm=1e6)),
            16.0,
            r"the cable \(\[site\] cable_ohm\) allows 0 A",
        ),
    ],
)
def test_nothing_to_charge_is_said_before(
    config: ChargerConfig, onboard_a: float, says: str
) -> None:
    with pytest.raises(ConfigError, match=f"nothing to charge from AC: {says}"):
        ac_power_w(config, CarConfig(onboard=OnboardSection(maximum_current_a=onboard_a)))


def test_the_default_speed_fits_an_ac_charge() -> None:
    """10.8 kWh at 10.2 kW: a bit more than an hour."""
    speed = default_speed(AC, CarConfig())
    assert speed * DEFAULT_RUN_S == pytest.approx(3900, rel=0.1)
    slower = default_speed(at(AcSection(digital_first=True)), CarConfig())
    assert slower > speed


def test_what_the_power_stage_wants_by_itself_is_no_new_beginning() -> None:
    """A request that was under way when the session ended makes the stage ask for contactors."""
    report = Report()
    report.observe(10.0, COM, "out", SessionEnded("connection lost", normal=False))
    report.observe(10.0, "evse.realtime", "out", ContactorRequest(closed=True))
    assert report.reason() == "connection lost"
