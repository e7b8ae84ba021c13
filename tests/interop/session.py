"""One session between two programs on the link, and whose merit or fault its end was."""

import json
import statistics
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tests.interop import ours, peer, wire
from tests.interop.netns import End, LinkError, link
from tests.interop.process import Child, pause, wait_until
from tests.interop.tshark import malformed_frames

READY_S = 30.0  # a charger until it listens for SDP; the peer's needs 1 to 2 s
SESSION_S = 180.0
EXIT_S = 20.0  # our car's program after the session: welding check, discharge, folder
CAPTURE_READY_S = 5.0
LATE_ANSWER_S = 2.0
DECODE_S = 60.0
OURS = "ours"  # our side's session folder, within the run's


class Role(Enum):
    """Which side the peer plays."""

    EVCC = "evcc"
    SECC = "secc"
    BOTH = "both"


class Verdict(Enum):
    """How a run ended."""

    PASSED = "passed"
    FAILED = "failed"
    SPOILED = "spoiled"  # by the peer's own doing: to be repeated


@dataclass(frozen=True, slots=True)
class Setup:
    """What all runs share."""

    folder: Path
    stock_secc: bool = False
    charge_loops: int = 10


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict on one run, its reason, and what was measured."""

    verdict: Verdict
    summary: str
    facts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Sides:
    """The two programs of a run and the capture between them."""

    role: Role
    secc: Child
    evcc: Child
    capture: Path

    @property
    def judge(self) -> Child:
        """The peer's program whose log decides."""
        return self.secc if self.role is Role.SECC else self.evcc

    @property
    def report(self) -> peer.Report:
        return peer.read_log(self.judge.text)

    def is_over(self) -> bool:
        """Whether nothing more will come."""
        if self.report.reason is not None or self.secc.exit_code is not None:
            return True
        return self.evcc.exit_code is not None


def run_session(role: Role, setup: Setup, attempt: int) -> Result:
    """Run both programs to the end of one session."""
    folder = setup.folder / f"{role.value}-{attempt}"
    folder.mkdir(parents=True)
    try:
        with link() as (evse, pev), ExitStack() as stack:
            return _run(role, setup, folder, evse, pev, stack)
    except LinkError as error:
        return Result(Verdict.FAILED, f"the link: {error}")


def _run(role: Role, setup: Setup, folder: Path, evse: End, pev: End, stack: ExitStack) -> Result:
    capture = folder / "link.pcap"
    tap = stack.enter_context(
        Child(
            "capture",
            evse.command(ours.PYTHON, "-m", wire.__name__, evse.interface, str(capture)),
            folder / "capture.log",
            cwd=ours.ROOT,
        )
    )
    if not wait_until(lambda: capture.exists() and capture.stat().st_size > 0, CAPTURE_READY_S):
        return Result(Verdict.FAILED, f"no capture: {tap.last_line}")
    secc = stack.enter_context(_start_secc(role, setup, folder, evse))
    wait_until(lambda: secc.exit_code is not None or evse.listens_on_udp(wire.SDP_PORT), READY_S)
    if secc.exit_code is not None:
        return Result(Verdict.FAILED, f"{secc.name} ended with {secc.exit_code}: {secc.last_line}")
    if not evse.listens_on_udp(wire.SDP_PORT):
        return Result(Verdict.FAILED, f"{secc.name} does not listen for SDP after {READY_S:g} s")
    evcc = stack.enter_context(_start_evcc(role, setup, folder, pev))
    sides = _Sides(role, secc, evcc, capture)
    in_time = wait_until(sides.is_over, SESSION_S)
    return _judge(sides, in_time)


def _start_secc(role: Role, setup: Setup, folder: Path, evse: End) -> Child:
    log = folder / "secc.log"
    if role is Role.EVCC:
        command = evse.command(*ours.evse_command(evse.interface, folder / OURS))
        return Child("our charger", command, log, cwd=ours.ROOT)
    command = evse.command(*peer.secc_command(stock=setup.stock_secc))
    environment = peer.environment(evse.interface)
    return Child("the peer's SECC", command, log, environment=environment, cwd=folder)


def _start_evcc(role: Role, setup: Setup, folder: Path, pev: End) -> Child:
    log = folder / "evcc.log"
    if role is Role.SECC:
        command = pev.command(*ours.pev_command(pev.interface, folder / OURS))
        return Child("our car", command, log, cwd=ours.ROOT)
    configuration = folder / "evcc.json"
    peer.write_evcc_configuration(configuration, setup.charge_loops)
    command = pev.command(*peer.evcc_command(configuration))
    environment = peer.environment(pev.interface)
    return Child("the peer's EVCC", command, log, environment=environment, cwd=folder)


def _judge(sides: _Sides, in_time: bool) -> Result:
    if sides.report.missed_an_answer:
        pause(LATE_ANSWER_S)  # to see on the link when it came
    problem = _problem(sides) if in_time else f"no end of the session after {SESSION_S:g} s"
    report = sides.report
    conversation = wire.read_conversation(sides.capture)
    facts = _facts(sides, report, conversation)
    if problem is None:
        problem, seen = _captures(sides, conversation)
        facts += seen
    if problem is None:
        return Result(Verdict.PASSED, f"{report.reason}", facts)
    spoiled = _spoiled(sides.role, report, conversation)
    if spoiled is not None:
        return Result(Verdict.SPOILED, spoiled, facts)
    late = _late_answer(report, conversation)
    return Result(Verdict.FAILED, problem if late is None else f"{late}; {problem}", facts)


