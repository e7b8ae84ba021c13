"""The kernel's IPv6 stack behind `port`: SDP over UDP, and one TCP connection; never blocking.

On a real charger or car all traffic is link-local on one interface (`interface="eth1"`): addresses
are fe80::..., SDP goes to the multicast group ff02::1. With `interface=None` everything happens on
the loopback ::1 instead, where SDP is unicast: for trying things out without privileges.
"""

import errno
import os
import secrets
import socket
import struct
from pathlib import Path

from controller.errors import PortError
from controller.signals import Address
from controller.v2g.sdp import SDP_GROUP, SDP_PORT

FIRST_PORT, LAST_PORT = 49152, 65535  # [V2G2-129] dynamic ports; some vehicles check it
LOOPBACK = "::1"
_MAX_DATAGRAM = 2048
_READ = 65536
_IF_INET6 = Path("/proc/net/if_inet6")
_TENTATIVE = 0x40  # IFA_F_TENTATIVE: duplicate address detection is not done yet
_AGAIN = (errno.EAGAIN, errno.EINPROGRESS, errno.EALREADY)

_KernelAddress = tuple[str, int, int, int]


def scope_of(interface: str | None) -> int:
    """Return the interface's index, 0 for the loopback mode. Raises PortError."""
    if interface is None:
        return 0
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        names = ", ".join(sorted(name for _, name in socket.if_nameindex()))
        msg = f"network interface {interface} does not exist; there are {names}"
        raise PortError(msg) from error


def own_address(interface: str | None) -> bytes:
    """Return our link-local address, 16 bytes, ::1 in loopback mode. Raises PortError.

    Without carrier there is none; after the link came up duplicate address detection takes one to
    two seconds.
    """
    if interface is None:
        return socket.inet_pton(socket.AF_INET6, LOOPBACK)
    scope_of(interface)
    tentative = False
    for line in _IF_INET6.read_text().splitlines():
        address, _, _, _, flags, name = line.split()
        if name == interface and address.startswith("fe80"):
            if not int(flags, 16) & _TENTATIVE:
                return bytes.fromhex(address)
            tentative = True
    why = "is still being checked for duplicates" if tentative else "is missing: is the link up?"
    msg = f"the link-local IPv6 address of {interface} {why}"
    raise PortError(msg)


class UdpSocket:
    """A `DatagramSocket`; made by `open_sdp_server` or `open_sdp_client`."""

    def __init__(self, sock: socket.socket, group: _KernelAddress, scope: int) -> None:
        self._socket: socket.socket | None = sock
        self._group = group
        self._scope = scope
        self.port: int = sock.getsockname()[1]

    def fileno(self) -> int:
        """File descriptor that is readable when a datagram waits; -1 once closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def send(self, data: bytes, to: Address | None) -> None:
        """Send one datagram; `to=None` is the SDP multicast group. Raises PortError.

        A full or absent way is no error: a datagram may be lost, and the vehicle asks again.
        """
        if self._socket is None:
            raise PortError("SDP socket is closed")
        where = self._group if to is None else _kernel_address(to, self._scope)
        try:
            self._socket.sendto(data, where)
        except OSError as error:
            lossy = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENOBUFS, errno.ENETDOWN)
            if error.errno not in (*lossy, *_AGAIN, errno.ECONNREFUSED, errno.EADDRNOTAVAIL):
                raise PortError(f"SDP datagram not sent: {error.strerror}") from error

    def receive(self) -> tuple[bytes, Address] | None:
        """Next waiting datagram of our interface and its sender, or None. Raises PortError."""
        if self._socket is None:
            raise PortError("SDP socket is closed")
        while True:
            try:
                data, sender = self._socket.recvfrom(_MAX_DATAGRAM)
            except OSError as error:
                if error.errno in (*_AGAIN, errno.ECONNREFUSED):
                    return None
                raise PortError(f"SDP socket: {error.strerror}") from error
            host, port, _, scope = sender
            if self._scope and scope != self._scope:
                continue  # another interface's
            suffix = f"%{scope}" if scope and "%" not in host else ""
            return data, (host + suffix, port)

    def close(self) -> None:
        """Release it; closing twice is allowed."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def open_sdp_server(interface: str | None, port: int = SDP_PORT) -> UdpSocket:
    """Listen for vehicles: on ff02::1 of the interface, or on ::1. Raises PortError."""
    scope = scope_of(interface)
    sock = _socket(socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if scope:
            group = socket.inet_pton(socket.AF_INET6, SDP_GROUP) + struct.pack("@I", scope)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        sock.bind(("::" if scope else LOOPBACK, port))
    except OSError as error:
        sock.close()
        msg = f"cannot listen for SDP on UDP port {port}: {error.strerror}"
        raise PortError(msg) from error
    return UdpSocket(sock, (SDP_GROUP if scope else LOOPBACK, port, 0, scope), scope)


def open_sdp_client(interface: str | None, server_port: int = SDP_PORT) -> UdpSocket:
    """Ask for chargers: at ff02::1 of the interface, or at ::1. Raises PortError."""
    scope = scope_of(interface)
    sock = _socket(socket.SOCK_DGRAM)
    try:
        if scope:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, scope)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        sock.bind(("::" if scope else LOOPBACK, 0))
    except OSError as error:
        sock.close()
        raise PortError(f"cannot open a UDP socket for SDP: {error.strerror}") from error
    return UdpSocket(sock, (SDP_GROUP if scope else LOOPBACK, server_port, 0, scope), scope)


