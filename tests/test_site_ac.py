"""AC charges with real processes, over loopback: the whole command, as a user runs it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from controller.config import ChargerConfig, ChargerSection
from controller.loop import Loop, no_record
from controller.process_communication import Place, open_charger
from controller.report import Report
from controller.site_link import choose_link
from controller.trace import read_trace
from controller.v2g import driver_net
from tests.scene_process import Sim, run

if TYPE_CHECKING:
    from pathlib import Path

AC = '[charger]\nmode = "ac"\n[ac]\nmaximum_current_a = 16\n'
DIGITAL_FIRST = AC + "digital_first = true\n"
AC_ONLY = "[car]\ndigital = false\n"

MakeSim = Callable[..., Sim]


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[MakeSim]:
    """Start scenes; none survives the test."""
    started: list[Sim] = []

    def start(charger: str = AC, car: str = "", soc: float = 79.95, link: str = "loopback") -> Sim:
        started.append(Sim(tmp_path / "a", charger=charger, car=car, soc=soc, link=link))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_an_ac_charge(sim: MakeSim) -> None:
    scene = sim()
    assert scene.end() == 0, scene.text
    summary = scene.summary()
    assert summary["mode"] == "ac"
    assert summary["reached_target"]
    assert summary["normal"]
    assert summary["ended_safe"]
    assert summary["messages"] == 0
    assert summary["energy_wh"] > 20
    assert summary["peak_power_w"] == pytest.approx(11_040, rel=0.01)
    names = [phase["name"] for phase in summary["phases"]]
    assert names == ["plug to offer", "close after C", "charge", "open after B"]
    assert all(phase["within_limit"] for phase in summary["phases"])
    for words in ("offers 16.0 A", "charging from AC", "on-board charger may draw 16.0 A"):
        assert words in scene.text
    for words in ("CurrentDemand", "cable check", "slowest answer"):
        assert words not in scene.text


def test_the_trace_of_an_ac_charge_replays(sim: MakeSim) -> None:
    scene = sim()
    assert scene.end() == 0, scene.text
    report = Report()
    for record, item in read_trace(scene.out / "trace.jsonl"):
        if item is not None:
            report.observe(record["t"], record["node"], record["dir"], item)
    again, summary = report.summary(80.0), scene.summary()
    for key in ("mode", "reason", "normal", "reached_target", "ended_safe"):
        assert again[key] == summary[key], key
    assert again["energy_wh"] == pytest.approx(summary["energy_wh"], rel=0.05, abs=1)
    last = json.loads((scene.out / "trace.jsonl").read_text().splitlines()[-1])
    assert last["dropped"] == 0


def test_five_percent_first_and_a_car_that_does_not_answer(sim: MakeSim) -> None:
    scene = sim(charger=DIGITAL_FIRST, car=AC_ONLY)
    assert scene.end() == 0, scene.text
    assert "no vehicle asked for matching" in scene.text
    assert "state F before a nominal duty" in scene.text
    assert scene.summary()["session_s"] < 120
    assert scene.summary()["reached_target"]


def test_five_percent_first_and_a_car_that_answers(sim: MakeSim) -> None:
    scene = sim(charger=DIGITAL_FIRST)
    assert scene.end() == 0, scene.text
    assert "no ISO 15118 session for AC" in scene.text
    assert scene.summary()["reached_target"]


def test_large_steps_change_nothing(sim: MakeSim) -> None:
    """Minutes of a charge that just goes on: no process may take a step for a silence."""
    scene = sim(soc=79.0)
    assert scene.end() == 0, scene.text
    assert scene.text.count("contactors close") == 1
    assert "silent" not in scene.text
    assert scene.summary()["session_s"] > 200


@pytest.mark.root
@pytest.mark.parametrize("charger", [AC, DIGITAL_FIRST], ids=["at once", "5 % first"])
def test_with_tap_devices(sim: MakeSim, charger: str) -> None:
    link, why = choose_link("auto")
    if link != "tap":
        pytest.skip(why)
    scene = sim(charger=charger, car=AC_ONLY, link=link)
    assert scene.end() == 0, scene.text
    assert scene.summary()["reached_target"]


def test_ctrl_c_stops_an_ac_charge(sim: MakeSim) -> None:
    scene = sim(soc=50.0)
    scene.until("evse  charging")
    scene.interrupt()
    assert scene.end() == 1
    summary = scene.summary()
    assert summary["reasons"]["pev"] == "driver pressed stop"
    assert summary["ended_safe"]
    assert not summary["reached_target"]


@pytest.mark.parametrize("name", ["evse-realtime", "evse-communication", "pev"])
def test_a_process_that_dies_ends_safe(sim: MakeSim, name: str) -> None:
    scene = sim(soc=50.0)
    scene.until("evse  charging")
    scene.signal_child(name, signal.SIGKILL)
    assert scene.end() == 1
    summary = scene.summary()
    assert f"the process {name} ended unexpectedly" in summary["given_up"]
    assert summary["ended_safe"]


def test_without_v2g_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """An AC charger by IEC 61851-1 needs no network at all: no address, no port, no modem."""

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a socket of the network")

    for name in ("own_address", "listen", "open_sdp_server"):
        monkeypatch.setattr(driver_net, name, forbidden)
    loop = Loop()
    config = ChargerConfig(charger=ChargerSection(mode="ac"))
    place = Place(loop, no_record, None, None, bytes(6))
    core, sockets = open_charger(config, place, None)
    try:
        assert core.handle_timer(0.0)
        assert not config.uses_modem
        assert not config.uses_v2g
    finally:
        sockets.close()
        loop.close()


@pytest.mark.parametrize(
    ("charger", "car", "says"),
    [
        (AC + "phases = 2\n", "", "phases must be 1 or 3"),
        (AC + '[realtime]\ncpu = "x"\n', "", "realtime.cpu"),
        (AC.replace('"ac"', '"ac"\ninterlock = "none"'), "", 'interlock must be "external"'),
        ("", AC_ONLY, "it needs an AC charger"),
        (AC, "[onboard]\nmaximum_current_a = 0\n", "nothing to charge from AC"),
        (AC + 'connector = "socket"\n[site]\ncable_ohm = 10\n', "", "nothing to charge from AC"),
    ],
)
def test_what_cannot_charge_is_said_at_once(
    tmp_path: Path, charger: str, car: str, says: str
) -> None:
    (tmp_path / "ac.toml").write_text(charger)
    (tmp_path / "car.toml").write_text(car)
    words = ["sim", "--plain", "--charger", str(tmp_path / "ac.toml")]
    done = run(*words, "--car", str(tmp_path / "car.toml"), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
