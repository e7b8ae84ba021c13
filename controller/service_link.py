"""The communication process's way to realtime: found, lost, found again, in any order.

Neither process needs the other to start or to live on. Without realtime the core is told so (the
car hears an emergency, the station is out of service) and this looks for it, several times a
second; with a new one it is attached, and what that one reports is all that counts.

A realtime process that says nothing for SILENCE_S hangs: it reports four times a second, whatever
happens. Then, and when it takes no more requests, the connection is given up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from controller import ipc, signals_json
from controller.errors import WireError

if TYPE_CHECKING:
    from controller.driver_communication import Sockets
    from controller.loop import Loop

Keep = Callable[[float, str, str, Any, int], None]
"""keep(now, node, direction, item, repeats): one record of the realtime process."""
RETRY_S = 0.2
SILENCE_S = 1.0


class RealtimeLink:
    """Keeps `sockets` attached to whatever realtime process listens at `path`."""

    def __init__(
        self, loop: Loop, path: str, sockets: Sockets, keep: Keep, say: Callable[[str], None]
    ) -> None:
        """Start looking at once; `say` gets a line when something changes."""
        self.deadline = loop.now()
        self.channel: ipc.Channel | None = None
        self._loop = loop
        self._path = path
        self._sockets = sockets
        self._keep = keep
        self._say = say
        self._heard_at = 0.0
        self._has_spoken = False
        self._is_away = False
        """The core knows that there is no realtime process."""
        self._told = ""
        loop.add(self)

    def fire(self, now: float) -> None:
        """Look for it, or whether it is still there."""
        self.deadline = now + RETRY_S
        if self.channel is None:
            self._look(now)
        elif self.channel.full:
            self._lost("the realtime process takes no more requests", now)
        elif now - self._heard_at > SILENCE_S:
            self._lost(f"the realtime process said nothing for {SILENCE_S:g} s", now)

    def close(self) -> None:
        """Give the connection up."""
        if self.channel is not None:
            self._sockets.detach()
            self.channel.close()
            self.channel = None

    # --- inside ----------------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        try:
            sock = ipc.connect(self._path)
        except OSError as error:
            self._tell(f"waiting for the realtime process at {self._path} ({error.strerror})")
            self._out_of_service(now)
            return
        channel = self.channel = ipc.Channel(sock)
        self._heard_at = now
        self._has_spoken = False
        self._sockets.attach(channel)
        channel.on[ipc.RECORD] = self._record
        channel.on_lost = lambda at: self._lost("the realtime process ended", at)
        self._loop.watch(channel.fileno(), self._readable)

    def _readable(self, now: float) -> None:
        channel = self.channel
        if channel is None:
            return
        if channel.receive(now):
            self._heard_at = now
            if not self._has_spoken:
                self._has_spoken, self._is_away = True, False
                self._tell("the realtime process is there")

    def _record(self, body: bytes, now: float) -> None:
        try:
            at, node, direction, repeats, data = body.split(b" ", 4)
            record = (float(at), node.decode(), direction.decode())
            self._keep(*record, signals_json.decode(data), int(repeats))
        except (ValueError, WireError):
            if self.channel is not None:
                self.channel.garbage += 1

    def _lost(self, why: str, now: float) -> None:
        self.close()
        self._tell(why)
        self._out_of_service(now)

    def _out_of_service(self, now: float) -> None:
        if not self._is_away:
            self._is_away = True
            self._sockets.realtime_lost(now)

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._say(text)
