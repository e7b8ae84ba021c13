"""The systemd units: what they start exists, and they ask for what the processes need."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from controller import service_communication
from controller.main import build_parser
from controller.service_realtime import LAST_PERIODS_S

BOOT = Path(__file__).parents[1] / "boot"
UNITS = sorted(BOOT.glob("*.service"))
PROGRAM = "/opt/ccs-pilot/.venv/bin/ccs-pilot"
REALTIME, COMMUNICATION = BOOT / "ccs-realtime.service", BOOT / "ccs-communication.service"


def settings(unit: Path) -> dict[str, list[str]]:
    """Every setting with its values, whichever section it is in."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        if "=" in line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def one(unit: Path, key: str) -> str:
    (value,) = settings(unit)[key]
    return value


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_command_of_a_unit_is_one_of_ours(unit: Path) -> None:
    words = one(unit, "ExecStart").split()
    assert words[0] == PROGRAM
    args = build_parser(words[1]).parse_args(words[1:])
    assert callable(args.run)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_the_unit(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    for each in UNITS:
        text = each.read_text("utf-8").replace(PROGRAM, "/bin/true")
        (tmp_path / each.name).write_text(text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "ccs-" in line]
    if "Failed to" in done.stderr and not ours:
        pytest.skip(f"systemd-analyze does not work here: {done.stderr.splitlines()[0]}")
    assert ours == []


def test_the_users_can_be_made() -> None:
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("no systemd-sysusers here")
    done = subprocess.run(
        ["systemd-sysusers", "--dry-run", str(BOOT / "ccs-pilot.sysusers")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    named = (BOOT / "ccs-pilot.sysusers").read_text("utf-8")
    for unit in (REALTIME, COMMUNICATION):
        assert f"u {one(unit, 'User')} " in named
        assert f"g {one(unit, 'Group')} " in named


@pytest.mark.parametrize("unit", [REALTIME, COMMUNICATION], ids=lambda unit: unit.name)
def test_both_halves_notify_and_are_started_anew_for_ever(unit: Path) -> None:
    assert one(unit, "Type") == "notify"
    assert float(one(unit, "WatchdogSec")) > 0
    assert one(unit, "Restart") == "always"
    assert one(unit, "StartLimitIntervalSec") == "0"


def test_realtime_gets_what_it_asks_the_kernel_for() -> None:
    assert int(one(REALTIME, "LimitRTPRIO")) == 89  # the highest realtime.priority
    assert one(REALTIME, "LimitMEMLOCK") == "infinity"
    assert "RestrictRealtime" not in settings(REALTIME)
    assert float(one(REALTIME, "TimeoutStopSec")) > 10 * LAST_PERIODS_S


def test_communication_gets_time_to_end_its_session_and_no_hardware() -> None:
    assert float(one(COMMUNICATION, "TimeoutStopSec")) > service_communication.STOP_WITHIN_S + 1
    assert int(one(COMMUNICATION, "Nice")) == service_communication.NICE
    assert one(COMMUNICATION, "PrivateDevices") == "yes"
    assert one(COMMUNICATION, "CapabilityBoundingSet") == "CAP_NET_RAW"
    assert "ccs-realtime.service" in one(COMMUNICATION, "After")  # so it stops first


def test_the_socket_of_the_defaults_is_in_the_runtime_directory() -> None:
    from controller.config import ChargerConfig

    path = Path(ChargerConfig().realtime.socket)
    assert path.parent == Path("/run") / one(REALTIME, "RuntimeDirectory")


def test_a_bench_and_a_charger_exclude_each_other() -> None:
    bench = BOOT / "ccs-pilot-evse.service"
    for unit in (REALTIME, COMMUNICATION):
        assert unit.name in one(bench, "Conflicts")
        assert bench.name in one(unit, "Conflicts")


def test_the_page_names_every_file() -> None:
    page = (BOOT / "README.md").read_text("utf-8")
    for path in BOOT.iterdir():
        assert path.name == "README.md" or f"`{path.name}`" in page, path.name


def test_the_guard_of_the_pilot_is_not_killed_with_what_it_guards() -> None:
    """A watchdog's SIGKILL goes to the whole group otherwise."""
    assert one(REALTIME, "KillMode") == "mixed"
