"""The makers' modem tools against our simulated modem, and our `ccs-pilot modem` beside them.

    python -m tests.interop.modem     this part alone (root; apt install plc-utils plc-utils-extra)

Two simulated modems are behind TAP devices in a network namespace of their own, a third without
flash memory waits in its boot loader. Each case runs a tool of Debian's, runs ours, and compares
what both say, what is in the modem afterwards, and, for writing, the frames byte for byte.
"""

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dpkt

from controller import netns
from controller.errors import PortError
from controller.plc import pib, wire
from controller.plc.driver_tap import open_tap, why_no_tap
from controller.plc.sim import SimPowerline
from controller.plc.sim_modem import SimModem

TOOLS = ("int6klist", "plctool", "plcstat", "plcget", "plcID", "plcrate", "plcboot", "setpib")
HOSTS = [bytes.fromhex(f"02000000000{n}") for n in (1, 2, 3)]
MACS = [bytes.fromhex(f"00b052aa000{n}") for n in (1, 2, 3)]
INTERFACES = ("plc0", "plc1", "boot0")
RESTART_S = 1.2
COMMAND_S = 30.0
WHOLE_S = 300.0
KEY = bytes.fromhex("00112233445566778899aabbccddeeff")
OTHER_KEY = bytes.fromhex("b59319d7e8157ba001b018669ccee30d")
"""plctool's `key2`."""
SCRIPT = ("74 hfid EVSE", "F4 byte 2", "1653 byte 2", "1C98 long 10240", "1C9C long 102400")


class DifferenceError(Exception):
    """A case in which the two do not agree."""


class Bench:
    """The modems behind their TAP devices, kept alive by a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.frames: list[tuple[float, bytes]] = []
        self.modems = [
            SimModem(MACS[0], slac_mode=pib.SLAC_OFF, restart_s=RESTART_S),
            SimModem(MACS[1], slac_mode=pib.SLAC_PEV, restart_s=RESTART_S),
            SimModem(MACS[2], restart_s=RESTART_S, flash=False),
        ]
        self.taps = [open_tap(*pair) for pair in zip(INTERFACES, HOSTS, strict=True)]
        self.line = SimPowerline(self.modems, seed="interop")
        self.line.set_coupling(0, 2, None)
        self.line.set_coupling(1, 2, None)
        threading.Thread(target=self._pump, daemon=True).start()

    def _pump(self) -> None:
        while True:
            at = self.line.next_timer()
            wait_s = 0.2 if at is None else min(max(at - time.monotonic(), 0.0), 0.2)
            select.select(self.taps, [], [], wait_s)
            now = time.monotonic()
            due = self.line.handle_timer(now)
            for index, tap in enumerate(self.taps):
                while (frame := tap.receive()) is not None:
                    self._note(now, frame)
                    due += self.line.receive_frame(index, frame, now)
            for index, frame in due:
                self._note(now, frame)
                self.taps[index].send(frame)

    def _note(self, now: float, frame: bytes) -> None:
        if wire.is_homeplug(frame):
            self.frames.append((now, frame))

    def settle(self) -> None:
        """Wait until no modem restarts."""
        while any(not modem.is_awake(time.monotonic()) for modem in self.modems):
            threading.Event().wait(0.1)

    def tool(self, *words: str, code: int = 0) -> str:
        """Run a program and return all that it wrote."""
        self.settle()
        done = subprocess.run(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_S,
            check=False,
            cwd=self.folder,
        )
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode != code:
            raise DifferenceError(f"{' '.join(words)}: exit code {done.returncode}: {text[-300:]}")
        return text

    def ours(self, *words: str, interface: str = "plc0", code: int = 0) -> Any:  # noqa: ANN401
        """Run `ccs-pilot modem ... --json` and return its value."""
        self.settle()
        done = subprocess.run(
            [sys.executable, "-m", "controller.main", "modem", *words, "-i", interface, "--json"],
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
            cwd=Path(__file__).parents[2],
        )
        if done.returncode != code:
            raise DifferenceError(
                f"modem {' '.join(words)}: {done.returncode}: {done.stderr[-300:]}"
            )
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def recorded(self) -> Iterator[list[bytes]]:
        """Collect the frames that hosts send meanwhile."""
        start = len(self.frames)
        found: list[bytes] = []
        yield found
        found += [frame for _, frame in self.frames[start:] if frame[6:12] in HOSTS]

    def fresh(self, index: int = 0) -> None:
        """Give a modem its factory's parameters."""
        modem = self.modems[index]
        modem._keep_file(modem.factory)
        modem.restarting_until = 0.0


