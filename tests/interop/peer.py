"""The PyPI package `iso15118`: its environment, how each side is started, what its logs say.

It lives in `.venv-interop`, away from ours: it pins an old pydantic. Its EXI codec is a Java
program.

What must be known to judge it (read in 0.31.2 and tried):
- Both sides log `Reason: Communication session stopped successfully` after SessionStop, any other
  `Reason: ...` when a session ends otherwise. Exit codes say nothing.
- After a failed session the EVCC logs `SDPFailedError` and then runs on for ever; it must be ended.
- After a good session both sides sleep 5 s before they close TCP.
- The EVCC takes one read() for one message: header and payload have to arrive in one segment.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.interop.ours import ROOT

REQUIREMENTS = ("iso15118==0.31.2", "aiofile==3.7.4")  # aiofile: imported, but not required by it
ENVIRONMENT = ROOT / ".venv-interop"
MINIMUM_PYTHON = (3, 10)
INSTALL_S = 300.0
PROBE_S = 20.0
JAVA_ADVICE = "Java is missing: install it (Debian: apt install default-jre-headless)"

STOPPED_WELL = "Communication session stopped successfully"
CURRENT_DEMAND = "CurrentDemandReq"

_REASON = re.compile(r"Reason: (.+)$", re.MULTILINE)
_TIMEOUT = re.compile(r"TimeoutError occurred\. Waited for \S+ s after sending last message")
_HOPELESS = re.compile(
    r"^.*(?:SDPRequest was not successful|Security mismatch|(?:EVCC|SECC) terminated:).*$",
    re.MULTILINE,
)
_REQUEST = re.compile(r"comm_session \(\d+\): (?:Sent (\w+Req)|(\w+Req) received)$", re.MULTILINE)

# The car's limits for an answer in DIN 70121; what is not listed has 2 s.
_ANSWER_LIMIT_S = {CURRENT_DEMAND: 0.25}
_ANSWER_LIMIT_OTHER_S = 2.0


class Unavailable(Exception):  # noqa: N818 (no error: the run is skipped)
    """The peer cannot be had on this machine; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a log of the peer says."""

    reason: str | None  # None: the session has not ended
    requests: tuple[str, ...]  # the names of the requests, in order

    @property
    def stopped_well(self) -> bool:
        return self.reason == STOPPED_WELL

    @property
    def missed_an_answer(self) -> bool:
        """Whether it gave up waiting for an answer."""
        return self.reason is not None and _TIMEOUT.search(self.reason) is not None


def read_log(text: str) -> Report:
    """The report of one session, from the log of either side."""
    ended = _REASON.search(text)
    hopeless = _HOPELESS.search(text)
    reason = ended[1].strip() if ended else hopeless[0].strip() if hopeless else None
    requests = tuple(next(name for name in found if name) for found in _REQUEST.findall(text))
    return Report(reason, requests)


def answer_limit_s(request: str) -> float:
    """How long a car waits for the answer to this request."""
    return _ANSWER_LIMIT_S.get(request, _ANSWER_LIMIT_OTHER_S)


# Its Java compiles itself warm while the car's 250 ms run. That is eased, not hidden: it goes
# before the rest of the machine (not our side), with a compiler quick to finish (C1 alone).
_FIRST = (("chrt", "--rr", "1"), ("nice", "-n", "-10"))
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def secc_command(*, stock: bool = False) -> list[str]:
    """The peer's SECC; `stock`: with the package's own simulated charger (1 V and 1 A for ever)."""
    if stock:
        return [*_go_first(), str(python()), "-m", "iso15118.secc.main"]
    return [*_go_first(), str(python()), "-I", str(Path(__file__).with_name("peer_secc.py"))]


def evcc_command(configuration: Path) -> list[str]:
    """The peer's EVCC: one session."""
    return [*_go_first(), str(python()), "-m", "iso15118.evcc.main", str(configuration)]


