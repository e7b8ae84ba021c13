"""The charger's side of one V2G connection: framing, agreement on a protocol, conversation.

Bytes go through the deframer; the first message agrees on a protocol (supportedAppProtocol); all
others go to the conversation of that protocol. `PROTOCOLS` lists what we speak: one row a protocol.
Signals from the power stage, the pilot and the station are kept here, so that a conversation starts
with what is known, and passed on.

What is no message of ours: a foreign payload type or rubbish between frames is recorded and
ignored, ten times at most (stray segments of an older connection do occur); a message that cannot
be decoded is recorded and ends the session. Neither ever raises.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Protocol

from controller.errors import ExiError
from controller.signals import (
    Authorised,
    CloseConnection,
    EmergencyStop,
    InterlockReport,
    MessageReceived,
    MessageSent,
    Output,
    PeerMisbehaved,
    PilotChanged,
    PowerEnvelope,
    PowerReport,
    SendData,
    StopRequest,
    V2gEnded,
)
from controller.v2g import v2gtp
from controller.v2g.messages import din, sap
from controller.v2g.secc_din import DinSecc
from controller.v2g.session import SeccSession, Stop
from controller.v2g.timing import (
    SECC_DISCONNECT_WAIT_S,
    SECC_STOP_PATIENCE_S,
    V2G_SECC_COMMUNICATION_SETUP_S,
)
from controller.v2g.v2gtp import Deframer, PayloadType

MAX_RUBBISH = 10
"""Foreign or broken frames that one connection may send."""


@dataclass(frozen=True, slots=True)
class SeccConfig:
    """What the charger says about itself."""

    nameplate: PowerEnvelope | None = None
    """Bounds what the power stage reports; None: its report alone counts."""
    evse_id: bytes = b"\x00"  # most chargers send just this in DIN
    free_service: bool = True
    authorisation_needed: bool = False
    stop_patience_s: float = SECC_STOP_PATIENCE_S


class SeccConversation(Protocol):
    """What a protocol's core must be able to do (see `secc_din.DinSecc`)."""

    session: SeccSession
    limits: PowerEnvelope

    @property
    def state(self) -> Any:  # noqa: ANN401 - each protocol has its own enum
        """What is expected next."""

    def begin(self, session: SeccSession, now: float) -> list[Output]:
        """Start a conversation."""

    def receive_data(self, payload: bytes, now: float) -> list[Output]:
        """Answer one EXI payload."""

    def connection_lost(self, now: float) -> list[Output]:
        """The connection is gone."""

    def receive_report(self, report: PowerReport, now: float) -> list[Output]:
        """Take the latest measurement."""

    def receive_pilot(self, pilot: PilotChanged, now: float) -> list[Output]:
        """Take the pilot's state."""

    def stop(self, reason: str, patience_s: float, now: float) -> list[Output]:
        """Ask the vehicle to end."""

    def abort(self, stop: Stop, reason: str, now: float) -> list[Output]:
        """Switch off now and let the vehicle know."""

    def permit_lost(self, reason: str, now: float) -> list[Output]:
        """The interlock took the power away: a fault, unless it was on its way out anyhow."""

    def fail(self, reason: str, now: float) -> None:
        """Switch off and close at once."""

    def drain(self) -> list[Output]:
        """Take the collected outputs."""

    def next_timer(self) -> float | None:
        """Return the next deadline."""

    def handle_timer(self, now: float) -> list[Output]:
        """Act on a deadline."""


@dataclass(frozen=True, slots=True)
class ProtocolRow:
    """A protocol that we speak: how the vehicle names it, and who speaks it."""

    name: str
    namespace: str
    major: int
    minor: int
    make: Callable[[Callable[[int], bytes]], SeccConversation]


PROTOCOLS = (
    # name  namespace       version  core
    ProtocolRow("din", din.NAMESPACE, 2, 0, DinSecc),
)


class SeccState(Enum):
    """Of the connection; a conversation has states of its own."""

    CLOSED = "closed"
    HANDSHAKE = "handshake"
    SESSION = "session"
    REFUSED = "refused"  # no common protocol: told, waiting for the vehicle to close


