"""The vehicle's side of one V2G connection: connecting, framing, agreement, conversation.

A discovered charger is connected to at exactly the address and port it announced. The first message
offers what we speak (`PROTOCOLS`, one row a protocol, best first); all others belong to the
conversation of the protocol the charger chose, and end the session if they cannot be read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from controller.errors import ExiError
from controller.signals import (
    CloseConnection,
    Connect,
    InletPilotChanged,
    InletReport,
    InterlockReport,
    MessageReceived,
    MessageSent,
    Output,
    PeerMisbehaved,
    SeccDiscovered,
    SendData,
    StopRequest,
    V2gEnded,
)
from controller.v2g import v2gtp
from controller.v2g.evcc_din import DinEvcc
from controller.v2g.evcc_din_requests import EvccConfig
from controller.v2g.messages import din, sap
from controller.v2g.session import V2gSession
from controller.v2g.timing import TCP_CONNECT_TIMEOUT_S, V2G_EVCC_MSG_TIMEOUT_S
from controller.v2g.v2gtp import Deframer, PayloadType

__all__ = ["Evcc", "EvccConfig", "EvccState"]

MAX_RUBBISH = 10
"""Foreign or broken frames that one connection may send."""


class EvccConversation(Protocol):
    """What a protocol's core must be able to do (see `evcc_din.DinEvcc`)."""

    @property
    def state(self) -> Any:  # noqa: ANN401 - each protocol has its own enum
        """Which answer is waited for."""

    def begin(self, session: V2gSession, inlet: InletReport | None, now: float) -> list[Output]:
        """Start a conversation."""

    def receive_data(self, payload: bytes, now: float) -> list[Output]:
        """Take one EXI payload."""

    def connection_lost(self, now: float) -> list[Output]:
        """The connection is gone."""

    def receive_inlet(self, report: InletReport, now: float) -> list[Output]:
        """Take the latest measurement."""

    def receive_pilot(self, plugged: bool, digital: bool, now: float) -> list[Output]:
        """Take the pilot's state."""

    def stop(self, reason: str, now: float) -> list[Output]:
        """End normally."""

    def permit_lost(self, reason: str, now: float) -> list[Output]:
        """The vehicle's interlock opens the contactors: a fault while current may flow."""

    def fail(self, reason: str, now: float) -> list[Output]:
        """End because of a fault."""

    def next_timer(self) -> float | None:
        """Return the next deadline."""

    def handle_timer(self, now: float) -> list[Output]:
        """Act on a deadline."""


@dataclass(frozen=True, slots=True)
class ProtocolRow:
    """A protocol that we offer; its schema id is its place in the table plus one."""

    name: str
    namespace: str
    major: int
    minor: int
    make: Callable[[EvccConfig], EvccConversation]


PROTOCOLS = (  # best first; at most five (widespread chargers refuse more)
    # name  namespace       version  core
    ProtocolRow("din", din.NAMESPACE, 2, 0, DinEvcc),
)


