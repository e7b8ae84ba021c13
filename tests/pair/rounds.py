"""One round: bring a charge to a phase, do something terrible, look, recover.

What must be so afterwards, by the plant's own clock:

- contacts open and output off within SAFE_S of the last valid beat of communication, or within
  WATCHED_S of the death of realtime (the external watchdog opens);
- nothing closes again before the vehicle is unplugged;
- the pilot shows B1 (steady +12 V) or F, where a realtime process is there to drive it;
- the reason is recorded: in the journal of realtime, or in that of communication for its end;
- the next vehicle charges, with the realtime process that was there before, if it survived.

A machine that stands still makes a round void, not failed: the plant's lateness tells (it has the
highest priority), and so does a period of realtime that the machine woke late.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controller.signals import Phase
from tests.pair.rig import SESSION_S

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.pair.rig import Rig, Service

SAFE_S = 0.1
WATCHED_S = 0.065
"""20 ms from the last edge, contacts 20 ms, and the plant looks every 2 ms; the rest is room."""
STALL_S = 0.006
"""The plant or a process was this late: if something was wrong, the round proves nothing."""
SETTLE_S = 0.7
"""Until the pilot must show it: the oscillator is kept for 0.5 s where nothing was closed."""
NOTICED_S = 1.4
"""Until communication has given a silent realtime process up: it has a second."""

REAL_FAULTS = (
    ("communication", signal.SIGSTOP),
    ("communication", signal.SIGKILL),
    ("communication", signal.SIGTERM),
    ("realtime", signal.SIGSTOP),
    ("realtime", signal.SIGKILL),
    ("realtime", signal.SIGTERM),
    ("both", signal.SIGKILL),
)
STEP_CLOCK = "clock step"
REAL_PHASES = (
    Phase.CHARGE,
    Phase.IDLE,
    Phase.CHARGE,
    Phase.CONNECTED,
    Phase.CHARGE,
    Phase.CABLE_CHECK,
    Phase.CHARGE,
    Phase.PRE_CHARGE,
    Phase.CHARGE,
    Phase.STOPPING,
)
"""Each other one is a charge: the next vehicle after the round before."""
SHUT_OUT = ("flood", "garbage", "readings", "long-packets")
"""Beats go on beside these, until the peer is shut out: its last one counts."""
PEER_PHASES = (
    Phase.CHARGE,
    Phase.CONNECTED,
    Phase.CHARGE,
    Phase.CABLE_CHECK,
    Phase.PRE_CHARGE,
    Phase.IDLE,
    Phase.STOPPING,
)


@dataclass
class Outcome:
    """What a round showed."""

    what: str
    phase: str
    safe_after_s: float | None = None
    """From the last beat (or the signal) until open and off; None: nothing was closed."""
    duty: float = 0.0
    reason: str = ""
    stalled_s: float = 0.0
    """How long the machine stood still in it, at worst."""
    voids: int = 0
    """Tries before this one that proved nothing, because of that."""
    wrong: list[str] = field(default_factory=list)

    @property
    def is_void(self) -> bool:
        """Something was wrong, and the machine stood still."""
        return bool(self.wrong) and self.stalled_s >= STALL_S

    @property
    def line(self) -> str:
        took = "-" if self.safe_after_s is None else f"{self.safe_after_s * 1000:.0f} ms"
        verdict = "; ".join(self.wrong) or "ok"
        return f"{self.what:<24}{self.phase:<12}{took:>8}  {self.reason[:44]:<46}{verdict}"


def play_real(
    rig: Rig, victim: str, action: signal.Signals, phase: Phase, delay_s: float
) -> Outcome:
    """One round with the real communication process and a real vehicle."""
    outcome = Outcome(f"{victim} {action.name}", phase.value)
    mark = {name: len(rig.said(name)) for name in ("realtime", "communication")}
    reach_real(rig, phase)
    rig.go_on(delay_s)
    strike = Strike(rig)
    for name in ("realtime", "communication") if victim == "both" else (victim,):
        rig.services[name].signal(action)
    if action is signal.SIGTERM:
        await_end(rig, victim)
    if victim == "communication":
        strike.watch(outcome, None if action is signal.SIGTERM else SAFE_S)
        judge_pilot(rig, outcome, phase)
        judge_reason(rig, outcome, "realtime", mark["realtime"], needed=strike.was_closed)
    else:
        strike.watch(outcome, WATCHED_S)
    if victim == "realtime":
        rig.go_on(NOTICED_S - SETTLE_S)
        judge_reason(rig, outcome, "communication", mark["communication"], needed=True)
    recover(rig, victim, action)
    if victim == "communication" and action is signal.SIGKILL and strike.was_closed:
        judge_trace(rig, outcome)
    return outcome


class Strike:
    """What was so at the instant of the fault, and what followed."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.was_closed = not rig.plant.is_safe
        self.at = rig.loop.now()

    def watch(self, outcome: Outcome, bound_s: float | None, since: float | None = None) -> None:
        """Wait until all is open and off for good; `since` is the last beat, if it is known."""
        rig, plant = self._rig, self._rig.plant
        closings = plant.closings
        rig.wait(lambda: rig.loop.now() > self.at + SAFE_S and plant.is_safe, "open and off", 6.0)
        self.was_closed = self.was_closed or plant.closings != closings  # it was just closing
        closings = plant.closings
        if self.was_closed:
            outcome.safe_after_s = max(0.0, plant.moved_at - (self.at if since is None else since))
            if bound_s is not None and outcome.safe_after_s > bound_s:
                took_ms = outcome.safe_after_s * 1000
                outcome.wrong.append(f"open and off only after {took_ms:.0f} ms")
        rig.go_on(SETTLE_S)
        if plant.closings != closings or not plant.is_safe:
            outcome.wrong.append("closed again")


