"""Raw Ethernet socket to a modem on a network interface (HomePlug ethertype 0x88E1 only).

The interface is never made promiscuous, and a filter in the kernel drops what is not for us before
it costs anything: other ethertypes, frames with a VLAN tag (nobody on a pilot line sends one in
good faith), and, where somebody else has made the interface promiscuous, frames for other stations.
The socket is bound before it receives anything: one that is opened for an ethertype hears every
interface until it is bound.

Every frame carries the time at which it arrived: by the network card's clock where its driver
offers that, else by the kernel's. `received_at_ns` has it for the last frame.
"""

from __future__ import annotations

import errno
import socket
import struct
from ctypes import addressof, create_string_buffer
from typing import TYPE_CHECKING

from controller.errors import PortError
from controller.plc.wire import ETHERTYPE

if TYPE_CHECKING:
    from collections.abc import Sequence

RECEIVE_SIZE = 2048
ANCILLARY_SIZE = 256
PACKET_OTHERHOST, PACKET_OUTGOING = 3, 4
"""Linux marks frames for other stations, and frames that this host sent itself, so
(linux/if_packet.h); neither are the modem's."""

SO_ATTACH_FILTER = 26
SO_TIMESTAMPING = 37
"""Linux, asm-generic/socket.h."""
RX_HARDWARE, RX_SOFTWARE, SOFTWARE, RAW_HARDWARE = 1 << 2, 1 << 3, 1 << 4, 1 << 6
"""SOF_TIMESTAMPING_* (linux/net_tstamp.h)."""
TIMESTAMPS = struct.Struct("@qqqqqq")
"""struct scm_timestamping: by the kernel, (unused), by the card; seconds and nanoseconds each."""

LOAD_HALF, LOAD_BYTE, JUMP_EQUAL, RETURN = 0x28, 0x30, 0x15, 0x06
ANCILLARY_PACKET_TYPE, ANCILLARY_VLAN = 0xFFFFF004, 0xFFFFF030
"""Classic BPF: what the kernel knows about a packet beside its bytes (linux/filter.h)."""
DROP, KEEP = 0, 0x40000
FILTER = (
    (LOAD_HALF, 0, 0, 12),  # ethertype
    (JUMP_EQUAL, 0, 5, ETHERTYPE),
    (LOAD_BYTE, 0, 0, ANCILLARY_VLAN),
    (JUMP_EQUAL, 0, 3, 0),
    (LOAD_BYTE, 0, 0, ANCILLARY_PACKET_TYPE),
    (JUMP_EQUAL, 1, 0, PACKET_OTHERHOST),
    (RETURN, 0, 0, KEEP),
    (RETURN, 0, 0, DROP),
)
"""(code, steps when true, steps when false, operand) of each instruction."""


class AfPacketLink:
    """A FrameLink on one interface, as `eth1`; needs CAP_NET_RAW."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.received_at_ns: int | None = None
        """When the last frame arrived, in nanoseconds since 1970; None: not known."""
        try:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # 0: nothing before `bind`
        except PermissionError as e:
            raise PortError(
                f"{interface}: raw Ethernet needs the capability CAP_NET_RAW: run as root, or from "
                "the systemd unit, which grants it"
            ) from e
        try:
            _attach_filter(sock)
            _ask_for_times(sock)
            sock.bind((interface, ETHERTYPE))
        except OSError as e:
            sock.close()
            raise PortError(_why_not_bound(interface, e)) from e
        sock.setblocking(False)
        self._socket = sock
        self.mac: bytes = sock.getsockname()[4]

    def fileno(self) -> int:
        """File descriptor that is readable when a frame waits."""
        return self._socket.fileno()

    def send(self, frame: bytes) -> None:
        """Send one frame without FCS. Raises PortError."""
        try:
            self._socket.send(frame)
        except OSError as e:
            raise PortError(_why_not_sent(self.interface, e)) from e

    def receive(self) -> bytes | None:
        """Next waiting frame of somebody else, or None. Raises PortError when the link is gone."""
        while True:
            try:
                frame, extra, _, address = self._socket.recvmsg(RECEIVE_SIZE, ANCILLARY_SIZE)
            except BlockingIOError:
                return None
            except OSError as e:
                raise PortError(_why_not_sent(self.interface, e)) from e
            if address[2] not in (PACKET_OUTGOING, PACKET_OTHERHOST):
                self.received_at_ns = arrival_ns(extra)
                return frame

    def close(self) -> None:
        """Release the link; closing twice is allowed."""
        self._socket.close()


def arrival_ns(extra: Sequence[tuple[int, int, bytes]]) -> int | None:
    """Read when a frame arrived from what the kernel gave with it: the card's time comes first."""
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPING) and len(data) >= TIMESTAMPS.size:
            kernel_s, kernel_ns, _, _, card_s, card_ns = TIMESTAMPS.unpack_from(data)
            card = card_s * 10**9 + card_ns
            return card or kernel_s * 10**9 + kernel_ns or None
    return None


def _attach_filter(sock: socket.socket) -> None:
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in FILTER)
    memory = create_string_buffer(program, len(program))  # the kernel copies it during the call
    where = struct.pack("@HP", len(FILTER), addressof(memory))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, where)


def _ask_for_times(sock: socket.socket) -> None:
    wanted = RX_HARDWARE | RAW_HARDWARE | RX_SOFTWARE | SOFTWARE
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, wanted)
    except OSError:
        return  # an old kernel: frames come without times


def _why_not_bound(interface: str, error: OSError) -> str:
    if error.errno == errno.ENODEV:
        present = ", ".join(sorted(name for _, name in socket.if_nameindex()))
        return f"{interface}: no such network interface (there are: {present})"
    return f"{interface}: {error.strerror}"


def _why_not_sent(interface: str, error: OSError) -> str:
    if error.errno == errno.ENETDOWN:
        return f"{interface}: the interface is down: ip link set {interface} up"
    if error.errno in (errno.ENODEV, errno.ENXIO):
        return f"{interface}: the interface is gone: is the modem unplugged?"
    return f"{interface}: {error.strerror}"