def same(what: str, theirs: object, ours: object) -> None:
    """Compare one answer."""
    if theirs != ours:
        raise DifferenceError(f"{what}: the tool says {theirs!r}, ours {ours!r}")


def after(label: str, text: str) -> str:
    """The rest of the line behind a label."""
    found = re.search(rf"{re.escape(label)}\s*(.*)", text)
    if found is None:
        raise DifferenceError(f"the tool does not print {label!r}: {text[-200:]}")
    return found.group(1).strip()


def plain(hex_digits: str) -> str:
    """Hex digits without colons, small."""
    return hex_digits.split()[0].replace(":", "").lower()


# --- cases ---------------------------------------------------------------------------------------


def lists(bench: Bench) -> str:
    """int6klist"""
    theirs = set(bench.tool("int6klist", "-i", "plc0", "all").lower().split())
    (ours,) = bench.ours("list")
    same("modems", theirs, {ours["mac"], *(peer["mac"] for peer in ours["peers"])})
    return f"{len(theirs)} modems"


def version(bench: Bench) -> str:
    """plctool -r, -a"""
    words = bench.tool("plctool", "-i", "plc0", "-r", "local").split()[-3:]
    ours = bench.ours("info")
    same("version", words, [ours["mac"].upper(), ours["chip"], ours["firmware"]])
    attributes = bench.tool("plctool", "-i", "plc0", "-a", "local")
    same("attributes", True, ours["firmware"] in attributes)
    return " ".join(words[1:])


def identity(bench: Bench) -> str:
    """plctool -I, plcID"""
    text = bench.tool("plctool", "-i", "plc0", "-I", "local")
    ours = bench.ours("info")["parameters"]
    for label, name in (("MAC", "mac"), ("DAK", "dak"), ("NMK", "nmk"), ("NID", "nid")):
        same(label, plain(after(label, text)), ours[name].replace(":", ""))
    for label, name in (("NET", "network"), ("MFG", "manufacturer"), ("USR", "user")):
        same(label, after(label, text), ours[name])
    cco = {0: "Auto", 1: "Never", 2: "Always", 3: "User"}
    same("CCo", after("CCo", text), cco[ours["cco"]])
    same("size", after("PIB", text).split()[1], str(ours["length"]))
    same("DAK", plain(bench.tool("plcID", "-i", "plc0", "local")), ours["dak"])
    return "9 fields"


def membership(bench: Bench) -> str:
    """plctool -m, -L, plcrate"""
    text = bench.tool("plctool", "-i", "plc0", "-m", "local")
    ours = bench.ours("link")
    same("NID", plain(after("network->NID =", text)), ours["nid"])
    same("CCo", after("network->CCO_DA =", text).lower(), ours["coordinator"])
    same("stations", int(after("network->STATIONS =", text)), len(ours["peers"]))
    peer = ours["peers"][0]
    same("station", after("station->MAC =", text).lower(), peer["mac"])
    same("bridged", after("station->BDA =", text).lower(), peer["behind"])
    same("TX", int(after("station->AvgPHYDR_TX =", text).split()[0]), peer["tx_mbit"])
    same("RX", int(after("station->AvgPHYDR_RX =", text).split()[0]), peer["rx_mbit"])
    link = bench.tool("plctool", "-i", "plc0", "-L", "local").split()[-1]
    same("link", link == "1", ours["link"])
    rates = bench.tool("plcrate", "-i", "plc0", "local")
    same("rate", f"TX {peer['tx_mbit']:03d} mbps" in rates, True)
    return f"NID {ours['nid']}, {peer['tx_mbit']} Mbit/s"


def statistics(bench: Bench) -> str:
    """plcstat -t, -d"""
    text = bench.tool("plcstat", "-i", "plc0", "-t", "local")
    ours = bench.ours("info")
    for mac in (ours["mac"], ours["peers"][0]["mac"]):
        same(f"{mac} in the topology", mac.upper() in text, True)
    before = bench.ours("stats")
    tx = after(" TX", bench.tool("plcstat", "-i", "plc0", "-d", "2", "local")).split()
    now = bench.ours("stats")
    sent = int(tx[3])
    if not before["tx_mpdu_ok"] <= sent <= now["tx_mpdu_ok"]:
        raise DifferenceError(f"sent packets: the tool says {sent}, ours {before} then {now}")
    return f"{sent} packets sent"