class TcpConnection:
    """A `StreamConnection`."""

    def __init__(self, sock: socket.socket, peer: Address) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket: socket.socket | None = sock
        self._unsent = b""
        self.peer = peer

    def fileno(self) -> int:
        """File descriptor: readable when bytes or the end wait; -1 once closed."""
        return -1 if self._socket is None else self._socket.fileno()

    @property
    def wants_write(self) -> bool:
        """Return True while something is kept: then also wait for writability."""
        return bool(self._unsent)

    def send(self, data: bytes) -> None:
        """Send or keep these bytes, in order. Raises PortError when the connection is gone."""
        self._unsent += data
        self.flush()

    def flush(self) -> bool:
        """Send what is kept, as far as it goes; True when nothing is left. Raises PortError."""
        if self._socket is None:
            raise PortError("TCP connection is closed")
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except OSError as error:
                if error.errno in _AGAIN:
                    return False
                raise PortError(f"TCP connection lost: {error.strerror}") from error
            self._unsent = self._unsent[sent:]
        return True

    def receive(self) -> bytes | None:
        """Waiting bytes, b"" at the end, None when nothing waits. Raises PortError."""
        if self._socket is None:
            raise PortError("TCP connection is closed")
        try:
            return self._socket.recv(_READ)
        except OSError as error:
            if error.errno in _AGAIN:
                return None
            raise PortError(f"TCP connection lost: {error.strerror}") from error

    def close(self) -> None:
        """Send what the kernel still takes, then close; closing twice is allowed."""
        if self._socket is None:
            return
        sock, self._socket = self._socket, None
        try:
            if self._unsent:
                sock.send(self._unsent)
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the peer was quicker: the end is what we want
        sock.close()


class TcpListener:
    """A `Listener` on a free port that vehicles accept."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket: socket.socket | None = sock
        self.port: int = sock.getsockname()[1]

    def fileno(self) -> int:
        """File descriptor that is readable when a vehicle connects; -1 once closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def accept(self) -> TcpConnection | None:
        """Return the next connection, or None. Raises PortError."""
        if self._socket is None:
            raise PortError("TCP listener is closed")
        try:
            sock, peer = self._socket.accept()
        except OSError as error:
            if error.errno in (*_AGAIN, errno.ECONNABORTED):
                return None
            raise PortError(f"TCP listener: {error.strerror}") from error
        return TcpConnection(sock, (peer[0], peer[1]))

    def close(self) -> None:
        """Listen no more; closing twice is allowed."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def listen(interface: str | None, address: bytes | None = None) -> TcpListener:
    """Listen on a free TCP port in 49152 to 65535 of our own address. Raises PortError."""
    scope = scope_of(interface)
    host = socket.inet_ntop(socket.AF_INET6, address or own_address(interface))
    count = LAST_PORT - FIRST_PORT + 1
    start = secrets.randbelow(count)
    for offset in range(count):
        sock = _socket(socket.SOCK_STREAM)
        try:
            sock.bind((host, FIRST_PORT + (start + offset) % count, 0, scope))
            sock.listen(2)
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE:
                continue
            raise PortError(f"cannot listen on {host}: {error.strerror}") from error
        return TcpListener(sock)
    raise PortError(f"no free TCP port from {FIRST_PORT} to {LAST_PORT}")


class TcpConnecting:
    """A `Connecting`: it has no time limit of its own but the kernel's (above two minutes)."""

    def __init__(self, sock: socket.socket, peer: Address) -> None:
        self._socket: socket.socket | None = sock
        self._peer = peer

    def fileno(self) -> int:
        """File descriptor that is writable when the attempt is decided; -1 once closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def finish(self) -> TcpConnection | None:
        """Return the connection, or None while undecided. Raises PortError when refused."""
        if self._socket is None:
            raise PortError("connection attempt was given up")
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.close()
            host, port = self._peer
            raise PortError(f"cannot connect to [{host}]:{port}: {os.strerror(code)}")
        try:
            self._socket.getpeername()
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                return None
            raise PortError(f"cannot connect: {error.strerror}") from error
        sock, self._socket = self._socket, None
        return TcpConnection(sock, self._peer)

    def close(self) -> None:
        """Give up; closing twice is allowed."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def connect(interface: str | None, address: bytes, port: int) -> TcpConnecting:
    """Begin to connect to the announced address and port. Raises PortError.

    There is no time limit here: the EVCC core gives up after 6 s, as a widespread charger accepts
    only 2.9 s after the first SYN.
    """
    scope = scope_of(interface)
    host = socket.inet_ntop(socket.AF_INET6, address)
    sock = _socket(socket.SOCK_STREAM)
    try:
        sock.connect((host, port, 0, scope))
    except OSError as error:
        if error.errno not in _AGAIN:
            sock.close()
            msg = f"cannot connect to [{host}]:{port}: {error.strerror}"
            raise PortError(msg) from error
    return TcpConnecting(sock, (host, port))


def _socket(kind: socket.SocketKind) -> socket.socket:
    try:
        sock = socket.socket(socket.AF_INET6, kind)
    except OSError as error:
        raise PortError(f"this machine has no IPv6: {error.strerror}") from error
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def _kernel_address(address: Address, scope: int) -> _KernelAddress:
    host, port = address
    plain, _, zone = host.partition("%")
    if not zone:
        return plain, port, 0, scope
    return plain, port, 0, int(zone) if zone.isdigit() else scope_of(zone)
