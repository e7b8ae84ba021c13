"""From arguments to a scene and to words, without starting one."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from controller import scene
from controller.config import CarConfig, ChargerConfig, parse
from controller.errors import PortError
from controller.session_folder import new_folder
from controller.signals import AnswerMeasured, SessionEnded
from controller.site_link import choose_link, free_udp_port
from tests.test_report import asked, car, charger, report, sent

EVSE = "evse.communication"
GOOD = {"reached_target": True, "normal": True, "ended_safe": True, "given_up": ""}


@pytest.mark.parametrize(
    ("changes", "target_matters", "good"),
    [
        ({}, True, True),
        ({"reached_target": False}, True, False),
        ({"reached_target": False}, False, True),
        ({"normal": False}, True, False),
        ({"ended_safe": False}, True, False),
        ({"ended_safe": False}, False, False),
        ({"given_up": "no end within 4 hours"}, True, False),
    ],
)
def test_success(changes: dict[str, Any], target_matters: bool, good: bool) -> None:
    assert scene.succeeded(GOOD | changes, target_matters=target_matters) is good


def summary(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    result = report(
        (0.0, "evse.realtime", charger(400.0, 100.0)),
        (0.0, "pev.realtime", car(50.0)),
        (1.0, EVSE, asked("CableCheckReq")),
        (4.0, EVSE, sent("CableCheckRes")),
        (5.0, EVSE, AnswerMeasured("CurrentDemandRes", 0.030, 0.0)),
        (6.0, EVSE, SessionEnded("car is full", True)),
        (7.0, "evse.realtime", charger(3.0)),
        (7.0, "pev.realtime", car(80.0)),
    ).summary(80.0)
    return result | {"given_up": "", "folder": "sessions/x"} | changes


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "car is full"),
        ({"given_up": "the process pev ended unexpectedly"}, "the process pev ended unexpectedly"),
        ({}, "SoC 50.0 -> 80.0 %, target reached"),
        ({"reached_target": False}, "target NOT reached"),
        ({}, "yes: contactors open, output at 3 V"),
        (
            {"ended_safe": False, "contactors_closed": {"evse": True, "pev": False}},
            "NO: contactors CLOSED at evse, output at 3 V",
        ),
        ({"ended_safe": False, "output_voltage_v": 90.0}, "NO: contactors open, output at 90 V"),
        ({"soc_percent": None}, "SoC not known"),
        ({}, " 30.0 ms     25 ms  TOO LATE"),
        ({}, "cable check         3.00 s      40 s"),
        ({}, "session folder: sessions/x"),
        ({"not_kept": ["capture: No space left on device"]}, "not kept   capture: No space"),
    ],
)
def test_summary_lines(changes: dict[str, Any], line: str) -> None:
    lines = scene.summary_lines(summary(**changes))
    assert any(line in each for each in lines), "\n".join(lines)
    assert all("\n" not in each for each in lines)


@pytest.mark.parametrize(
    ("speed", "session_s", "wall_s", "said"),
    [
        (15.5, 480.0, 31.0, False),
        (15.5, 480.0, 67.0, True),
        (1000.0, 27.0, 1.5, False),  # too short to tell
        (None, 480.0, 480.0, False),  # by the machine's clock
    ],
)
def test_a_machine_that_does_not_keep_up_is_named(
    speed: float | None, session_s: float, wall_s: float, said: bool
) -> None:
    text = summary(speed=speed, session_s=session_s, wall_s=wall_s)
    lines = [line for line in scene.summary_lines(text) if line.startswith("speed")]
    assert bool(lines) is said
    if said:
        assert lines == ["speed      7.16 x; 15.5 x is more than this machine makes just now"]


def test_a_phase_that_took_too_long_is_marked() -> None:
    text = summary()
    text["phases"][5]["within_limit"] = False
    assert any(line.endswith("TOO LONG") for line in scene.summary_lines(text))


@pytest.mark.parametrize(
    ("soc", "target", "low", "high"),
    [(62.0, 80.0, 10, 30), (79.9, 80.0, 1, 2), (1.0, 100.0, 40, 400)],
)
def test_default_speed_makes_a_run_of_about_half_a_minute(
    soc: float, target: float, low: float, high: float
) -> None:
    config = parse(CarConfig, f"[battery]\nsoc_percent = {soc}\n", "x").with_target(target)
    assert low <= scene.default_speed(ChargerConfig(), config) <= high


@pytest.mark.parametrize("curve", ["[[0, 0], [100, 0]]", "[[0, 1000], [100, 1000]]"])
def test_default_speed_is_always_allowed(curve: str) -> None:
    config = parse(CarConfig, f"[battery]\ncurrent_a = {curve}\n", "x")
    assert 1.0 <= scene.default_speed(ChargerConfig(), config) <= scene.FASTEST


def test_config_prints_a_file_that_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    for which, cls in (("car", CarConfig), ("charger", ChargerConfig)):
        assert scene.run_config(argparse.Namespace(which=which)) == 0
        assert parse(cls, capsys.readouterr().out, "x") == cls()


# --- the site's small parts ----------------------------------------------------------------------


def test_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.netns.attempt", lambda what: "")
    assert choose_link("auto")[0] == "tap"
    assert choose_link("tap")[0] == "tap"
    assert choose_link("loopback") == ("loopback", "as asked for")
    assert choose_link("eth7")[0] == "eth7"
    monkeypatch.setattr("controller.netns.attempt", lambda what: "no privileges")
    assert choose_link("auto") == ("loopback", "no TAP devices: no privileges")
    with pytest.raises(PortError, match="no TAP devices: no privileges; leave --link out"):
        choose_link("tap")


def test_a_free_port_is_free_and_another_each_time() -> None:
    try:
        ports = {free_udp_port() for _ in range(5)}
    except PortError as error:
        pytest.skip(str(error))
    assert all(1024 <= port <= 65535 for port in ports)


def test_folders_of_one_second_stay_apart(tmp_path: Any) -> None:  # noqa: ANN401
    wanted = tmp_path / "sessions" / "2026-01-01T00-00-00Z"
    names = [new_folder(wanted).name for _ in range(3)]
    assert names == [wanted.name, f"{wanted.name}_2", f"{wanted.name}_3"]
