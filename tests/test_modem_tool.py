"""`ccs-pilot modem` over a simulated modem, without privileges: answers, files, exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from controller import modem_run
from controller.errors import PortError
from controller.main import main
from controller.plc import driver_interface, pib, wire
from controller.plc.driver_unix import UnixFrameLink
from controller.plc.interface import InterfaceFacts
from controller.plc.manage import Manager, ManageState, Stage
from controller.plc.sim import SimPowerline
from controller.plc.sim_modem import SimModem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MACS = [bytes.fromhex("00b052aa0001"), bytes.fromhex("00b052aa0002")]
HOSTS = [bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")]


class Site:
    """Two interfaces with a modem each, in real time; links are Unix sockets."""

    def __init__(self) -> None:
        self.modems = [
            SimModem(MACS[0], slac_mode=pib.SLAC_OFF, restart_s=0.2),
            SimModem(MACS[1], slac_mode=pib.SLAC_PEV, restart_s=0.2),
        ]
        self.line = SimPowerline(self.modems)
        self.names = ["plc0", "plc1"]
        self.down: set[str] = set()
        self.on_frame: Callable[[bytes], object] = lambda frame: None
        self._far: dict[int, socket.socket] = {}
        self._opened: list[socket.socket] = []
        self._running = True
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def open(self, name: str) -> UnixFrameLink:
        if name not in self.names:
            raise PortError(f"{name}: no such network interface (there are: plc0, plc1)")
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        far.setblocking(False)
        index = self.names.index(name)
        self._far[index] = far
        self._opened.append(far)
        return UnixFrameLink(near, HOSTS[index])

    def close(self) -> None:
        self._running = False
        self._thread.join(5.0)
        for far in self._opened:
            far.close()

    def _pump(self) -> None:
        while self._running:
            ends = list(self._far.items())
            select.select([far for _, far in ends], [], [], 0.002)
            now = time.monotonic()
            due = self.line.handle_timer(now)
            for index, far in ends:
                with contextlib.suppress(OSError):
                    while frame := far.recv(2048):
                        self.on_frame(frame)
                        due += self.line.receive_frame(index, frame, now)
            for index, frame in due:
                if index in self._far:
                    with contextlib.suppress(OSError):
                        self._far[index].send(frame)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    made = Site()
    monkeypatch.setattr(modem_run, "AfPacketLink", made.open)
    monkeypatch.setattr(driver_interface, "interfaces", lambda: list(made.names))
    monkeypatch.setattr(
        driver_interface, "is_up", lambda name: name in made.names and name not in made.down
    )
    faster = {**Manager.DEADLINE_S, ManageState.RESTARTING: 0.05}
    monkeypatch.setattr(Manager, "DEADLINE_S", faster)
    monkeypatch.chdir(tmp_path)
    yield made
    made.close()


Run = Any


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `ccs-pilot modem`; returns exit code, standard output, standard error."""

    def go(*words: object) -> tuple[int, str, str]:
        code = main(["modem", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return go


def test_list_shows_every_modem(site: Site, run: Run) -> None:
    code, out, _ = run("list")
    assert code == 0
    assert "plc0: 00:b0:52:aa:00:01  QCA7420  MAC-QCA7420-1.4.0.20" in out
    assert "plc1: 00:b0:52:aa:00:02" in out
    assert "peer      00:b0:52:aa:00:02" in out
    assert "tx 9 rx 9 Mbit/s" in out
    assert "everybody's: HomePlugAV" in out
    code, out, _ = run("list", "--json")
    first = json.loads(out)[0]
    assert (first["role"], first["link"], len(first["peers"])) == ("off", True, 1)


def test_info_and_stats_and_link(site: Site, run: Run) -> None:
    code, out, _ = run("info", "-i", "plc1", "--modem", "00:b0:52:aa:00:02")
    assert code == 0
    assert "0x1653  slac             1" in out
    assert run("stats", "-i", "plc0")[0] == 0
    assert json.loads(run("stats", "-i", "plc0", "--json")[1])["tx_mpdu_ok"] >= 0
    assert run("link", "-i", "plc0")[0] == 0
    site.line.set_coupling(0, 1, None)
    code, out, _ = run("link", "-i", "plc0")
    assert code == 1
    assert "link      down, 0 peers" in out


def test_configure_keeps_a_backup_and_restore_takes_it_back(
    site: Site, run: Run, tmp_path: Path
) -> None:
    before = site.modems[0].image
    code, out, err = run("configure", "--role", "evse", "-i", "plc0")
    assert code == 0
    assert "is a charger's modem now (read back and equal)" in out
    (backup,) = tmp_path.glob("modem-00b052aa0001-*.pib")
    assert f"backup of its parameters: {backup.name}" in err
    assert backup.stat().st_mode & 0o777 == 0o600
    assert pib.from_chain(backup.read_bytes()) == before
    assert site.modems[0].slac_mode == pib.SLAC_EVSE
    assert "nothing written" in run("configure", "--role", "evse", "-i", "plc0")[1]
    assert run("restore", backup, "-i", "plc0", "--backup-to", "again.pib")[0] == 0
    assert site.modems[0].image == before


def test_without_room_for_a_backup_nothing_is_written(site: Site, run: Run) -> None:
    before = site.modems[0].image
    code, _, err = run("configure", "--role", "evse", "-i", "plc0", "--backup-to", "/nosuch/x.pib")
    assert code == 2
    assert "/nosuch/x.pib: cannot be written" in err
    assert site.modems[0].image == before
    assert site.modems[0]._session is None


def test_backup_never_overwrites(site: Site, run: Run, tmp_path: Path) -> None:
    assert run("backup", "a.pib", "-i", "plc0")[0] == 0
    code, _, err = run("backup", "a.pib", "-i", "plc0")
    assert (code, "never overwritten" in err) == (2, True)


@pytest.mark.parametrize("how", ["random", "nmk", "password"])
def test_key(site: Site, run: Run, how: str) -> None:
    words = {"random": [], "nmk": ["--nmk", "ab" * 16], "password": ["--password", "HomePlugAV"]}
    code, out, _ = run("key", "-i", "plc0", "--json", *words[how])
    assert code == 0
    told = json.loads(out)
    assert site.modems[0].nmk.hex() == told["nmk"]
    assert site.modems[0].nid.hex() == told["nid"]
    assert wire.nid_from_nmk(site.modems[0].nmk) == site.modems[0].nid


def test_restarts(site: Site, run: Run) -> None:
    site.modems[0].image = pib.write(site.modems[0].image, pib.NMK, b"n" * 16)
    assert "has restarted" in run("reset", "-i", "plc0")[1]
    assert site.modems[0].nmk == b"n" * 16
    assert "has its factory parameters" in run("factory", "-i", "plc0")[1]
    assert site.modems[0].image == site.modems[0].factory


def test_audit_finds_and_says_what_to_do(site: Site, run: Run) -> None:
    code, out, _ = run("audit", "--role", "evse", "-i", "plc0")
    assert code == 1
    assert "problem: its network key is everybody's (HomePlugAV)" in out
    assert "wrong role for a charger: its SLAC mode is off" in out
    assert "ccs-pilot modem configure --role evse" in out


def test_check_judges_interfaces(site: Site, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def facts(name: str) -> InterfaceFacts:
        return InterfaceFacts(name=name, mac=HOSTS[0], is_up=False, has_carrier=False)

    monkeypatch.setattr(driver_interface, "read_facts", facts)
    code, out, _ = run("check", "plc0")
    assert code == 1
    assert "plc0: problem: is down" in out
    assert "ip link set plc0 up" in out
    assert len(json.loads(run("check", "--json")[1])) == 2


MISTAKES: list[tuple[list[str], str]] = [
    (["info", "-i", "plc1", "--modem", "00:b0:52:aa:00:09"], "00:b0:52:aa:00:09 does not answer"),
    (["link"], "modems answer on plc0, plc1: choose one with -i"),
    (["restore", "nosuch.pib", "-i", "plc0"], "nosuch.pib: cannot be read"),
    (["restore", "empty", "-i", "plc0"], "empty: no parameter file"),
    (["boot", "--parameters", "empty", "--firmware", "empty"], "empty, empty: PIB:"),
]


@pytest.mark.parametrize(("words", "text"), MISTAKES)
def test_mistakes_are_one_line_and_exit_code_2(
    site: Site, run: Run, tmp_path: Path, words: list[str], text: str
) -> None:
    (tmp_path / "empty").write_bytes(b"")
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert text in err
    assert err.count("\n") == 1


def test_no_modem_no_interface(site: Site, run: Run) -> None:
    site.modems[0].restart(time.monotonic() + 1000)
    code, _, err = run("info", "-i", "plc0")
    assert (code, "plc0: no modem answers: is it powered" in err) == (2, True)
    site.down |= {"plc0", "plc1"}
    code, _, err = run("list")
    assert (code, "no Ethernet interface is up" in err) == (2, True)


def interrupt_at(site: Site, operation: int) -> None:
    """Press Ctrl-C when the host sends this module operation."""
    pressed: list[bool] = []

    def look(frame: bytes) -> None:
        if frame[15:17] == b"\xb0\xa0" and frame[25] == operation and not pressed:
            pressed.append(True)
            os.kill(os.getpid(), signal.SIGINT)

    site.on_frame = look


@pytest.mark.parametrize(
    ("operation", "stage"), [(0x00, Stage.READING), (0x10, Stage.STAGING), (0x11, Stage.STAGING)]
)
def test_ctrl_c_says_what_is_left(site: Site, run: Run, operation: int, stage: Stage) -> None:
    site.line.answer_fault = lambda transit: (0.05,)  # time enough to press
    interrupt_at(site, operation)
    code, _, err = run("configure", "--role", "evse", "-i", "plc0")
    assert code == 130
    assert f"plc0: interrupted: {stage.value}" in err
    assert site.modems[0].image == site.modems[0].factory


def test_ctrl_c_during_the_commit_waits_for_it(site: Site, run: Run) -> None:
    site.line.answer_fault = lambda transit: (0.05,)
    interrupt_at(site, 0x12)
    code, out, err = run("configure", "--role", "evse", "-i", "plc0")
    assert code == 0
    assert "waiting for it (Ctrl-C again: leave it)" in err
    assert "read back and equal" in out
    assert site.modems[0].slac_mode == pib.SLAC_EVSE
