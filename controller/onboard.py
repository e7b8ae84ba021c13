"""The on-board charger's leave to draw (core): from the pilot's nominal duty to S2 and a limit.

Theory of operation. A duty of 8 to 97 % without digital communication says how much AC current the
vehicle may draw. S2 closes when the session wants it and no row of `ONBOARD_RULES` objects; from
then on the on-board charger may draw the least of the duty's current, the cable's rating (where the
plug tells it) and its own. A lower duty is obeyed in the period in which it is believed, far within
the 5 s of IEC 61851-1. When a row objects, the limit is 0 and S2 opens at once; when the session
has had enough, the limit is 0 first and S2 opens a moment later, without load.

The wish holds until it is withdrawn, until the offer ends, or until the session falls silent: then
it has to be expressed again. The DC contactors have nothing to do with any of it and stay open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.cp.current import LOWEST_A
from controller.interlock_chain import HARDWARE
from controller.interlock_rules import (
    InterlockConfig,
    Judge,
    Rule,
    Severity,
    is_stale,
)
from controller.interlock_shared import HEARTBEAT
from controller.interlock_vehicle import VehicleSnapshot, is_unplugged
from controller.power import limits
from controller.signals import InterlockReport, Output, Phase, S2Request, SetOnboardCurrent

if TYPE_CHECKING:
    from controller.cp.pev import PevPilot

RAMP_DOWN_S = 0.2
"""Own figure: on-board chargers are without current this long after they are told; S2 follows."""
LIMIT_STEP_A = 0.05
"""Own figure: a limit that moves less is the same."""

ONBOARD_RULES: tuple[Rule[VehicleSnapshot], ...] = (
    Rule(
        "emergency stop",
        lambda s, _: s.emergency_stop,
        "emergency stop is pressed, or its chain is broken",
    ),
    HARDWARE,
    Rule("unplugged", lambda s, _: not s.plugged, "no connector in the inlet"),
    Rule("inlet fault", lambda s, _: s.inlet_fault, "the inlet is faulty: proximity (PP) or S2"),
    Rule("button", lambda s, _: s.button, "the button of the connector's latch is pressed"),
    Rule(
        "inlet stale",
        lambda s, c: is_stale(s.inlet_age_s, c.pilot_stale_s),
        "inlet samples have stopped",
    ),
    Rule("no offer", lambda s, _: not s.offered_a >= LOWEST_A, "no AC current is offered"),
    Rule(
        "no on-board charger",
        lambda s, _: not s.onboard_a >= LOWEST_A,
        "this vehicle does not charge from AC ([onboard] maximum_current_a)",
    ),
    Rule(
        "DC contactors",
        lambda s, _: (
            s.contactors_commanded
            or (s.contactors_valid and s.contactors_closed)
            or s.contactor_fault != ""
        ),
        "the DC contactors are not known to be open",
    ),
    HEARTBEAT,
    Rule(
        "phase",
        lambda s, _: s.believed_phase is not Phase.CHARGE,
        "the session is in a phase without power",
        after_s=RAMP_DOWN_S + RAMP_DOWN_S,  # its own end gets its time
    ),
    Rule(
        "battery",
        lambda s, _: not s.battery_ready or is_stale(s.battery_age_s, limits.READING_STALE_S),
        "the battery is not ready, or silent",
    ),
    Rule("S2 open", lambda s, _: not s.s2_closed, "S2 is open", Severity.NO_ENERGY),
)


class Onboard:
    """Turns wishes, the vehicle's snapshot and its pilot into S2 and `SetOnboardCurrent`."""

    def __init__(self, pilot: PevPilot, maximum_a: float, config: InterlockConfig) -> None:
        self.maximum_a = maximum_a
        self.current_a = 0.0
        """What the on-board charger may draw now."""
        self.wanted = False
        self._pilot = pilot
        self._config = config
        self._judge = Judge[VehicleSnapshot](ONBOARD_RULES, config, is_unplugged)
        self._open_at: float | None = None

    @property
    def report(self) -> InterlockReport:
        """What was decided last; the same object as long as nothing changed."""
        return self._judge.report

    @property
    def is_active(self) -> bool:
        """Whether something is wanted, drawn, or about to open."""
        return self.wanted or self.current_a > 0.0 or self._open_at is not None

    def next_timer(self) -> float | None:
        """When S2 opens after a limit of 0."""
        return self._open_at

    def receive_signal(self, signal: S2Request, now: float) -> list[Output]:
        """Take the session's wish; `evaluate` follows."""
        self.wanted = signal.closed
        if signal.closed or not self.current_a:
            self._open_at = None
            return []
        self._open_at = now + RAMP_DOWN_S
        return self._limit(0.0)

    def evaluate(self, seen: VehicleSnapshot, cable_a: float) -> list[Output]:
        """Look at everything known, and obey in the same period; `cable_a` 0: not known."""
        now, pilot = seen.now, self._pilot
        permits = self._judge.judge(seen)
        if HEARTBEAT.is_wrong(seen, self._config) or not seen.offered_a >= LOWEST_A:
            self.wanted = False
        if not permits.close_contactors or not self.wanted:
            return self._let_go(now, at_once=not permits.close_contactors)
        out: list[Output] = []
        if not pilot.s2_closed:
            out += pilot.receive_signal(S2Request(closed=True), now)
        if pilot.s2_closed:
            out += self._limit(min(seen.offered_a, cable_a or seen.offered_a, self.maximum_a))
        return out

    def _let_go(self, now: float, *, at_once: bool) -> list[Output]:
        waits = self._open_at is not None and now < self._open_at
        if waits and not at_once:
            return []
        self._open_at = None
        return self._limit(0.0) + self._pilot.receive_signal(S2Request(closed=False), now)

    def _limit(self, current_a: float) -> list[Output]:
        current_a = round(current_a, 2)
        same = abs(current_a - self.current_a) < LIMIT_STEP_A
        if same and bool(current_a) is bool(self.current_a):
            return []
        self.current_a = current_a
        return [SetOnboardCurrent(current_a)]