_CLOSED, _HANDSHAKE = SeccState.CLOSED, SeccState.HANDSHAKE


def choose(
    offers: tuple[sap.AppProtocol, ...], rows: tuple[ProtocolRow, ...] = PROTOCOLS
) -> tuple[sap.AppProtocol, ProtocolRow] | None:
    """Return the vehicle's best offer that we speak: same namespace and major version.

    Priority 1 is best. The minor version may differ ([V2G2-172]: "minor deviation").
    """
    for offer in sorted(offers, key=lambda offer: offer.priority):
        for r in rows:
            if (offer.protocol_namespace, offer.version_number_major) == (r.namespace, r.major):
                return offer, r
    return None


class Secc:
    """The charger's side of one connection at a time; used again for the next one."""

    def __init__(self, config: SeccConfig | None, rng: Callable[[int], bytes]) -> None:
        """`rng(n)` returns n random bytes; session ids come from it."""
        config = config or SeccConfig()
        self._config = config
        self._conversations = {r.name: r.make(rng) for r in PROTOCOLS}
        self._talk: SeccConversation | None = None
        self._connection = SeccState.CLOSED
        self._deframer = Deframer()
        self._session = SeccSession()
        self._rubbish = 0
        self._setup_at: float | None = None
        self._report: PowerReport | None = None
        self._pilot: PilotChanged | None = None
        self._interlock: InterlockReport | None = None
        self._wish: tuple[Stop, str] = (Stop.NONE, "")
        self._authorised = not config.authorisation_needed
        self._limits = config.nameplate or PowerEnvelope(0.0, 0.0, 0.0, 0.0, 0.0)

    @property
    def state(self) -> Enum:
        """The conversation's state while there is one, else the connection's."""
        if self._connection is SeccState.SESSION and self._talk is not None:
            state: Enum = self._talk.state
            return state
        return self._connection

    @property
    def session(self) -> SeccSession:
        """What is remembered of the present or last session."""
        return self._session

    # --- connection

    def connection_made(self, now: float) -> list[Output]:
        """Expect a vehicle to speak first, within 18 s [V2G2-714]; an earlier session is over."""
        outputs: list[Output] = []
        if self._talk is not None:
            outputs += self._noticing(self._talk.connection_lost(now))
        if self._talk is not None:
            outputs += self._fail("vehicle connected anew", now)
        self._deframer = Deframer()
        self._rubbish = 0
        self._talk = None
        self._connection = SeccState.HANDSHAKE
        self._setup_at = now + V2G_SECC_COMMUNICATION_SETUP_S
        self._session = SeccSession(
            evse_id=self._config.evse_id,
            free_service=self._config.free_service,
            authorised=self._authorised,
            report=self._report,
            pilot_ready=self._pilot is not None and self._pilot.state.letter in "CD",
            withheld=_why_withheld(self._interlock),
        )
        return outputs

    def receive_data(self, data: bytes, now: float) -> list[Output]:
        """Take bytes of the connection, split or joined in any way."""
        if self._connection is _CLOSED:
            return []
        deframer = self._deframer
        errors = deframer.errors
        outputs: list[Output] = []
        for message in deframer.receive_data(data):
            outputs += self._receive_message(message, now)
            if self._is_closed():
                return outputs
        if deframer.errors > errors:
            outputs += self._record_rubbish(str(deframer.last_error), now)
        return outputs

    def connection_lost(self, now: float) -> list[Output]:
        """The vehicle closed the connection, or it broke."""
        if self._connection is SeccState.CLOSED:
            return []
        if self._talk is not None:
            return self._noticing(self._talk.connection_lost(now))
        self._session.latch("connection lost before a protocol was agreed")
        return self._end()

    def _receive_message(self, message: v2gtp.V2gtpMessage, now: float) -> list[Output]:
        if message.payload_type != v2gtp.EXI:
            reason = f"V2GTP payload type 0x{message.payload_type:04X} on the V2G connection"
            return self._record_rubbish(reason, now)
        if self._connection is _HANDSHAKE:
            return self._shake_hands(message.payload, now)
        if self._talk is None:
            return []
        outputs = self._noticing(self._talk.receive_data(message.payload, now))
        if self._session.session_id:
            self._setup_at = None
        return outputs

    def _shake_hands(self, payload: bytes, now: float) -> list[Output]:
        try:
            req = sap.decode(payload)
        except ExiError as error:
            reason = f"vehicle sent an unreadable handshake: {error}"
            return [PeerMisbehaved(str(error), "[V2G2-167]"), *self._fail(reason, now)]
        if not isinstance(req, sap.SupportedAppProtocolReq):
            reason = f"{type(req).__name__} from the vehicle"
            return [PeerMisbehaved(reason, "[V2G2-167]"), *self._fail(reason, now)]
        outputs: list[Output] = [MessageReceived("supportedAppProtocolReq", "sap")]
        chosen = choose(req.app_protocol)
        if chosen is None:
            names = ", ".join(
                f"{offer.protocol_namespace} {offer.version_number_major}"
                f".{offer.version_number_minor}"
                for offer in req.app_protocol
            )
            self._session.latch(f"no common protocol; the vehicle offers {names}")
            self._connection = SeccState.REFUSED
            self._setup_at = now + SECC_DISCONNECT_WAIT_S
            return outputs + _sap_answer(sap.ResponseCode.Failed_NoNegotiation, None)
        offer, protocol = chosen
        code = sap.ResponseCode.OK_SuccessfulNegotiation
        if offer.version_number_minor != protocol.minor:
            code = sap.ResponseCode.OK_SuccessfulNegotiationWithMinorDeviation
        self._session.protocol, self._session.schema_id = protocol.name, offer.schema_id
        self._connection = SeccState.SESSION
        self._talk = self._conversations[protocol.name]
        self._talk.limits = self._limits
        outputs += _sap_answer(code, offer.schema_id)
        outputs += self._talk.begin(self._session, now)
        return outputs + self._tell_wishes(now)

    def _record_rubbish(self, reason: str, now: float) -> list[Output]:
        self._rubbish += 1
        outputs: list[Output] = [PeerMisbehaved(reason, "ISO 15118-2 Table 10")]
        if self._rubbish >= MAX_RUBBISH:
            outputs += self._fail(f"{self._rubbish} frames that are no V2G messages", now)
        return outputs

    def _fail(self, reason: str, now: float) -> list[Output]:
        """Switch off and close at once."""
        if self._talk is not None:
            self._talk.fail(reason, now)
            return self._noticing(self._talk.drain())
        self._session.latch(reason)
        return [CloseConnection(self._session.stop_reason), *self._end()]

    def _end(self) -> list[Output]:
        """End a connection on which no conversation began."""
        self._close()
        return [V2gEnded(self._session.stop_reason, False)]

    def _noticing(self, outputs: list[Output]) -> list[Output]:
        """Forget the connection when the conversation reports its end."""
        if outputs and V2gEnded in map(type, outputs):
            self._close()
        return outputs

    def _is_closed(self) -> bool:
        return self._connection is _CLOSED

    def _close(self) -> None:
        self._connection = SeccState.CLOSED
        self._talk = None
        self._setup_at = None

    # --- signals

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        """Heed reports, the pilot, and wishes to stop; others are ignored."""
        if isinstance(signal, PowerReport):
            return self._receive_report(signal, now)
        if isinstance(signal, PilotChanged):
            return self._receive_pilot(signal, now)
        if isinstance(signal, InterlockReport):
            return self._receive_interlock(signal, now)
        if isinstance(signal, Authorised):
            self._authorised = self._session.authorised = True
        elif isinstance(signal, StopRequest):
            if self._pilot is None or self._pilot.state.letter != "A":  # the next one is not meant
                return self._wish_for(Stop.SHUTDOWN, signal.reason, now)
        elif isinstance(signal, EmergencyStop):
            return self._wish_for(Stop.EMERGENCY, signal.reason, now)
        return []

    def _receive_report(self, report: PowerReport, now: float) -> list[Output]:
        last, self._report = self._report, report
        if last is None or report.envelope != last.envelope:
            nameplate = self._config.nameplate
            self._limits = _lesser(nameplate, report.envelope) if nameplate else report.envelope
        if self._talk is None:
            self._session.report = report
            return []
        self._talk.limits = self._limits
        return self._noticing(self._talk.receive_report(report, now))

    def _receive_pilot(self, pilot: PilotChanged, now: float) -> list[Output]:
        self._pilot = pilot
        outputs: list[Output] = []
        if self._talk is None:
            self._session.pilot_ready = pilot.state.letter in "CD"
        if self._talk is not None:
            outputs = self._noticing(self._talk.receive_pilot(pilot, now))
        elif pilot.state.letter == "A" and self._connection is not SeccState.CLOSED:
            outputs = self._fail("vehicle unplugged", now)
        if pilot.state.letter == "A":  # the next vehicle starts afresh
            self._wish = (Stop.NONE, "")
            self._authorised = not self._config.authorisation_needed
        return outputs

    def _receive_interlock(self, report: InterlockReport, now: float) -> list[Output]:
        before, self._interlock = self._interlock, report
        self._session.withheld = _why_withheld(report)
        outputs = self._tell_interlock(now)
        lost = before is not None and before.close_contactors and not report.close_contactors
        if self._talk is not None and lost:
            outputs += self._noticing(self._talk.permit_lost(self._session.withheld, now))
        return outputs

    def _wish_for(self, stop: Stop, reason: str, now: float) -> list[Output]:
        if stop > self._wish[0]:
            self._wish = (stop, reason)
        return self._tell_wishes(now)

    def _tell_wishes(self, now: float) -> list[Output]:
        """Tell the conversation to end if someone wants that; a new one learns it at once."""
        outputs = self._tell_interlock(now)
        stop, reason = self._wish
        if self._talk is None or stop is Stop.NONE:
            return outputs
        if stop is Stop.SHUTDOWN:
            return outputs + self._talk.stop(reason, self._config.stop_patience_s, now)
        return outputs + self._noticing(self._talk.abort(stop, reason, now))

    def _tell_interlock(self, now: float) -> list[Output]:
        report = self._interlock
        if self._talk is None or report is None or not report.latched:
            return []
        stop = Stop.EMERGENCY if report.emergency else Stop.MALFUNCTION
        return self._noticing(self._talk.abort(stop, report.latched, now))

    # --- time

    def next_timer(self) -> float | None:
        """Return the earliest of the set-up time and the conversation's deadlines."""
        setup_at, at = self._setup_at, None if self._talk is None else self._talk.next_timer()
        if at is None or (setup_at is not None and setup_at < at):
            return setup_at
        return at

    def handle_timer(self, now: float) -> list[Output]:
        """Act on what has become due."""
        if self._setup_at is not None and now >= self._setup_at:
            self._setup_at = None
            return self._fail("communication setup took too long [V2G2-714]", now)
        if self._talk is None:
            return []
        return self._noticing(self._talk.handle_timer(now))