class EvccState(Enum):
    """Of the connection; a conversation has states of its own."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    HANDSHAKE = "handshake"
    SESSION = "session"


_CLOSED = EvccState.CLOSED
_NOT_OPEN = (EvccState.CLOSED, EvccState.CONNECTING)


class Evcc:
    """The vehicle's side of one connection at a time; used again for the next one."""

    def __init__(self, config: EvccConfig) -> None:
        self._conversations = {r.name: r.make(config) for r in PROTOCOLS}
        self._talk: EvccConversation | None = None
        self._connection = EvccState.CLOSED
        self._deframer = Deframer()
        self._session = V2gSession()
        self._rubbish = 0
        self._answer_at: float | None = None
        self._inlet: InletReport | None = None
        self._plugged = True
        self._digital = True
        self._has_permit = False

    @property
    def state(self) -> Enum:
        """The conversation's state while there is one, else the connection's."""
        if self._talk is not None:
            state: Enum = self._talk.state
            return state
        return self._connection

    @property
    def session(self) -> V2gSession:
        """What is remembered of the present or last session."""
        return self._session

    # --- signals

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        """Heed the discovery, the vehicle's reports, the pilot and wishes to stop."""
        if isinstance(signal, InletReport):
            self._inlet = signal
            if self._talk is not None:
                return self._noticing(self._talk.receive_inlet(signal, now))
        elif isinstance(signal, SeccDiscovered):
            return self._connect(signal, now)
        elif isinstance(signal, InletPilotChanged):
            return self._receive_pilot(signal, now)
        elif isinstance(signal, InterlockReport):
            return self._receive_interlock(signal, now)
        elif isinstance(signal, StopRequest):
            if self._talk is not None:
                return self._noticing(self._talk.stop(signal.reason, now))
            if self._connection is not EvccState.CLOSED:
                return self._fail(signal.reason, now, normal=True)
        return []

    def _receive_interlock(self, report: InterlockReport, now: float) -> list[Output]:
        had_permit, self._has_permit = self._has_permit, report.close_contactors
        if self._connection is EvccState.CLOSED:
            return []
        if report.latched:
            return self._fail(report.latched, now)
        if self._talk is None or not had_permit or self._has_permit:
            return []
        reason = report.reasons[0] if report.reasons else "no permit"
        return self._noticing(self._talk.permit_lost(reason, now))

    def _connect(self, secc: SeccDiscovered, now: float) -> list[Output]:
        if self._connection is not EvccState.CLOSED:
            return []  # a second answer to our question
        self._session = V2gSession()
        if secc.tls:
            reason = "charger insists on TLS, which DIN 70121 does not have"
            return [V2gEnded(reason, False)]
        self._connection = EvccState.CONNECTING
        self._answer_at = now + TCP_CONNECT_TIMEOUT_S
        return [Connect(secc.address, secc.port)]

    def _receive_pilot(self, pilot: InletPilotChanged, now: float) -> list[Output]:
        self._plugged, self._digital = pilot.plugged, pilot.digital
        if pilot.fault and self._connection is not EvccState.CLOSED:
            return self._fail(pilot.fault, now)
        if self._talk is not None:
            outputs = self._talk.receive_pilot(pilot.plugged, pilot.digital, now)
            return self._noticing(outputs)
        if self._connection is not EvccState.CLOSED and not pilot.plugged:
            return self._fail("unplugged", now)
        return []

    # --- connection

    def connection_made(self, now: float) -> list[Output]:
        """Offer what we speak."""
        self._deframer = Deframer()
        self._rubbish = 0
        self._connection = EvccState.HANDSHAKE
        self._answer_at = now + V2G_EVCC_MSG_TIMEOUT_S
        offers = tuple(
            sap.AppProtocol(
                protocol_namespace=r.namespace,
                version_number_major=r.major,
                version_number_minor=r.minor,
                schema_id=place,
                priority=place,
            )
            for place, r in enumerate(PROTOCOLS, 1)
        )
        payload = sap.encode(sap.SupportedAppProtocolReq(app_protocol=offers))
        return [
            SendData(v2gtp.encode(PayloadType.EXI, payload)),
            MessageSent("supportedAppProtocolReq", "sap"),
        ]

    def receive_data(self, data: bytes, now: float) -> list[Output]:
        """Take bytes of the connection, split or joined in any way."""
        if self._connection in _NOT_OPEN:
            return []
        deframer = self._deframer
        errors = deframer.errors
        outputs: list[Output] = []
        for message in deframer.receive_data(data):
            if message.payload_type != v2gtp.EXI:
                what = f"V2GTP payload type 0x{message.payload_type:04X} on the V2G connection"
                outputs += self._record_rubbish(what, now)
            elif self._talk is not None:
                outputs += self._noticing(self._talk.receive_data(message.payload, now))
            else:
                outputs += self._shake_hands(message.payload, now)
            if self._is_closed():
                return outputs
        if deframer.errors > errors:
            outputs += self._record_rubbish(str(deframer.last_error), now)
        return outputs

    def connection_lost(self, now: float) -> list[Output]:
        """The charger closed the connection, it broke, or it could not be made."""
        if self._connection is EvccState.CLOSED:
            return []
        if self._talk is not None:
            return self._noticing(self._talk.connection_lost(now))
        refused = self._connection is EvccState.CONNECTING
        reason = "charger refused the connection" if refused else "connection lost in handshake"
        self._session.latch(reason)
        return self._end()

    def _shake_hands(self, payload: bytes, now: float) -> list[Output]:
        try:
            res = sap.decode(payload)
        except ExiError as error:
            reason = f"charger sent an unreadable handshake: {error}"
            return [PeerMisbehaved(str(error), "[V2G2-167]"), *self._fail(reason, now)]
        if not isinstance(res, sap.SupportedAppProtocolRes):
            reason = f"{type(res).__name__} from the charger"
            return [PeerMisbehaved(reason, "[V2G2-167]"), *self._fail(reason, now)]
        outputs: list[Output] = [MessageReceived("supportedAppProtocolRes", "sap")]
        if res.response_code is sap.ResponseCode.Failed_NoNegotiation:
            return outputs + self._fail("charger speaks none of our protocols", now)
        schema_id = res.schema_id
        if schema_id is None and len(PROTOCOLS) == 1:
            schema_id = 1  # it can mean nothing else
        if schema_id is None or not 1 <= schema_id <= len(PROTOCOLS):
            return outputs + self._fail(f"charger chose schema id {schema_id}: not offered", now)
        protocol = PROTOCOLS[schema_id - 1]
        self._session.protocol, self._session.schema_id = protocol.name, schema_id
        self._connection = EvccState.SESSION
        self._answer_at = None
        self._talk = self._conversations[protocol.name]
        outputs += self._talk.begin(self._session, self._inlet, now)
        if not self._digital:
            outputs += self._talk.receive_pilot(self._plugged, self._digital, now)
        return self._noticing(outputs)

    def _record_rubbish(self, reason: str, now: float) -> list[Output]:
        self._rubbish += 1
        outputs: list[Output] = [PeerMisbehaved(reason, "ISO 15118-2 Table 10")]
        if self._rubbish >= MAX_RUBBISH:
            outputs += self._fail(f"{self._rubbish} frames that are no V2G messages", now)
        return outputs

    def _fail(self, reason: str, now: float, *, normal: bool = False) -> list[Output]:
        if self._talk is not None:
            return self._noticing(self._talk.fail(reason, now))
        self._session.latch(reason, normal=normal)
        return [CloseConnection(self._session.stop_reason), *self._end()]

    def _end(self) -> list[Output]:
        """End a connection on which no conversation began."""
        self._close()
        return [V2gEnded(self._session.stop_reason, self._session.normal)]

    def _noticing(self, outputs: list[Output]) -> list[Output]:
        """Forget the connection when the conversation reports its end."""
        if outputs and V2gEnded in map(type, outputs):
            self._close()
        return outputs

    def _is_closed(self) -> bool:
        return self._connection is _CLOSED

    def _close(self) -> None:
        self._connection = EvccState.CLOSED
        self._talk = None
        self._answer_at = None

    # --- time

    def next_timer(self) -> float | None:
        """Return the earliest of the handshake's time and the conversation's deadlines."""
        answer_at, at = self._answer_at, None if self._talk is None else self._talk.next_timer()
        if at is None or (answer_at is not None and answer_at < at):
            return answer_at
        return at

    def handle_timer(self, now: float) -> list[Output]:
        """Act on what has become due."""
        if self._answer_at is not None and now >= self._answer_at:
            self._answer_at = None
            connecting = self._connection is EvccState.CONNECTING
            what = "the connection" if connecting else "supportedAppProtocolReq"
            return self._fail(f"charger did not answer {what} in time", now)
        if self._talk is None:
            return []
        return self._noticing(self._talk.handle_timer(now))