def _problem(sides: _Sides) -> str | None:
    """Why the session was not good; waits for our own side to end."""
    wait_until(lambda: sides.report.reason is not None, 1.0)
    report = sides.report
    if sides.role is Role.SECC:
        wait_until(lambda: sides.evcc.exit_code is not None, EXIT_S)
        code = sides.evcc.exit_code
        if code is None:
            return f"our car has not ended {EXIT_S:g} s after the session"
        if code != 0:
            return f"our car ended with {code}: {sides.evcc.last_line}"
    elif sides.role is Role.EVCC:
        code = sides.secc.exit_code
        if code is not None:
            return f"our charger ended by itself with {code}: {sides.secc.last_line}"
        code = sides.secc.stop()
        if code not in (0, 130):
            return f"our charger ended with {code} when interrupted: {sides.secc.last_line}"
    if not report.stopped_well:
        return report.reason or f"{sides.judge.name} ended: {sides.judge.last_line}"
    if peer.CURRENT_DEMAND not in report.requests:
        return "the session ended well, but without one CurrentDemand"
    return None


def _spoiled(role: Role, report: peer.Report, conversation: wire.Conversation) -> str | None:
    """What the peer did wrong by itself; None when it did not, or it cannot be told."""
    late = _late_answer(report, conversation)
    if role is not Role.EVCC:
        return None if late is None else f"its SECC is too slow: {late}"
    if late is None and report.missed_an_answer and conversation.exchanges:
        latency_s = conversation.exchanges[-1].latency_s
        if latency_s is not None:
            return f"it gave up on an answer that was there after {latency_s * 1e3:.1f} ms"
    return None


def _late_answer(report: peer.Report, conversation: wire.Conversation) -> str | None:
    """The answer that took longer than a car waits for it."""
    names = (*report.requests, *[""] * len(conversation.exchanges))
    for name, exchange in zip(names, conversation.exchanges, strict=False):
        limit_s = peer.answer_limit_s(name)
        waited_s = conversation.waited_s(exchange)
        if waited_s is None or waited_s >= limit_s:
            took = "none" if exchange.latency_s is None else f"{exchange.latency_s * 1e3:.0f} ms"
            return f"answer to {name or 'a request'}: {took} (limit {limit_s * 1e3:.0f} ms)"
    return None


def _facts(sides: _Sides, report: peer.Report, conversation: wire.Conversation) -> list[str]:
    answered = [e for e in conversation.exchanges if e.latency_s is not None]
    facts = [
        f"{len(conversation.exchanges)} requests, {len(answered)} answers, "
        f"{report.requests.count(peer.CURRENT_DEMAND)} CurrentDemand; "
        f"{conversation.sdp_requests} SDP requests"
    ]
    if conversation.duration_s is not None:
        facts.append(
            f"{conversation.duration_s:.2f} s from the first SDP request to the last answer"
        )
    return facts + _latencies(sides, report, conversation) + _punctuality(sides)


def _punctuality(sides: _Sides) -> list[str]:
    """How late our simulated hardware was at worst: above 50 ms the interlock distrusts it."""
    summary = sides.capture.parent / OURS / "summary.json"
    if not summary.exists():
        return []
    late_s = json.loads(summary.read_text(encoding="utf-8"))["latest_step_s"]
    return [f"our inputs were at most {late_s * 1e3:.1f} ms late"]


def _captures(sides: _Sides, conversation: wire.Conversation) -> tuple[str | None, list[str]]:
    """Look at what was captured, here and by our side: problem and facts."""
    problems, facts = [], []
    for capture in (sides.capture, sides.capture.parent / OURS / "capture.pcapng"):
        if not capture.exists():  # the peer on both sides: nothing of ours
            continue
        malformed = malformed_frames(capture)
        messages, wrong = decoded(capture)
        whole = sum(1 + (e.latency_s is not None) for e in conversation.exchanges)
        opinion = "no tshark" if malformed is None else f"tshark: {malformed} malformed frames"
        facts.append(f"{capture.name}: {messages} of {whole} V2G messages decoded; {opinion}")
        if malformed:
            problems.append(f"{malformed} malformed frames in {capture.name}")
        if wrong:
            problems.append(f"{capture.name}: {wrong[0]}")
        elif messages != whole:
            problems.append(f"{capture.name}: {messages} of {whole} messages were decoded")
    return "; ".join(problems) or None, facts


def decoded(capture: Path) -> tuple[int, list[str]]:
    """How many V2G messages our listener reads in a capture, and what it finds wrong."""
    done = subprocess.run(
        ours.decode_command(capture),
        capture_output=True,
        text=True,
        check=False,
        timeout=DECODE_S,
        cwd=ours.ROOT,
    )
    if done.returncode != 0:
        return 0, [done.stderr.strip() or f"decode ended with {done.returncode}"]
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    messages = [e for e in entries if e.get("layer") == "v2g" and e.get("message")]
    return len(messages), [f"{e['text']}: {e['error']}" for e in entries if e.get("error")]


def _latencies(sides: _Sides, report: peer.Report, conversation: wire.Conversation) -> list[str]:
    named = [
        (e.latency_s, name)
        for name, e in zip(report.requests, conversation.exchanges, strict=False)
        if e.latency_s is not None
    ]
    if not named:
        return []
    slowest_s, slowest = max(named)
    line = f"answers of {sides.secc.name}: slowest {slowest_s * 1e3:.1f} ms ({slowest})"
    demands = [latency_s for latency_s, name in named if name == peer.CURRENT_DEMAND]
    if demands:
        median_ms, max_ms = statistics.median(demands) * 1e3, max(demands) * 1e3
        line += f"; CurrentDemand median {median_ms:.1f} ms, max {max_ms:.1f} ms"
    return [line]