def write_evcc_configuration(path: Path, charge_loops: int) -> None:
    """DIN DC without TLS; its car wants 500 V and 1 A, and counts loops instead of energy."""
    settings = {
        "supportedProtocols": ["DIN_SPEC_70121"],
        "supportedEnergyServices": ["DC"],
        "energyTransferMode": "DC_extended",
        "useTls": False,
        "enforceTls": False,
        "sdpRetryCycles": 1,
        "chargeLoopCycle": charge_loops,
        "chargeLoopDelay": 0,
    }
    path.write_text(json.dumps(settings, indent=2), encoding="utf-8")


def environment(interface: str) -> dict[str, str]:
    """The environment variables that set up either side."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return kept | {
        "JAVA_TOOL_OPTIONS": _JAVA_OPTIONS,
        "NETWORK_INTERFACE": interface,
        "PROTOCOLS": "DIN_SPEC_70121",
        "AUTH_MODES": "EIM",
        "SECC_ENFORCE_TLS": "False",
        "LOG_LEVEL": "INFO",
        "MESSAGE_LOG_JSON": "True",
        "MESSAGE_LOG_EXI": "False",
    }


def prepare(say: Callable[[str], None]) -> None:
    """Make `.venv-interop` once. Raises Unavailable when the peer cannot run here."""
    if not _succeeds(["java", "-version"]):
        raise Unavailable(JAVA_ADVICE)
    mark = ENVIRONMENT / "ready"
    if _is_ready(mark):
        say(f"{ENVIRONMENT.name} is ready ({', '.join(REQUIREMENTS)})")
        return
    problem = "no Python 3.10 or newer was found"
    say(f"installing {', '.join(REQUIREMENTS)} into {ENVIRONMENT.name}, once (a minute)")
    for interpreter in _pythons():
        failure = _install(interpreter)
        if failure is None:
            mark.write_text("\n".join(REQUIREMENTS), encoding="utf-8")
            return
        problem = f"{interpreter}: {failure}"
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    raise Unavailable(f"{REQUIREMENTS[0]} cannot be installed ({problem})")


def is_installed() -> bool:
    """Whether the peer can run here now, without anything being installed."""
    return _is_ready(ENVIRONMENT / "ready") and _succeeds(["java", "-version"])


def _is_ready(mark: Path) -> bool:
    try:
        made_for = mark.read_text(encoding="utf-8").split()
    except OSError:
        return False
    return made_for == list(REQUIREMENTS) and _succeeds([str(python()), "-c", ""])


def _pythons() -> list[str]:
    """Interpreters to try, ours first; a name on PATH may be an empty shim, so each is started."""
    suitable = f"import sys; sys.exit(sys.version_info[:2] < {MINIMUM_PYTHON})"
    names = (sys.executable, "python3.11", "python3.12", "python3.13", "python3")
    return [name for name in names if _succeeds([name, "-c", suitable])]


def _install(interpreter: str) -> str | None:
    """What went wrong, in one line; None when both sides of the package can be imported."""
    pip = [str(python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--retries", "1", "--timeout", "10"]
    imports = "import iso15118.evcc.main, iso15118.secc.main"
    for command in (
        [interpreter, "-m", "venv", "--clear", str(ENVIRONMENT)],
        [*pip, *REQUIREMENTS],
        [str(python()), "-c", imports],
    ):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=INSTALL_S
            )
        except subprocess.TimeoutExpired:
            return f"no end after {INSTALL_S:g} s"
        if done.returncode != 0:
            return (done.stderr or done.stdout).strip().rpartition("\n")[2] or "unknown reason"
    return None


def _go_first() -> tuple[str, ...]:
    """The strongest of the commands that start a program early, if any is there and allowed."""
    return next((way for way in _FIRST if _succeeds([*way, "true"])), ())


def python() -> Path:
    """Its interpreter."""
    return ENVIRONMENT / "bin" / "python"


def _succeeds(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=PROBE_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