def properties(bench: Bench) -> str:
    """plcget"""
    bench.modems[0].properties[0x1234] = b"\x01\x02\x03\x04"
    text = bench.tool("plcget", "-i", "plc0", "-n", "0x1234", "-h", "local")
    same("property", "01:02:03:04" in text or "01020304" in text.replace(" ", ""), True)
    return "a property"


def reading(bench: Bench) -> str:
    """plctool -p, -n"""
    bench.tool("plctool", "-i", "plc0", "-p", "theirs.pib", "local")
    ours = bench.folder / "ours.pib"
    bench.ours("backup", str(ours))
    same("file", (bench.folder / "theirs.pib").read_bytes(), ours.read_bytes())
    same("chkpib2", "looks good" in bench.tool("chkpib2", "ours.pib"), True)
    bench.tool("plctool", "-i", "plc0", "-n", "theirs.nvm", "local")
    bench.tool("chknvm2", "theirs.nvm")
    return f"{ours.stat().st_size} bytes, equal"


def session_masked(frames: Sequence[bytes]) -> list[bytes]:
    """The frames of a write session without its random number."""
    return [
        frame[14:33] + frame[37:]
        for frame in frames
        if wire.mmtype_of(frame) == 0xA0B0 and frame[25] in (0x10, 0x11, 0x12)
    ]


def writing(bench: Bench) -> str:
    """plctool -p, setpib, plctool -P"""
    bench.fresh()
    bench.tool("plctool", "-i", "plc0", "-p", "role.pib", "local")
    for line in SCRIPT:
        bench.tool("setpib", "role.pib", *line.split())
    with bench.recorded() as theirs:
        bench.tool("plctool", "-i", "plc0", "-P", "role.pib", "-F", "local")
    bench.settle()
    written = bench.modems[0].image
    bench.fresh()
    with bench.recorded() as ours:
        backup = bench.folder / "before.pib"
        bench.ours("configure", "--role", "evse", "--backup-to", str(backup))
    same("bytes in the modem", written.hex(), bench.modems[0].image.hex())
    same("frames of the write", session_masked(theirs), session_masked(ours))
    bench.tool("plctool", "-i", "plc0", "-P", "before.pib", "local")  # our backup is good for it
    bench.settle()
    same("restored", bench.modems[0].image, bench.modems[0].factory)
    bench.ours("restore", str(bench.folder / "role.pib"))  # their file is good for us
    same("restored", bench.modems[0].image, written)
    return f"{len(session_masked(ours))} frames and {len(written)} bytes, equal"


def keys(bench: Bench) -> str:
    """plctool -M, -J"""
    bench.tool("plctool", "-i", "plc0", "-M", "-K", KEY.hex(":"), "local")
    ours = bench.ours("info")["parameters"]
    same("key", KEY.hex(), ours["nmk"])
    same("identifier", wire.nid_from_nmk(KEY).hex(), ours["nid"])
    bench.ours("key", "--nmk", OTHER_KEY.hex())
    text = bench.tool("plctool", "-i", "plc0", "-I", "local")
    same("key", plain(after("NMK", text)), OTHER_KEY.hex())
    same("identifier", plain(after("NID", text)), wire.nid_from_nmk(OTHER_KEY).hex())
    bench.fresh()
    dak = pib.read(bench.modems[1].image, pib.DAK)
    remote = ("-J", MACS[1].hex(":"), "-D", dak.hex(":"), "-K", KEY.hex(":"))
    bench.tool("plctool", "-i", "plc0", *remote, "local")
    bench.settle()
    same("remote key", bench.modems[1].nmk, KEY)
    bench.fresh(1)
    return "local both ways, remote"


def restarts(bench: Bench) -> str:
    """plctool -R, -T"""
    bench.ours("key", "--nmk", KEY.hex())
    text = bench.tool("plctool", "-i", "plc0", "-R", "local")
    same("restart", "Resetting" in text, True)
    bench.ours("reset")
    same("key after restarts", bench.modems[0].nmk, KEY)
    text = bench.tool("plctool", "-i", "plc0", "-T", "local")
    same("factory", "Restoring" in text, True)
    bench.settle()
    same("key after -T", bench.modems[0].image, bench.modems[0].factory)
    bench.ours("key", "--nmk", KEY.hex())
    bench.ours("factory")
    same("key after factory", bench.modems[0].image, bench.modems[0].factory)
    return "restart and factory parameters, both"


