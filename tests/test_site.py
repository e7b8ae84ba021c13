"""Whole scenes with real processes, over loopback, as an ordinary user may run them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller import ipc, signals
from controller.child import Child
from controller.listener.capture import open_capture, read_packets
from controller.listener.conversation import Conversation
from controller.report import Report
from controller.site_link import choose_link, link_problems
from controller.trace import read_trace
from tests.scene_process import PATIENCE_S, ROOT, Sim, command

MakeSim = Callable[..., Sim]


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[MakeSim]:
    """Start scenes; none survives the test."""
    started: list[Sim] = []

    def start(*args: str, name: str = "a", **more: object) -> Sim:
        started.append(Sim(tmp_path / name, *args, **more))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Sim]]:
    """Two whole sessions at once, beside each other."""
    folder = tmp_path_factory.mktemp("good")
    both = [Sim(folder / "one"), Sim(folder / "two")]
    codes = [each.end() for each in both]
    assert codes == [0, 0], "".join(each.text for each in both)
    yield both
    for each in both:
        each.close()


# --- all goes well -------------------------------------------------------------------------------


def test_two_scenes_beside_each_other_reach_their_targets(good: list[Sim]) -> None:
    for each in good:
        summary = each.summary()
        assert summary["reached_target"]
        assert summary["normal"]
        assert summary["ended_safe"]
        assert summary["given_up"] == ""
        assert summary["peer_misbehaved"] == []
        assert all(phase["within_limit"] for phase in summary["phases"])
        assert "target reached" in each.text
        assert "contactors open" in each.text


def test_the_trace_replays_to_the_summary(good: list[Sim]) -> None:
    report, nodes = Report(), set()
    for record, signal_ in read_trace(good[0].out / "trace.jsonl"):
        if signal_ is not None:
            nodes.add(record["node"])
            report.observe(record["t"], record["node"], record["dir"], signal_)
    assert nodes == {
        f"{side}.{half}" for side in ("evse", "pev") for half in ("realtime", "communication")
    }
    again, summary = report.summary(summary_target(good[0])), good[0].summary()
    for key in ("reason", "normal", "reached_target", "ended_safe", "messages", "latched"):
        assert again[key] == summary[key], key
    assert again["energy_wh"] == pytest.approx(summary["energy_wh"], rel=0.05, abs=1)


def summary_target(sim: Sim) -> float:
    target: float = sim.summary()["target_soc_percent"]
    return target


def test_the_trace_names_version_and_ends_well(good: list[Sim]) -> None:
    lines = (good[0].out / "trace.jsonl").read_text().splitlines()
    header, last = json.loads(lines[0]), json.loads(lines[-1])
    assert header["type"] == "Header"
    assert header["program"] == "ccs-pilot"
    assert last["type"] == "End"
    assert last["dropped"] == 0


def test_the_capture_decodes_completely(good: list[Sim]) -> None:
    conversation = Conversation()
    entries = []
    with open_capture(str(good[0].out / "capture.pcapng")) as file:
        for packet in read_packets(file):
            entries += conversation.receive_packet(packet)
    entries += conversation.finish()
    text = "\n".join(str(e) for e in entries)
    names = [n for n in ("SessionSetupReq", "CurrentDemandReq", "SessionStopRes") if n in text]
    assert names == ["SessionSetupReq", "CurrentDemandReq", "SessionStopRes"]


def test_decode_reads_the_capture(good: list[Sim]) -> None:
    done = subprocess.run(
        command("decode", "--json", str(good[0].out / "capture.pcapng")),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = {str(e.get("message")) for e in entries}
    assert {"CM_SLAC_PARM.REQ", "CurrentDemandReq", "SessionStopRes"} <= kinds
    assert not [e for e in entries if e.get("error")]


# --- people stop it ------------------------------------------------------------------------------

ENDLESS = {"soc": 62.0, "speed": 40.0}
"""A charge that lasts longer than any of these tests."""


def test_ctrl_c_stops_as_the_driver_would(sim: MakeSim) -> None:
    running = sim(**ENDLESS)
    running.until("V2G: charge")
    running.interrupt()
    assert running.end() == 1  # safe, but the target is not reached
    summary = running.summary()
    assert "driver pressed stop" in summary["reason"]
    assert summary["normal"]
    assert summary["ended_safe"]
    assert not summary["reached_target"]
    assert "target NOT reached" in running.text
    assert "SessionStopRes OK" in running.text
    assert (running.out / "capture.pcapng").stat().st_size > 1000


def test_second_ctrl_c_is_the_emergency_stop(sim: MakeSim) -> None:
    running = sim(**ENDLESS)
    running.until("V2G: charge")
    running.interrupt()
    running.until("stopping as the driver would")
    running.interrupt()
    assert running.end() == 1
    summary = running.summary()
    assert summary["given_up"] == "emergency stop pressed"
    assert "emergency stop" in summary["latched"]
    assert summary["ended_safe"]


def test_third_ctrl_c_ends_at_once(sim: MakeSim) -> None:
    running = sim(soc=62.0, speed=2.0)
    running.until("pilot B")
    for words in ("stopping as the driver would", "emergency stop (again", "target NOT reached"):
        running.interrupt()
        running.until(words)
    assert running.end() == 1
    assert running.summary()["given_up"] == "emergency stop pressed"


def test_three_at_once_still_leave_everything_open(sim: MakeSim) -> None:
    running = sim(soc=62.0, speed=10.0)
    running.until("V2G: charge")
    for words in ("stopping as the driver would", "emergency stop (again"):
        running.interrupt()
        running.until(words)
    running.interrupt()
    assert running.end() == 1
    assert running.summary()["ended_safe"]


@pytest.mark.parametrize("phase", ["SLAC: sounding", "looking for the charger"])
def test_ctrl_c_before_the_session_ends_with_the_plug_taken_out(sim: MakeSim, phase: str) -> None:
    """A charger that still waits for the vehicle has nothing to end: the driver unplugs."""
    running = sim(**ENDLESS)
    running.until(phase)
    running.interrupt()
    assert running.end() == 1
    summary = running.summary()
    assert summary["given_up"] == ""
    assert summary["reason"] == "driver pressed stop"
    assert summary["ended_safe"]
    assert summary["session_s"] < 20.0


def test_ctrl_c_before_the_plug_ends_at_once(sim: MakeSim) -> None:
    running = sim(speed=0.1)
    running.until("link: loopback")
    running.interrupt()
    assert running.end() == 1
    assert running.summary()["reason"] == "ended by the user"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_stop_it_too(sim: MakeSim, number: signal.Signals) -> None:
    running = sim(**ENDLESS)
    running.until("V2G: cable check")
    running.process.send_signal(number)
    assert running.end() == 1
    assert running.summary()["ended_safe"]


def test_a_child_hears_nothing_of_the_terminal() -> None:
    """Not even before it has a session of its own, where Ctrl-C would end it."""
    near, far = ipc.pair()
    with far:
        child = Child("silent", ["sleep", "60"], [], near)
        status = Path(f"/proc/{child.process.pid}/status").read_text()
        child.process.kill()
        child.close()
    blocked = int(re.search(r"SigBlk:\s*(\w+)", status)[1], 16)  # type: ignore[index]
    for number in (signal.SIGINT, signal.SIGHUP):
        assert blocked & 1 << (number - 1)
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


# --- something breaks ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["evse-realtime", "evse-communication", "pev"])
def test_a_killed_process_leaves_everything_open(sim: MakeSim, name: str) -> None:
    running = sim(**ENDLESS)
    running.until("CurrentDemandRes")
    running.signal_child(name, signal.SIGKILL)
    assert running.end() == 1
    summary = running.summary()
    assert summary["given_up"] == f"the process {name} ended unexpectedly"
    assert summary["contactors_closed"] == {"evse": False, "pev": False}
    assert summary["ended_safe"], summary["output_voltage_v"]
    assert summary["given_up"] in running.text


def test_the_vehicle_hears_that_the_chargers_power_control_is_gone(sim: MakeSim) -> None:
    running = sim(**ENDLESS)
    running.until("V2G: charge")
    running.signal_child("evse-realtime", signal.SIGKILL)
    assert running.end() == 1
    items = [item for _, item in read_trace(running.out / "trace.jsonl")]
    ended = [item.reason for item in items if isinstance(item, signals.SessionEnded)]
    assert "the realtime process is gone" in ended


def test_a_hung_process_is_killed(sim: MakeSim) -> None:
    scenes = {
        name: sim(name=name, **ENDLESS) for name in ("evse-realtime", "evse-communication", "pev")
    }
    for name, running in scenes.items():
        running.until("V2G: cable check")
        running.signal_child(name, signal.SIGSTOP)
    for name, running in scenes.items():
        assert running.end() == 1
        summary = running.summary()
        assert summary["given_up"] == f"the process {name} did not answer for 10 s"
        assert summary["ended_safe"]


def test_a_closed_pipe_ends_it_quietly_and_safely(sim: MakeSim) -> None:
    running = sim(**ENDLESS)
    running.until("V2G: charge")
    assert running.process.stdout is not None
    running.process.stdout.close()
    running.process.wait(PATIENCE_S)
    assert running.process.returncode == 1
    assert running.errors() == ""
    summary = running.summary()
    assert "nobody reads the output" in summary["reason"]
    assert summary["ended_safe"]


def test_a_full_disk_behind_the_output_ends_it_safely(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("sim", "--plain", "--link", "loopback", "--out", str(tmp_path / "s")),
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads((tmp_path / "s" / "summary.json").read_text())["ended_safe"]


# --- TAP devices ---------------------------------------------------------------------------------


@pytest.mark.root
def test_with_tap_devices_the_kernels_own_packets_are_captured(sim: MakeSim) -> None:
    """Two network namespaces, the kernels' IPv6 and TCP, HomePlug over the simulated modems."""
    link, why = choose_link("auto")
    if link != "tap":
        pytest.skip(f"needs root, /dev/net/tun and python-pytun: {why}")
    running = sim(link="tap")
    assert running.end() == 0, running.text
    assert "link: tap" in running.text
    with open_capture(str(running.out / "capture.pcapng")) as file:
        packets = list(read_packets(file))
    assert any(packet.data[12:14] == b"\x86\xdd" for packet in packets)
    assert any(packet.data[12:14] == b"\x88\xe1" for packet in packets)


def test_problems_of_a_real_interface_are_said() -> None:
    assert link_problems("loopback") == link_problems("tap") == []
    problems = link_problems("lo")
    assert problems  # loopback is no interface to a modem
    assert all(problem.startswith("lo: ") and "\n" not in problem for problem in problems)
