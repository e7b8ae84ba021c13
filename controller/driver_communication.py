"""The sockets of a communication process: what is readable goes in, commands are carried out.

One selector loop serves the modem's link, SDP, the one TCP connection and the other process. What
arrives is given to the core at once; the outputs that the core returns are carried out here, in
order. A broken connection is a fact for the core, never an exception. The other process may go and
come: `attach` gives the core a new one (see `service_link`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from controller.communication import TO_REALTIME, AnswerTimes, Communication
from controller.errors import PortError
from controller.loop import Node, Record, no_record, stopwatch
from controller.signals import (
    CloseConnection,
    Connect,
    ConnectionLost,
    ConnectionMade,
    DatagramReceived,
    DataReceived,
    FrameReceived,
    MessageReceived,
    MessageSent,
    ModemFailed,
    Output,
    SendData,
    SendDatagram,
    SendFrame,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controller.ipc import Channel
    from controller.loop import Loop
    from controller.plc.port import FrameLink
    from controller.v2g.port import Connecting, DatagramSocket, Listener, StreamConnection


class Sockets:
    """Binds a communication core to its sockets and its loop."""

    def __init__(
        self,
        loop: Loop,
        core: Communication,
        realtime: Channel | None,
        sdp: DatagramSocket | None,
        *,
        link: FrameLink | None = None,
        listener: Listener | None = None,
        connect: Callable[[bytes, int], Connecting] | None = None,
        name: str = "communication",
        record: Record = no_record,
    ) -> None:
        self._loop = loop
        self._realtime: Channel | None = None
        self._sdp = sdp
        self._link = link
        self._listener = listener
        self._connect = connect
        self._connection: StreamConnection | None = None
        self._connecting: Connecting | None = None
        self._answers = AnswerTimes()
        self._troubles: list[ModemFailed] = []
        self._carry: dict[type[Output], Callable[[Any, float], None]] = {
            SendFrame: self._send_frame,
            SendDatagram: self._send_datagram,
            SendData: self._send_data,
            CloseConnection: lambda o, now: self._drop(),
            Connect: self._open,
            MessageReceived: lambda o, now: self._answers.forget(),
            MessageSent: self._sent,
            **dict.fromkeys(TO_REALTIME, self._ask),
        }
        self.node = Node(name, core, self._carry_out, record)
        self._core = core
        loop.add(self.node)
        if realtime is not None:
            self.attach(realtime)
        if sdp is not None:
            loop.watch(sdp.fileno(), self._datagram)
        if link is not None:
            loop.watch(link.fileno(), self._frames)
        if listener is not None:
            loop.watch(listener.fileno(), self._accept)

    def _feed(self, item: Output, now: float) -> list[Output]:
        return self.node.feed(self._core.receive, item, now)

    def _carry_out(self, output: Output, now: float) -> None:
        carry = self._carry.get(type(output))
        if carry is not None:
            carry(output, now)

    # the other process

    def attach(self, realtime: Channel) -> None:
        """Talk to this realtime process from now on."""
        self._realtime = realtime
        realtime.on_signal(self._feed)
        realtime.on_lost = self.realtime_lost
        self._loop.watch(realtime.fileno(), realtime.receive)

    def realtime_lost(self, now: float) -> None:
        """Let the core know that there is no realtime process any more."""
        self.detach()
        self.node.finish(self._core.realtime_lost(now), now)

    def detach(self) -> None:
        """Talk to no realtime process for now."""
        if self._realtime is not None:
            self._loop.watch(self._realtime.fileno(), None)
            self._realtime = None

    def _ask(self, output: Output, now: float) -> None:
        if self._realtime is not None:
            self._realtime.send_signal(output)

    # modem and SDP

    def _send_frame(self, output: SendFrame, now: float) -> None:
        if self._link is not None:
            with self._frames_may_be_lost(now):
                self._link.send(output.frame)

    def _frames(self, now: float) -> None:
        assert self._link is not None
        with self._frames_may_be_lost(now):
            while (frame := self._link.receive()) is not None:
                self._feed(FrameReceived(frame), now)

    def _send_datagram(self, output: SendDatagram, now: float) -> None:
        with self._frames_may_be_lost(now):
            if self._sdp is not None:
                self._sdp.send(output.data, output.to)

    def _datagram(self, now: float) -> None:
        with self._frames_may_be_lost(now):
            while self._sdp is not None and (received := self._sdp.receive()) is not None:
                self._feed(DatagramReceived(*received), now)

    @contextmanager
    def _frames_may_be_lost(self, now: float) -> Iterator[None]:
        """An interface that is down or full loses frames, as any wire may; the cores ask again.

        What is wrong with it is recorded, once for each kind of trouble.
        """
        try:
            yield
        except PortError as error:
            trouble = ModemFailed(str(error))
            if trouble not in self._troubles:
                self._troubles.append(trouble)
                self.node.record(now, self.node.name, "out", trouble)

    # the one TCP connection

    def _accept(self, now: float) -> None:
        assert self._listener is not None
        try:
            connection = self._listener.accept()
        except PortError:
            return  # gone again before it was taken
        if connection is None:
            return
        if self._connection is not None:
            connection.close()
            return
        self._made(connection, now)

    def _open(self, output: Connect, now: float) -> None:
        assert self._connect is not None
        try:
            self._connecting = self._connect(output.address, output.port)
        except PortError as error:
            lost = ConnectionLost(str(error))
            self._loop.call_at(now, lambda at: self._feed(lost, at))
            return
        self._loop.watch(self._connecting.fileno(), None, self._decided)

    def _decided(self, now: float) -> None:
        assert self._connecting is not None
        connecting, fd = self._connecting, self._connecting.fileno()
        try:
            connection = connecting.finish()
        except PortError as error:
            self._loop.watch(fd, None)
            self._connecting = None
            self._feed(ConnectionLost(str(error)), now)
            return
        if connection is not None:
            self._loop.watch(fd, None)
            self._connecting = None
            self._made(connection, now)

    def _made(self, connection: StreamConnection, now: float) -> None:
        self._connection = connection
        self._loop.watch(connection.fileno(), self._readable)
        self._feed(ConnectionMade(connection.peer), now)

    def _readable(self, now: float) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            data = connection.receive()
        except PortError as error:
            self._lost(str(error), now)
            return
        if data is None:
            return
        if not data:
            self._lost("closed by the peer", now)
            return
        began = stopwatch()
        outputs = self._feed(DataReceived(data), now)
        for answer in self._answers.measure(outputs, stopwatch() - began, now):
            self.node.record(now, self.node.name, "out", answer)

    def _sent(self, output: MessageSent, now: float) -> None:
        late = self._answers.late(output, now)
        if late is not None:
            self.node.record(now, self.node.name, "out", late)

    def _send_data(self, output: SendData, now: float) -> None:
        if self._connection is None:
            return
        try:
            self._connection.send(output.data)
        except PortError as error:
            reason = str(error)
            self._loop.call_at(now, lambda at: self._lost(reason, at))
            return
        if self._connection.wants_write:
            self._loop.watch(self._connection.fileno(), self._readable, self._writable)

    def _writable(self, now: float) -> None:
        if self._connection is None:
            return
        try:
            if self._connection.flush():
                self._loop.watch(self._connection.fileno(), self._readable)
        except PortError as error:
            self._lost(str(error), now)

    def _lost(self, reason: str, now: float) -> None:
        if self._connection is not None:
            self._drop()
            self._feed(ConnectionLost(reason), now)

    def _drop(self) -> None:
        for end in (self._connection, self._connecting):
            if end is not None:
                self._loop.watch(end.fileno(), None)
                end.close()
        self._connection = self._connecting = None

    def close(self) -> None:
        """Release every socket."""
        self._drop()
        for end in (self._sdp, self._link, self._listener):
            if end is not None:
                end.close()
