"""Where the communication process comes in to realtime: one at a time, and none that misbehaves.

`serve` is called once a period and is bounded: it lets in at most one process, and reads at most
PACKETS packets. A process that comes while another is in is turned away; the newer one wins only
after the older is gone (a service that systemd starts anew always comes after the old one's end).

A process that sends garbage or floods is shut out, for a while: its permits end there and then, as
if it had ended. Only requests pass; a packet that pretends to be a reading of the hardware is
garbage. Sending never waits. A process that lets so many reports wait that one does not fit is as
good as gone, and shut out too: it would never learn what it missed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING

from controller import ipc, signals_json
from controller.errors import PortError, WireError

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.signals import Output

PACKETS = 16
"""Read in one period at most; communication sends one to five."""
LARGEST_REQUEST = 2000
"""Bytes; the longest request has about 200."""
GARBAGE_ALLOWED = 5
"""A process of ours sends none."""
FLOOD_PACKETS, FLOOD_WINDOW_S = 500, 0.5
"""More than so many within this time is a flood; a charge loop makes about 50."""
SHUT_OUT_S = 1.0

CREDENTIALS = struct.Struct("3i")
"""SO_PEERCRED: process, user, group."""


class Door:
    """The listening socket, and the channel to the process that is in."""

    def __init__(self, path: str, accepted: tuple[type[Output], ...]) -> None:
        """Listen at `path` for a process that may send `accepted`. Raises PortError."""
        self.path = path
        self.channel: ipc.Channel | None = None
        self.turned_away = 0
        self.on_signal: Callable[[Output, float], object] = lambda item, now: None
        self.on_found: Callable[[str, float], object] = lambda who, now: None
        self.on_lost: Callable[[str, float], object] = lambda why, now: None
        self._accepted = accepted
        self._claim = ipc.claim(path)
        try:
            self._listener = ipc.listen(path)
        except PortError:
            os.close(self._claim)
            raise
        self._shut_until = 0.0
        self._window_ends_at = 0.0
        self._window_count = 0
        self._is_deaf = False

    def serve(self, now: float) -> None:
        """Let in who comes, and take what the one that is in has to say."""
        if self.channel is not None:
            count = self.channel.receive(now, PACKETS)
            if self.channel is not None:
                self._judge(self.channel, count, now)
        if now >= self._shut_until:
            self._look_outside(now)

    def send_signal(self, signal: Output) -> None:
        """Send one report; who has no room for it is shut out when `serve` comes by."""
        if self.channel is None:
            return
        try:
            packet = signals_json.encode(signal)
        except WireError:  # a reading that is no number: nothing that anybody could use
            return
        if not self.channel.send(ipc.SIGNAL, packet):
            self._is_deaf = self.channel.full

    def send(self, tag: bytes, body: bytes) -> bool:
        """Send any other packet; False: nobody took it."""
        return self.channel is not None and self.channel.send(tag, body)

    def shut_out(self, why: str, now: float) -> None:
        """End the connection with a process that misbehaves; nobody comes in for a while."""
        self._shut_until = now + SHUT_OUT_S
        self._lose(f"the communication process was shut out: {why}", now)

    def close(self) -> None:
        """Let nobody in any more and remove the path; closing twice is allowed."""
        if self.channel is not None:
            self.channel.close()
            self.channel = None
        self._listener.close()
        if self._claim >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            os.close(self._claim)
            self._claim = -1

    # --- inside ----------------------------------------------------------------------------------

    def _look_outside(self, now: float) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return  # nobody there, or gone again
        if self.channel is not None:
            sock.close()
            self.turned_away += 1
            return
        channel = self.channel = ipc.Channel(sock, largest=LARGEST_REQUEST)
        self._is_deaf = False
        self._window_count = 0
        channel.on_signal(self._take)
        channel.on_lost = lambda at: self._lose("the communication process ended", at)
        self.on_found(_who(sock), now)

    def _take(self, item: Output, now: float) -> None:
        channel = self.channel
        if channel is None:
            return
        if isinstance(item, self._accepted):
            self.on_signal(item, now)
        else:
            channel.garbage += 1

    def _judge(self, channel: ipc.Channel, count: int, now: float) -> None:
        if channel.garbage > GARBAGE_ALLOWED:
            self.shut_out(f"it sent {channel.garbage} packets that were no requests", now)
            return
        if self._is_deaf:
            self.shut_out("it does not read what it is told", now)
            return
        if now >= self._window_ends_at:
            self._window_ends_at = now + FLOOD_WINDOW_S
            self._window_count = 0
        self._window_count += count
        if self._window_count > FLOOD_PACKETS:
            self.shut_out(f"it sent more than {FLOOD_PACKETS} packets in {FLOOD_WINDOW_S:g} s", now)

    def _lose(self, why: str, now: float) -> None:
        if self.channel is not None:
            self.channel.close()
            self.channel = None
            self.on_lost(why, now)


def _who(sock: socket.socket) -> str:
    """Say which process is at the other end, as the kernel knows it."""
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    pid, user, _ = CREDENTIALS.unpack(data)
    return f"process {pid} of user {user}"
