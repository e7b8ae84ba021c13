"""What was on the link: a capture file, and from it the time that every answer took.

Started as a program inside a namespace it writes each frame into a pcap file with the kernel's time
stamp (a busy machine delays this program, not the stamp). The logs of the two sides say what they
think happened; only the link says who was late.
"""

import contextlib
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

SDP_PORT = 15118
V2GTP_MARK = b"\x01\xfe"
V2GTP_HEADER = 8
MAX_PAYLOAD = 65_536

_ETH_P_ALL = 0x0003
_SO_TIMESTAMPNS = 35  # not in the socket module
_PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, MAX_PAYLOAD, 1)  # ns, Ethernet
_ETHERNET, _IPV6 = 14, 40
_TCP, _UDP = 6, 17
_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10


@dataclass(slots=True)
class Exchange:
    """A request on the link and its answer, in seconds since the first frame."""

    request_at: float
    response_at: float | None = None

    @property
    def latency_s(self) -> float | None:
        """How long the answer took; None when there was none."""
        return None if self.response_at is None else self.response_at - self.request_at


@dataclass(slots=True)
class Conversation:
    """One session as the link saw it."""

    sdp_request_at: float | None = None
    sdp_requests: int = 0
    closed_at: float | None = None  # the first FIN or RST
    exchanges: list[Exchange] = field(default_factory=list)

    def waited_s(self, exchange: Exchange) -> float | None:
        """How long the car got or gave for this answer; None: it was still waiting at the end."""
        end = exchange.response_at if exchange.response_at is not None else self.closed_at
        return None if end is None else end - exchange.request_at

    @property
    def duration_s(self) -> float | None:
        """From the first SDP request to the last answer."""
        answered = [e.response_at for e in self.exchanges if e.response_at is not None]
        if self.sdp_request_at is None or not answered:
            return None
        return answered[-1] - self.sdp_request_at


def read_conversation(path: Path) -> Conversation:
    """The conversation of a capture written by this module; empty when nothing was captured."""
    conversation = Conversation()
    tcp = _TcpReader(conversation)
    first_at: float | None = None
    for at, frame in _frames(path):
        first_at = at if first_at is None else first_at
        if len(frame) < _ETHERNET + _IPV6 or frame[12:14] != b"\x86\xdd":
            continue
        packet = frame[_ETHERNET:]
        segment = packet[_IPV6 : _IPV6 + int.from_bytes(packet[4:6], "big")]
        if packet[6] == _UDP and segment[2:4] == SDP_PORT.to_bytes(2, "big"):
            conversation.sdp_requests += 1
            if conversation.sdp_request_at is None:
                conversation.sdp_request_at = at - first_at
        elif packet[6] == _TCP:
            tcp.receive(packet[8:24], packet[24:40], segment, at - first_at)
    return conversation


class _TcpReader:
    """Puts the bytes of a connection in order and notes when each V2GTP message was complete."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._client: tuple[bytes, bytes] | None = None
        self._next: dict[bool, int] = {}
        self._buffer: dict[bool, bytes] = {}

    def receive(self, source: bytes, target: bytes, segment: bytes, now: float) -> None:
        flags, sequence = segment[13], int.from_bytes(segment[4:8], "big")
        if flags & _SYN and not flags & _ACK:
            self._client = (source, segment[0:2])
            self._next = {}
            self._buffer = {True: b"", False: b""}
        if self._client is None:
            return
        from_client = self._client == (source, segment[0:2])
        if not from_client and self._client != (target, segment[2:4]):
            return
        if flags & _SYN:
            self._next[from_client] = (sequence + 1) & 0xFFFFFFFF
            return
        if flags & (_FIN | _RST) and self._conversation.closed_at is None:
            self._conversation.closed_at = now
        data = segment[(segment[12] >> 4) * 4 :]
        seen = (self._next.get(from_client, sequence) - sequence) & 0xFFFFFFFF
        if not data or seen >= len(data):  # nothing new (or a gap, which a veth pair does not make)
            return
        self._next[from_client] = (sequence + len(data)) & 0xFFFFFFFF
        self._buffer[from_client] += data[seen:]
        self._take_messages(from_client, now)

    def _take_messages(self, from_client: bool, now: float) -> None:
        buffer = self._buffer[from_client]
        while len(buffer) >= V2GTP_HEADER and buffer.startswith(V2GTP_MARK):
            length = V2GTP_HEADER + int.from_bytes(buffer[4:8], "big")
            if len(buffer) < length:
                break
            buffer = buffer[length:]
            self._note_message(from_client, now)
        self._buffer[from_client] = buffer

    def _note_message(self, from_client: bool, now: float) -> None:
        exchanges = self._conversation.exchanges
        if from_client:
            exchanges.append(Exchange(now))
        elif exchanges and exchanges[-1].response_at is None:
            exchanges[-1].response_at = now


def _frames(path: Path) -> Iterator[tuple[float, bytes]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    offset = len(_PCAP_HEADER)
    while offset + 16 <= len(content):
        seconds, nanoseconds, length, _ = struct.unpack_from("<IIII", content, offset)
        offset += 16
        yield seconds + nanoseconds / 1e9, content[offset : offset + length]
        offset += length


def capture(interface: str, output: BinaryIO) -> None:
    """Write every frame of the interface until interrupted."""
    output.write(_PCAP_HEADER)
    output.flush()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        tap.bind((interface, 0))
        while True:
            frame, extra, _, _ = tap.recvmsg(MAX_PAYLOAD, 64)
            seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
            for level, kind, stamp in extra:
                if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("@ll", stamp[: struct.calcsize("@ll")])
            output.write(struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)
            output.flush()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt), Path(sys.argv[2]).open("wb") as capture_file:
        capture(sys.argv[1], capture_file)
