"""SLAC with programs that we did not write: `python -m tests.interop.slac`.

Debian's pev and evse (plc-utils-extra) and pyslac's EVSE, over two TAP devices and the simulated
modem pair, beside Debian's pair alone in the same run. The frames that we sent are shown to tshark
and rebuilt by scapy. Two things are not ours: Debian's pev sends one announcement instead of three
and shorter sounds, and takes the first charger that answers, where the standard's vehicle waits for
all (1.2 s): that is why a vehicle of ours is slower than that one.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from controller import netns
from controller.plc import wire
from controller.plc.driver_tap import why_no_tap
from tests.interop.process import Child
from tests.interop.slac_wire import NAMES, RealWire
from tests.interop.tshark import malformed_frames

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-interop-slac"
REQUIREMENTS = ("scapy==2.8.0", "pyslac==0.8.3", "marshmallow<4")
INSTALL_S = 300.0
SCAPY_S = 60.0
SETTLE_S = 3.0  # a charger until its modem has the key
MATCH_S = 20.0
AFTER_S = 0.3
ROUNDS = 3
SLOW_ROUNDS = 1  # pyslac waits 10 s for its modem each time

OURS, DEBIAN, PYSLAC = "ours", "debian", "pyslac"


@dataclass(frozen=True, slots=True)
class Pairing:
    """Who plays which side."""

    evse: str
    pev: str
    title: str


PAIRINGS = (
    Pairing(DEBIAN, DEBIAN, "Debian's pev at Debian's evse (nothing of ours)"),
    Pairing(OURS, DEBIAN, "Debian's pev at our charger"),
    Pairing(DEBIAN, OURS, "our car at Debian's evse"),
    Pairing(PYSLAC, DEBIAN, "Debian's pev at pyslac's EVSE (nothing of ours)"),
    Pairing(PYSLAC, OURS, "our car at pyslac's EVSE"),
    Pairing(OURS, OURS, "our car at our charger"),
)


def obstacle() -> str | None:
    """Why this part cannot run here, and what to do; None when it can."""
    missing = [name for name in ("pev", "evse") if shutil.which(name) is None]
    if missing:
        return f"{' and '.join(missing)} missing: apt install plc-utils-extra"
    if os.geteuid() != 0:
        return "raw sockets and TAP devices need root: run it with sudo"
    return why_no_tap() or None


def run(say: Callable[[str], None]) -> int:
    """The part of `python -m tests.interop`: in a process (and network) of its own; 1 if failed."""
    reason = obstacle()
    if reason is not None:
        say(f"SLAC with other programs: skipped: {reason}")
        return 0
    done = subprocess.run([sys.executable, "-m", __name__], cwd=ROOT, check=False)
    return 1 if done.returncode else 0


def main() -> int:
    reason = obstacle()
    if reason is not None:
        say(f"SLAC with other programs: skipped: {reason}")
        return 0
    python = prepare()
    netns.enter()
    netns.quieten()
    folder = Path(tempfile.mkdtemp(prefix="ccs-interop-slac-"))
    failed = [p.title for p in PAIRINGS if not _passes(p, folder, python)]
    if failed:
        say(f"SLAC: {len(failed)} failed; logs and captures: {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def prepare() -> Path | None:
    """The interpreter with scapy and pyslac; None when they cannot be installed."""
    python = ENVIRONMENT / "bin" / "python"
    probe = [str(python), "-c", "import scapy, pyslac"]
    if python.exists() and subprocess.run(probe, check=False, capture_output=True).returncode == 0:
        return python
    say(f"      installing {', '.join(REQUIREMENTS)} into {ENVIRONMENT.name}")
    try:
        for command in (
            [sys.executable, "-m", "venv", str(ENVIRONMENT)],
            [str(python), "-m", "pip", "install", "-q", *REQUIREMENTS],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError) as error:
        say(f"      pyslac and scapy: skipped: cannot be installed ({error})")
        return None
    return python


def _passes(pairing: Pairing, folder: Path, python: Path | None) -> bool:
    if pairing.evse == PYSLAC and python is None:
        say(f"SLAC: {pairing.title}: skipped: pyslac is not installed")
        return True
    times: list[float] = []
    facts: list[str] = []
    rounds = SLOW_ROUNDS if pairing.evse == PYSLAC else ROUNDS
    for number in range(rounds):
        place = folder / f"{pairing.evse}-{pairing.pev}-{number}"
        place.mkdir()
        took_s, why = _match(pairing, place, python)
        if took_s is None:
            say(f"SLAC: {pairing.title}: FAILED: {why}")
            return False
        times.append(took_s)
        facts = [_judge_frames(place, side, python) for side in _our_sides(pairing)]
    say(
        f"SLAC: {pairing.title}: matched {rounds} of {rounds}, SLAC_PARAM.REQ to MATCH.CNF "
        f"{statistics.median(times) * 1e3:.0f} ms (fastest {min(times) * 1e3:.0f})"
    )
    for fact in facts:
        say(f"      {fact}")
    return not any("WRONG" in fact for fact in facts)


def _our_sides(pairing: Pairing) -> list[int]:
    return [i for i, who in enumerate((pairing.evse, pairing.pev)) if who == OURS]


def _match(pairing: Pairing, place: Path, python: Path | None) -> tuple[float | None, str]:
    link = RealWire(place.name)
    try:
        with ExitStack() as stack:
            evse = stack.enter_context(_child(0, pairing.evse, place, python))
            link.pump(lambda: link.first(wire.CmSetKeyReq) is not None, MATCH_S)
            link.pump(lambda: False, SETTLE_S if pairing.evse == PYSLAC else 1.0)
            pev = stack.enter_context(_child(1, pairing.pev, place, python))
            matched = link.pump(
                lambda: link.first(wire.CmSlacMatchCnf) is not None and link.joined(), MATCH_S
            )
            link.pump(lambda: False, AFTER_S)
            for host in range(2):
                link.write(place / f"{host}.pcap", host)
            took_s = link.matching_s()
            if not matched or took_s is None:
                return None, f"{evse.name}: {evse.last_line}; {pev.name}: {pev.last_line}"
            return took_s, ""
    finally:
        link.close()


def _child(side: int, who: str, place: Path, python: Path | None) -> Child:
    role = ("evse", "pev")[side]
    log = place / f"{role}.log"
    if who == OURS:
        command = [sys.executable, "-m", "tests.interop.slac_side", role, NAMES[side]]
        return Child(f"our {role}", command, log, cwd=ROOT)
    if who == PYSLAC:
        script = Path(__file__).with_name("peer_pyslac.py")
        command = [str(python), "-I", str(script), NAMES[side]]
        return Child("pyslac", command, log, cwd=place)
    profile = subprocess.run([role, "-c"], capture_output=True, text=True, check=True).stdout
    # less waiting after the match; what is before it stays
    for key in ("settle time", "charge time"):
        profile = "\n".join(
            f"{key} = 1" if line.startswith(key) else line for line in profile.splitlines()
        )
    (place / f"{role}.ini").write_text(profile + "\n", encoding="utf-8")
    command = [role, "-p", f"{role}.ini", "-i", NAMES[side]]
    return Child(f"Debian's {role}", command, log, cwd=place)


def _judge_frames(place: Path, side: int, python: Path | None) -> str:
    """Let tshark and scapy look at what we sent in the last round."""
    path = place / f"{side}.pcap"
    who = ("our charger's", "our car's")[side]
    bad = malformed_frames(path)
    shark = "tshark is not installed" if bad is None else f"{bad} malformed for tshark"
    wrong = bool(bad)
    scapy = "scapy is not installed"
    if python is not None:
        script = Path(__file__).with_name("peer_scapy.py")
        done = subprocess.run(
            [str(python), "-I", str(script), str(path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=SCAPY_S,
        )
        try:
            report = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            return f"{who} frames: WRONG: scapy failed: {done.stderr.strip()[-200:]}"
        kinds = len(report["rebuilt"])
        frames = sum(report["rebuilt"].values())
        scapy = f"{frames} frames of {kinds} kinds rebuilt byte for byte by scapy"
        if report["wrong"] or not kinds:
            wrong, scapy = True, f"scapy: {'; '.join(report['wrong'])[:300] or 'no frame known'}"
    return f"{who} frames: {'WRONG: ' if wrong else ''}{shark}, {scapy}"


if __name__ == "__main__":
    sys.exit(main())