def await_end(rig: Rig, victim: str) -> None:
    """Wait for an orderly end."""
    service = rig.services[victim]
    rig.wait(lambda: service.process.poll() is not None, f"{victim}'s end", 10.0)
    if service.process.returncode != 0:
        raise AssertionError(f"{victim} ended with {service.process.returncode}: {service.said}")


def reach_real(rig: Rig, phase: Phase) -> None:
    """Bring the session to a phase."""
    if phase is Phase.IDLE:
        return
    rig.plug()
    if phase is Phase.STOPPING:
        rig.reach(Phase.CHARGE)
        rig.go_on(0.1)
        rig.ask_car_to_stop()
    if phase is Phase.CONNECTED:
        rig.wait(lambda: 0.0 < rig.plant.duty < 1.0, "5 %", SESSION_S)
    else:
        rig.reach(phase)


def judge_pilot(rig: Rig, outcome: Outcome, phase: Phase) -> None:
    outcome.duty = rig.plant.duty
    if phase is not Phase.IDLE and outcome.duty not in (0.0, 1.0):
        outcome.wrong.append(f"pilot at {outcome.duty:.2f}")


def judge_reason(rig: Rig, outcome: Outcome, name: str, mark: int, *, needed: bool) -> None:
    """Look for what the survivor says."""
    said = rig.said(name)[mark:]
    pattern = r"contactors opened: (.+)" if name == "realtime" else r"(the realtime process .+)"
    found = [text for text in re.findall(pattern, said) if "is there" not in text]
    outcome.reason = found[0] if found else ""
    if needed and not found:
        outcome.wrong.append(f"no reason in {name}'s journal")


def judge_trace(rig: Rig, outcome: Outcome) -> None:
    """Look into the trace of the new process: why the contactors opened while none was there."""
    path = max(
        (rig.folder / "traces").glob("trace-*.jsonl"), key=lambda path: path.stat().st_mtime_ns
    )
    deadline = rig.loop.now() + 3.0

    def told() -> bool:
        if rig.is_busy():
            return False
        return '"type":"OpenContactors"' in path.read_text() or rig.loop.now() > deadline

    rig.wait(told, "a trace")
    before = [line for line in path.read_text().splitlines() if '"t":-' in line]
    if not any('"type":"OpenContactors"' in line for line in before):
        outcome.wrong.append("no reason in the new trace")


