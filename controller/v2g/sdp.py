"""SDP: how the vehicle finds the charger's address and port (ISO 15118-2 7.10, DIN 70121 8.7).

The vehicle asks the link-local multicast group every 250 ms, at most 50 times; the charger answers
to the sender. Three things real equipment taught:

* the announced port is used as it is: chargers announce 15118 and 30000, too, although the standard
  reserves 49152 to 65535;
* the charger answers "no TLS" at once, also to a car that asks for TLS: cars accept it, and one
  left without an answer asks for 12 s before it tries without;
* a charger may answer twice: the first answer counts.
"""

import struct
from dataclasses import dataclass
from enum import Enum

from controller.errors import WireError
from controller.signals import (
    Address,
    Output,
    PeerMisbehaved,
    SdpFailed,
    SeccDiscovered,
    SendDatagram,
    StartSdp,
    StopSdp,
)
from controller.v2g import v2gtp
from controller.v2g.timing import SDP_MAX_REQUESTS, SDP_REQUEST_INTERVAL_S
from controller.v2g.v2gtp import PayloadType

SDP_PORT = 15118  # [V2G2-125] UDP port of the SDP server
SDP_GROUP = "ff02::1"  # [V2G2-139] all nodes of the link
SECURITY_TLS = 0x00  # ISO 15118-2 Table 16
SECURITY_NONE = 0x10
TRANSPORT_TCP = 0x00

_REQUEST = struct.Struct(">BB")  # security, transport protocol (Table 15)
_RESPONSE = struct.Struct(">16sHBB")  # address, port, security, transport protocol (Table 16)


@dataclass(frozen=True, slots=True)
class SdpRequest:
    """SECC discovery request."""

    security: int
    transport: int


@dataclass(frozen=True, slots=True)
class SdpResponse:
    """SECC discovery response; `address` is an IPv6 address of 16 bytes."""

    address: bytes
    port: int
    security: int
    transport: int


def encode_request(security: int = SECURITY_NONE) -> bytes:
    """Return the datagram that asks for a charger."""
    return v2gtp.encode(PayloadType.SDP_REQUEST, _REQUEST.pack(security, TRANSPORT_TCP))


def encode_response(address: bytes, port: int, security: int = SECURITY_NONE) -> bytes:
    """Return the datagram that announces address (16 bytes) and port."""
    payload = _RESPONSE.pack(address, port, security, TRANSPORT_TCP)
    return v2gtp.encode(PayloadType.SDP_RESPONSE, payload)


def parse(datagram: bytes) -> SdpRequest | SdpResponse:
    """Return the request or response in a datagram. Raises WireError."""
    message = v2gtp.parse(datagram)
    if message.payload_type == PayloadType.SDP_REQUEST:
        if len(message.payload) != _REQUEST.size:
            msg = f"SDP: request of {len(message.payload)} bytes instead of {_REQUEST.size}"
            raise WireError(msg)
        return SdpRequest(*_REQUEST.unpack(message.payload))
    if message.payload_type == PayloadType.SDP_RESPONSE:
        if len(message.payload) != _RESPONSE.size:
            msg = f"SDP: response of {len(message.payload)} bytes instead of {_RESPONSE.size}"
            raise WireError(msg)
        return SdpResponse(*_RESPONSE.unpack(message.payload))
    msg = f"SDP: payload type 0x{message.payload_type:04X}"
    raise WireError(msg)


class SdpServer:
    """Charger: answers discovery requests while started; silent before and after."""

    def __init__(self, address: bytes, port: int) -> None:
        if len(address) != 16:
            msg = f"SDP: an IPv6 address has 16 bytes, not {len(address)}"
            raise ValueError(msg)
        self._response = encode_response(address, port)
        self.state = SdpState.IDLE
        self.ignored = 0
        """Datagrams that were no discovery request."""
        self.answered = 0

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        """Heed StartSdp and StopSdp."""
        if isinstance(signal, StartSdp):
            self.state = SdpState.ACTIVE
        elif isinstance(signal, StopSdp):
            self.state = SdpState.IDLE
        return []

    def receive_data(self, data: bytes, from_address: Address, now: float) -> list[Output]:
        """Answer a request to its sender: our address, our port, no TLS, TCP."""
        try:
            request = parse(data)
        except WireError:
            self.ignored += 1
            return []
        if not isinstance(request, SdpRequest):
            self.ignored += 1
            return []
        if self.state is not SdpState.ACTIVE:
            return []
        self.answered += 1
        return [SendDatagram(self._response, from_address)]

    def handle_timer(self, now: float) -> list[Output]:
        """Do nothing: a server only answers."""
        return []

    def next_timer(self) -> float | None:
        """Return None: a server has no timer."""
        return None


class SdpState(Enum):
    """Whether we ask or answer."""

    IDLE = "idle"
    ACTIVE = "active"


class SdpClient:
    """Vehicle: asks every 250 ms until a charger answers, at most 50 times."""

    def __init__(self) -> None:
        self.state = SdpState.IDLE
        self.requests = 0
        self.ignored = 0
        """Datagrams that were no usable discovery response."""
        self._ask_at = 0.0

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        """Heed StartSdp (asks at once, from the beginning) and StopSdp."""
        if isinstance(signal, StartSdp):
            self.state = SdpState.ACTIVE
            self.requests = 0
            return self._ask(now)
        if isinstance(signal, StopSdp):
            self.state = SdpState.IDLE
        return []

    def receive_data(self, data: bytes, from_address: Address, now: float) -> list[Output]:
        """Take the first usable answer; address and port are used as announced."""
        if self.state is not SdpState.ACTIVE:
            return []
        try:
            response = parse(data)
        except WireError as error:
            self.ignored += 1
            return [PeerMisbehaved(str(error))]
        if not isinstance(response, SdpResponse):  # our own multicast, or another vehicle's
            self.ignored += 1
            return []
        if response.port == 0 or response.transport != TRANSPORT_TCP:
            self.ignored += 1
            reason = f"SDP: port {response.port}, transport 0x{response.transport:02X}"
            return [PeerMisbehaved(reason, "ISO 15118-2 Table 16")]
        self.state = SdpState.IDLE
        tls = response.security == SECURITY_TLS
        return [SeccDiscovered(response.address, response.port, tls)]

    def handle_timer(self, now: float) -> list[Output]:
        """Ask again, or give up after the last request's 250 ms."""
        if self.state is not SdpState.ACTIVE or now < self._ask_at:
            return []
        if self.requests >= SDP_MAX_REQUESTS:
            self.state = SdpState.IDLE
            return [SdpFailed(f"no charger answered {self.requests} discovery requests")]
        return self._ask(now)

    def next_timer(self) -> float | None:
        """When to ask again."""
        return self._ask_at if self.state is SdpState.ACTIVE else None

    def _ask(self, now: float) -> list[Output]:
        self.requests += 1
        self._ask_at = now + SDP_REQUEST_INTERVAL_S
        return [SendDatagram(encode_request(), None)]
