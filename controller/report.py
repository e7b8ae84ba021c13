"""What a session was: phases beside their limits, answer times beside their budgets, why it ended.

Fed with the same records as the trace (time, node, direction, signal), live or from a file; knows
nothing of the simulation. `Report.summary` is what `summary.json` holds and the terminal shows.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from controller.cp.timing import T_OFF_AFTER_B_S, T_ON_AFTER_C_S
from controller.signals import (
    AnswerMeasured,
    ConnectionMade,
    ContactorReading,
    ContactorRequest,
    CurrentOffered,
    EvseInputs,
    InterlockReport,
    InterlockTested,
    LinkChanged,
    MessageReceived,
    MessageSent,
    Output,
    PeerMisbehaved,
    PevInputs,
    PilotChanged,
    S2Request,
    SessionEnded,
    SlacMatched,
    StartSdp,
    StartSlac,
    StopRequest,
    V2gEnding,
)
from controller.slac.timing import TT_EVSE_SLAC_INIT_S, TT_MATCH_JOIN_S
from controller.v2g import timing

SAFE_VOLTAGE_V = 60.0
"""Touch-safe DC voltage: the connector may be unlocked below it (Design Guide for CCS, t16)."""


@dataclass(slots=True)
class PhaseTime:
    """One phase: from its first to its last event."""

    name: str
    limit_s: float | None
    began_at: float | None = None
    ended_at: float | None = None

    @property
    def duration_s(self) -> float | None:
        """Seconds, or None while it has not happened."""
        if self.began_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.began_at

    @property
    def within_limit(self) -> bool:
        """Return False only when the phase took longer than allowed."""
        duration = self.duration_s
        return duration is None or self.limit_s is None or duration <= self.limit_s


PHASES = {
    "slac": ("SLAC", TT_EVSE_SLAC_INIT_S),
    "join": ("powerline link", TT_MATCH_JOIN_S),
    "sdp": ("SDP and TCP", timing.SDP_MAX_REQUESTS * timing.SDP_REQUEST_INTERVAL_S),
    "setup": ("plug to session", timing.V2G_EVCC_COMMUNICATION_SETUP_S),
    "parameters": ("parameters", timing.V2G_EVCC_ONGOING_TIMEOUT_S),
    "cable_check": ("cable check", timing.V2G_EVCC_CABLE_CHECK_TIMEOUT_S),
    "pre_charge": ("pre-charge", timing.V2G_EVCC_PRE_CHARGE_TIMEOUT_S),
    "charge": ("charge", None),
    "stop": ("shut-down", timing.V2G_EVCC_ONGOING_TIMEOUT_S),
}
"""Phases of a DC session with the vehicle's limit for each, in order."""

AC_PHASES = {
    "offer": ("plug to offer", None),
    "close": ("close after C", T_ON_AFTER_C_S),
    "supply": ("charge", None),
    "open": ("open after B", T_OFF_AFTER_B_S),
}
"""Phases of an AC session, from plug to the last opening of the contactor."""

AC_SHOWN = ("slac", *AC_PHASES)

MAINS_V = 230.0
"""What an outlet with voltage behind its contactor counts as."""

BEGINS = {
    "ServiceDiscoveryReq": "parameters",
    "CableCheckReq": "cable_check",
    "PreChargeReq": "pre_charge",
    "CurrentDemandReq": "charge",
    "WeldingDetectionReq": "stop",
}
ENDS = {
    "SessionSetupRes": "setup",
    "ChargeParameterDiscoveryRes": "parameters",
    "CableCheckRes": "cable_check",
    "PreChargeRes": "pre_charge",
    "CurrentDemandRes": "charge",
    "SessionStopRes": "stop",
}


BUDGETS = {
    "CurrentDemandRes": timing.V2G_SECC_MSG_PERFORMANCE_CURRENT_DEMAND_S,
    "ServiceDetailRes": timing.V2G_SECC_MSG_PERFORMANCE_LONG_S,
    "PaymentDetailsRes": timing.V2G_SECC_MSG_PERFORMANCE_LONG_S,
}
"""Responses whose budget is not the usual one."""


def budget_s(response: str) -> float:
    """Time the charger has for this response (SECC performance time, ISO 15118-2 Table 109)."""
    return BUDGETS.get(response, timing.V2G_SECC_MSG_PERFORMANCE_S)