def recover(rig: Rig, victim: str, action: signal.Signals) -> None:
    """Do what systemd would, and pull the connector."""
    names = ("realtime", "communication") if victim == "both" else (victim,)
    for name in names:
        if action is signal.SIGSTOP:
            rig.services[name].signal(signal.SIGCONT)
        else:
            rig.start(name)
    rig.unplug()
    for name in names:
        rig.wait_ready(name)
    rig.wait(rig.is_idle, "the station's unplugging")


def step_clock(rig: Rig, seconds: float) -> Outcome:
    """The date jumps in the middle of a charge: nothing may happen."""
    outcome = Outcome(f"{STEP_CLOCK} {seconds:+.0f} s", Phase.CHARGE.value)
    rig.plug()
    rig.reach(Phase.CHARGE)
    rig.go_on(0.2)
    rig.step_wall_clock(seconds)
    rig.go_on(1.0)
    if rig.plant.is_safe or rig.car_phase is not Phase.CHARGE:
        outcome.wrong.append("the charge ended")
    rig.step_wall_clock(0.0)
    rig.go_on(0.5)
    if rig.plant.is_safe or rig.car_phase is not Phase.CHARGE:
        outcome.wrong.append("the charge ended at the step back")
    rig.unplug()
    rig.wait(lambda: rig.plant.is_safe and rig.is_idle(), "open and off")
    return outcome


# --- a scripted communication process ------------------------------------------------------------


def play_peer(rig: Rig, fault: str, phase: Phase, delay_s: float) -> Outcome:
    """One round with a communication process that does what a real one never would."""
    outcome = Outcome(fault, phase.value)
    mark = len(rig.said())
    voltage = f"{rig.plant.world.battery.open_voltage_v:.1f}"
    peer = rig.start("communication", "--phase", phase.name, "--voltage", voltage, "--then", fault)
    rig.wait_ready("communication")
    if phase is not Phase.IDLE:
        rig.plug()
    rig.wait(reached(rig, peer, phase), f"phase {phase.value}", SESSION_S)
    rig.go_on(delay_s)
    strike = Strike(rig)
    peer.signal(signal.SIGUSR1)
    word = "lost" if fault in SHUT_OUT else "beat"
    rig.wait(lambda: any(line.startswith(word) for line in peer.told_us), f"{fault} done", 10.0)
    line = next(line for line in peer.told_us if line.startswith(word))
    strike.watch(outcome, SAFE_S, float(line.split()[1]))
    if fault != "disagreement":  # alive and connected: the oscillator stays
        judge_pilot(rig, outcome, phase)
    judge_reason(rig, outcome, "realtime", mark, needed=strike.was_closed)
    if rig.services["realtime"].process.poll() is not None:
        outcome.wrong.append("realtime ended")
    rig.unplug()
    peer.kill()
    rig.go_on(0.3)
    return outcome


def reached(rig: Rig, peer: Service, phase: Phase) -> Callable[[], bool]:
    plant, car = rig.plant, rig.car
    assert car is not None
    return {
        Phase.IDLE: lambda: True,
        Phase.STOPPING: lambda: "stopping" in peer.told_us,
        Phase.CONNECTED: lambda: plant.world.pilot.s2_closed,
        Phase.CABLE_CHECK: lambda: plant.closed,
        Phase.PRE_CHARGE: lambda: plant.closed and car.is_checked and plant.output_on,
        Phase.CHARGE: lambda: plant.world.circuit.current_a > 10.0,
    }[phase]


def random_delay_s(rng: random.Random, phase: Phase) -> float:
    """At any instant of a phase; the contactors close some 40 ms after a cable check begins."""
    low, high = {Phase.CHARGE: (0.0, 0.3), Phase.CABLE_CHECK: (0.0, 0.12)}.get(phase, (0.0, 0.05))
    return rng.uniform(low, high)