def applets(frames: Sequence[bytes]) -> list[bytes]:
    """What was written into memory, without its random number."""
    return [f[14:20] + f[24:] for f in frames if wire.mmtype_of(f) == 0xA098]


def booting(bench: Bench) -> str:
    """plcboot"""
    modem = bench.modems[2]
    parameters, firmware = bench.folder / "boot.pib", bench.folder / "boot.nvm"
    parameters.write_bytes(pib.to_chain(modem.factory, manifest=b"manifest".ljust(64, b"\0")))
    firmware.write_bytes(pib.to_chain(bytes(range(256)) * 33, pib.TYPE_FIRMWARE, entry=0x40))
    files = ("--parameters", str(parameters), "--firmware", str(firmware))
    with bench.recorded() as ours:
        told = bench.ours("boot", *files, interface="boot0")
    same("running", told["firmware"], modem.firmware)
    modem.restart(time.monotonic())
    bench.settle()
    same("boot loader", modem.is_booted, False)
    with bench.recorded() as theirs:
        bench.tool("plcboot", "-i", "boot0", "-N", "boot.nvm", "-P", "boot.pib")
    same("started", modem.is_booted, True)
    same("frames", applets(theirs), applets(ours))
    return f"{len(applets(ours))} frames, equal"


def well_formed(bench: Bench) -> str:
    """tshark"""
    path = bench.folder / "all.pcap"
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file)
        for at, frame in bench.frames:
            writer.writepkt(frame, ts=at)
    if shutil.which("tshark") is None:
        return "not installed: not looked at"
    done = subprocess.run(
        ["tshark", "-r", str(path), "-Y", "_ws.malformed"],
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    same("malformed frames", "", done.stdout.strip()[:500])
    return f"{len(bench.frames)} frames, none malformed"


CASES: tuple[Callable[[Bench], str], ...] = (
    lists,
    version,
    identity,
    membership,
    statistics,
    properties,
    reading,
    writing,
    keys,
    restarts,
    booting,
    well_formed,
)


QUICK = (lists, version, identity, membership, properties, reading, well_formed)
"""Those in which no modem restarts: a few seconds."""


# --- the program ---------------------------------------------------------------------------------


def obstacle() -> str | None:
    """Why this cannot run here, and what to do about it; None when it can."""
    if os.geteuid() != 0:
        return "TAP devices and namespaces need root: run it with sudo"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"{missing[0]} is missing: apt install plc-utils plc-utils-extra"
    return why_no_tap() or netns.attempt(netns.enter) or None


def run(arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Run all cases in a process of their own; 0 when none failed (or this cannot run here)."""
    if any(word.startswith(("--only", "--peer-only", "-h", "--help")) for word in arguments):
        return 0
    say("the makers' modem tools at our simulated modem, beside ccs-pilot modem")
    reason = obstacle()
    if reason is not None:
        say(f"      skipped: {reason}")
        return 0
    root = Path(__file__).parents[2]
    child = subprocess.Popen([sys.executable, "-m", "tests.interop.modem"], cwd=root)
    try:
        return 1 if child.wait(WHOLE_S) else 0
    except subprocess.TimeoutExpired:
        say(f"      FAILED: no end after {WHOLE_S:g} s")
        return 1
    finally:
        child.kill()
        child.wait()


def main(arguments: Sequence[str] = ()) -> int:
    """All cases (`--quick`: those without restarts), in a network namespace of our own."""
    cases = QUICK if "--quick" in arguments else CASES
    reason = obstacle()
    if reason is not None:
        sys.stdout.write(f"      skipped: {reason}\n")
        return 0
    try:
        netns.enter()
    except PortError as error:
        sys.stdout.write(f"      skipped: {error}\n")
        return 0
    netns.quieten()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ccs-interop-modem-") as folder:
        bench = Bench(Path(folder))
        for case in cases:
            name = (case.__doc__ or "").strip()
            try:
                line = f"PASSED: {name}: {case(bench)}"
            except (DifferenceError, OSError, subprocess.TimeoutExpired) as error:
                failed += 1
                line = f"FAILED: {name}: {error}"
            sys.stdout.write(f"      {line}\n")
            sys.stdout.flush()
    sys.stdout.write(f"      {len(cases) - failed} passed, {failed} failed\n")
    sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