@dataclass(slots=True)
class Report:
    """Collects one session; `observe` takes each record."""

    watched: str = "evse"
    """The side whose messages count: the vehicle's only where there is no charger of ours."""
    phases: dict[str, PhaseTime] = field(
        default_factory=lambda: {
            k: PhaseTime(n, limit) for k, (n, limit) in (PHASES | AC_PHASES).items()
        }
    )
    is_ac: bool = False
    """The charger told what its AC inputs see."""
    answers: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Response name -> slowest (computed, waited) seconds."""
    messages: int = 0
    peak_power_w: float = 0.0
    energy_wh: float = 0.0
    soc_percent: float | None = None
    soc_at_start_percent: float | None = None
    reasons: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Side (evse, pev) -> first reason and whether the end was normal."""
    first_cause: str = ""
    """What came first: a stop that someone asked for, a latched fault, an end that a side told."""
    latched: str = ""
    bench_mode: str = ""
    """Why the output was limited to 60 V, loudly; empty with a proved hardware interlock."""
    misbehaved: list[str] = field(default_factory=list)
    contactors_closed: dict[str, bool] = field(default_factory=dict)
    output_voltage_v: float = 0.0
    stopped_at: float | None = None
    _energy_at: float | None = None
    _power_w: float = 0.0

    def observe(self, now: float, node: str, direction: str, item: Any) -> None:  # noqa: ANN401
        """Take one record."""
        handler = HANDLERS.get(type(item))
        if handler is not None:
            handler(self, now, node, item)

    # one handler a signal

    def _charger_inputs(self, now: float, node: str, item: EvseInputs) -> None:
        ac, output = item.ac, item.output
        if ac is not None:
            self._ac_contactors(now, item.contactors)
        self.contactors_closed[side(node)] = item.contactors.closed
        if ac is None:
            self._power(now, output.voltage_v, output.current_a)
        else:
            self._power(now, MAINS_V, ac.power_w / MAINS_V)
            self.output_voltage_v = MAINS_V * ac.live_behind

    def _ac_contactors(self, now: float, contactors: ContactorReading) -> None:
        self.is_ac = True
        if contactors.closed is self.contactors_closed.get("evse", False):
            return
        if contactors.closed:
            self._end_first("close", now)
            self._begin("supply", now)
        else:
            self._end("supply", now)
            self._end("open", now)

    def _pilot(self, now: float, node: str, item: PilotChanged) -> None:
        letter = item.state.letter
        if letter in "BCD":
            self._begin("offer", now)
        if not self.is_ac:
            return
        closed = self.contactors_closed.get("evse", False)
        if letter in "CD" and item.state.value.endswith("2") and not closed:
            self._begin("close", now)
        elif letter == "B" and closed:
            self.phases["open"].began_at = now

    def _offered(self, now: float, node: str, item: CurrentOffered) -> None:
        if item.current_a:
            self._end_first("offer", now)

    def _asks(self, now: float, node: str, item: ContactorRequest | S2Request) -> None:
        asked = item.closed and node.endswith("communication")  # not what a stage wants by itself
        if asked and side(node) in self.reasons:
            del self.reasons[side(node)]  # it begins anew: the end before was none
            self.first_cause = ""

    def _vehicle_inputs(self, now: float, node: str, item: PevInputs) -> None:
        self.contactors_closed[side(node)] = item.contactors.closed
        vehicle = item.vehicle
        if self.watched == "pev":
            self._power(now, vehicle.inlet_voltage_v, vehicle.inlet_current_a)
        self.soc_percent = vehicle.soc_percent
        if self.soc_at_start_percent is None:
            self.soc_at_start_percent = vehicle.soc_percent

    def _power(self, now: float, voltage_v: float, current_a: float) -> None:
        power_w = voltage_v * current_a
        if self._energy_at is not None:
            self.energy_wh += (power_w + self._power_w) / 2 * (now - self._energy_at) / 3600
        self._energy_at, self._power_w = now, power_w
        if power_w > self.peak_power_w:
            self.peak_power_w = power_w
        self.output_voltage_v = voltage_v

    def _interlock(self, now: float, node: str, item: InterlockReport) -> None:
        self.latched = self.latched or item.latched
        self.first_cause = self.first_cause or item.latched

    def _tested(self, now: float, node: str, item: InterlockTested) -> None:
        if item.part == "interlock":
            self.bench_mode = "" if item.ok else item.detail

    def _peer(self, now: float, node: str, item: PeerMisbehaved) -> None:
        self.misbehaved.append(f"{node}: {item.reason}")

    def _ended(self, now: float, node: str, item: SessionEnded) -> None:
        self.reasons.setdefault(side(node), (item.reason, item.normal))
        self.first_cause = self.first_cause or item.reason
        self.stopped_at = now

    def _caused(self, now: float, node: str, item: StopRequest | V2gEnding) -> None:
        if self.phases["setup"].began_at is not None:
            self.first_cause = self.first_cause or item.reason

    def _answer(self, now: float, node: str, item: AnswerMeasured) -> None:
        if side(node) != "evse":
            return
        worst = self.answers.get(item.name, (0.0, 0.0))
        if item.computed_s + item.waited_s >= sum(worst):
            self.answers[item.name] = (item.computed_s, item.waited_s)

    def _begin(self, phase: str, now: float) -> None:
        if self.phases[phase].began_at is None:
            self.phases[phase].began_at = now

    def _end(self, phase: str, now: float) -> None:
        if self.phases[phase].began_at is not None:
            self.phases[phase].ended_at = now

    def _end_first(self, phase: str, now: float) -> None:
        if self.phases[phase].ended_at is None:
            self._end(phase, now)

    def _slac_began(self, now: float, node: str, item: StartSlac) -> None:
        if self.reasons.pop(side(node), None):  # it begins anew: the end before was none
            self.first_cause = ""
        self._begin("slac", now)
        self._begin("setup", now)

    def _slac_ended(self, now: float, node: str, item: SlacMatched) -> None:
        if side(node) == self.watched:
            self._end("slac", now)
            self._begin("join", now)

    def _link(self, now: float, node: str, item: LinkChanged) -> None:
        if item.up:
            self._end("join", now)

    def _sdp_began(self, now: float, node: str, item: StartSdp) -> None:
        self._begin("sdp", now)
        self._begin("setup", now)

    def _connected(self, now: float, node: str, item: ConnectionMade) -> None:
        self._end("sdp", now)

    def _message(self, now: float, node: str, item: MessageReceived | MessageSent) -> None:
        if side(node) != self.watched:
            return
        self.messages += 1
        if item.name in BEGINS:
            self._begin(BEGINS[item.name], now)
        elif item.name in ENDS:
            self._end(ENDS[item.name], now)
        elif item.name == "PowerDeliveryReq" and self.phases["charge"].began_at is not None:
            self._begin("stop", now)

    # results

    @property
    def safe(self) -> bool:
        """All contactors open and the output below 60 V."""
        return not any(self.contactors_closed.values()) and self.output_voltage_v < SAFE_VOLTAGE_V

    def reason(self) -> str:
        """Return why the session ended: what came first, which the rest is a consequence of."""
        return self.first_cause if self.reasons else "the session did not end"

    def slowest(self) -> list[dict[str, Any]]:
        """Return the slowest answer of each budget; without a name where none was asked for."""
        rows = []
        for budget in sorted({*BUDGETS.values(), timing.V2G_SECC_MSG_PERFORMANCE_S}):
            own = {n: sum(parts) for n, parts in self.answers.items() if budget_s(n) == budget}
            name = max(own, key=own.__getitem__, default="")
            rows.append({"name": name, "seconds": own.get(name), "budget_s": budget})
        return rows

    def summary(self, target_soc_percent: float | None = None) -> dict[str, Any]:
        """Everything as plain JSON values."""
        reached = (
            target_soc_percent is not None
            and self.soc_percent is not None
            and self.soc_percent >= target_soc_percent - 0.05
        )
        phases = [
            dataclasses.asdict(p) | {"duration_s": p.duration_s, "within_limit": p.within_limit}
            for key, p in self.phases.items()
            if (key in AC_SHOWN and p.began_at is not None if self.is_ac else key in PHASES)
        ]
        return {
            "reason": self.reason(),
            "reasons": {side: reason for side, (reason, _) in sorted(self.reasons.items())},
            "normal": bool(self.reasons) and all(n for _, n in self.reasons.values()),
            "reached_target": reached,
            "target_soc_percent": target_soc_percent,
            "soc_at_start_percent": self.soc_at_start_percent,
            "soc_percent": self.soc_percent,
            "energy_wh": round(self.energy_wh, 1),
            "peak_power_w": round(self.peak_power_w, 1),
            "mode": "ac" if self.is_ac else "dc",
            "messages": self.messages,
            "phases": phases,
            "slowest_answers": self.slowest(),
            "answers": {
                n: {"computed_s": c, "waited_s": w, "budget_s": budget_s(n)}
                for n, (c, w) in sorted(self.answers.items())
            },
            "ended_safe": self.safe,
            "contactors_closed": dict(sorted(self.contactors_closed.items())),
            "output_voltage_v": round(abs(self.output_voltage_v), 1),
            "latched": self.latched,
            "bench_mode": self.bench_mode,
            "peer_misbehaved": self.misbehaved[:100],
        }


@lru_cache(maxsize=16)
def side(node: str) -> str:
    """Return evse or pev, of a node's name."""
    return node.partition(".")[0]


HANDLERS: dict[type[Output], Any] = {
    EvseInputs: Report._charger_inputs,
    PilotChanged: Report._pilot,
    CurrentOffered: Report._offered,
    ContactorRequest: Report._asks,
    S2Request: Report._asks,
    PevInputs: Report._vehicle_inputs,
    InterlockReport: Report._interlock,
    InterlockTested: Report._tested,
    PeerMisbehaved: Report._peer,
    SessionEnded: Report._ended,
    StopRequest: Report._caused,
    V2gEnding: Report._caused,
    AnswerMeasured: Report._answer,
    StartSlac: Report._slac_began,
    SlacMatched: Report._slac_ended,
    LinkChanged: Report._link,
    StartSdp: Report._sdp_began,
    ConnectionMade: Report._connected,
    MessageReceived: Report._message,
    MessageSent: Report._message,
}
"""What `Report.observe` heeds, and with what; all else may be kept from it."""