def _why_withheld(report: InterlockReport | None) -> str:
    if report is None or report.close_contactors or not report.reasons:
        return ""
    return report.reasons[0]


def _sap_answer(code: sap.ResponseCode, schema_id: int | None) -> list[Output]:
    payload = sap.encode(sap.SupportedAppProtocolRes(response_code=code, schema_id=schema_id))
    return [
        SendData(v2gtp.encode(PayloadType.EXI, payload)),
        MessageSent("supportedAppProtocolRes", "sap", code.value),
    ]


def _lesser(nameplate: PowerEnvelope, reported: PowerEnvelope) -> PowerEnvelope:
    """Return what holds of both; the nameplate of a charger that reports nothing is not offered.

    Bench mode is below the nameplate's lowest voltage: then the reported one counts.
    """
    lowest_v = max(nameplate.minimum_voltage_v, reported.minimum_voltage_v)
    highest_v = min(nameplate.maximum_voltage_v, reported.maximum_voltage_v)
    return replace(
        nameplate,
        minimum_voltage_v=lowest_v if lowest_v <= highest_v else reported.minimum_voltage_v,
        maximum_voltage_v=highest_v,
        minimum_current_a=max(nameplate.minimum_current_a, reported.minimum_current_a),
        maximum_current_a=min(nameplate.maximum_current_a, reported.maximum_current_a),
        maximum_power_w=min(nameplate.maximum_power_w, reported.maximum_power_w),
    )
