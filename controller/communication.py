"""The communication process: modem, SLAC, SDP, V2G - cores wired by one table, and their sockets.

`EvseCommunication` and `PevCommunication` are the cores of a process: what arrives goes to the core
that understands it, what a core returns goes to those that want to know (`routes`), and everything
is returned, in order, for the driver to carry out and the trace to keep. They ask `realtime` for
things (duty, output, contactors, S2) and send it a heartbeat with the phase they believe in; they
have no other way to move anything.

`Sockets` is the driver half: file descriptors in, sends out, and how long each answer took.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from controller.errors import PortError
from controller.loop import Node, Record, no_record, stopwatch
from controller.plc.modem import Modem
from controller.router import Router, earliest
from controller.signals import (
    AnswerMeasured,
    CloseConnection,
    Connect,
    ConnectionLost,
    ConnectionMade,
    ContactorRequest,
    DatagramReceived,
    DataReceived,
    DutyRequest,
    EmergencyStop,
    FrameReceived,
    Heartbeat,
    InletPilotChanged,
    InletReport,
    InterlockReport,
    LinkChanged,
    MessageReceived,
    MessageSent,
    ModemFailed,
    ModemFound,
    ModemKeySet,
    Output,
    OutputRequest,
    PilotChanged,
    PowerEnvelope,
    PowerReport,
    ResetRequest,
    S2Request,
    SdpFailed,
    SeccDiscovered,
    SendData,
    SendDatagram,
    SendFrame,
    SetModemKey,
    SlacFailed,
    SlacMatched,
    StartSdp,
    StartSlac,
    StopRequest,
    StopSdp,
    StopSlac,
    V2gEnded,
    V2gPhaseChanged,
    WatchLink,
)
from controller.slac.evse import EvseSlac
from controller.slac.pev import PevSlac
from controller.station import EvseStation, PevStation, Station
from controller.v2g.evcc import Evcc, EvccConfig
from controller.v2g.sdp import SdpClient, SdpServer
from controller.v2g.secc import Secc, SeccConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.config import CarConfig, ChargerConfig
    from controller.ipc import Channel
    from controller.loop import Loop
    from controller.plc.port import FrameLink
    from controller.v2g.port import Connecting, DatagramSocket, Listener, StreamConnection

HEARTBEAT_S = 0.03
"""Three heartbeats fit into the interlock's patience of 100 ms, so one may be lost or late."""

TO_REALTIME = (
    Heartbeat,
    DutyRequest,
    OutputRequest,
    ContactorRequest,
    S2Request,
    ResetRequest,
)
"""All that this process may ask of the other."""


class Communication:
    """What both roles share: dispatch of inputs, the router, the heartbeat."""

    station: Station
    modem: Modem
    slac: EvseSlac | PevSlac
    sdp: SdpServer | SdpClient
    session: Secc | Evcc

    def __init__(self, routes: dict[type[Output], tuple[Any, ...]]) -> None:
        self._router = Router(routes)
        self._cores = (self.station, self.modem, self.slac, self.sdp, self.session)
        self._sequence = 0
        self._heartbeat_at = 0.0
        self._phase = self.station.phase
        self._cores_at = self._earliest_core()
        """Kept, because a heartbeat moves no core: most turns of a session are only that."""
        self._receivers: dict[type[Output], Callable[[Any, float], list[Output]]] = {
            FrameReceived: self._receive_frame,
            DatagramReceived: lambda i, now: self.sdp.receive_data(i.data, i.sender, now),
            DataReceived: lambda i, now: self.session.receive_data(i.data, now),
            ConnectionMade: lambda i, now: self.session.connection_made(now),
            ConnectionLost: lambda i, now: self.session.connection_lost(now),
        }

    def receive(self, item: Output, now: float) -> list[Output]:
        """Take one input: a frame, a datagram, connection events, or a signal of realtime."""
        receive = self._receivers.get(type(item))
        if receive is None:
            out = self._router.dispatch([item], now)[1:]
        else:
            out = self._router.dispatch(receive(item, now), now)
        self._cores_at = self._earliest_core()
        return self._finish(out, now)

    def _receive_frame(self, item: FrameReceived, now: float) -> list[Output]:
        return self.modem.receive_frame(item.frame, now) + self.slac.receive_frame(item.frame, now)

    def handle_timer(self, now: float) -> list[Output]:
        """Let each core act on its deadline, and beat."""
        out: list[Output] = []
        if now >= self._cores_at:
            for core in self._cores:
                at = core.next_timer()
                if at is not None and at <= now:
                    out += core.handle_timer(now)
            self._router.dispatch(out, now)
            self._cores_at = self._earliest_core()
        return self._finish(out, now)

    def next_timer(self) -> float:
        """Return the earliest deadline of all cores, or of the heartbeat."""
        return min(self._heartbeat_at, self._cores_at)

    def _earliest_core(self) -> float:
        at = earliest([core.next_timer() for core in self._cores])
        return inf if at is None else at

    def _finish(self, out: list[Output], now: float) -> list[Output]:
        """Add the heartbeat when it is due, and at once when the phase has changed."""
        phase = self.station.phase
        if phase is not self._phase or now >= self._heartbeat_at:
            self._phase = phase
            self._sequence += 1
            self._heartbeat_at = now + HEARTBEAT_S
            out.insert(0, Heartbeat(self._sequence, phase))
        return out


class EvseCommunication(Communication):
    """The charger's."""

    def __init__(
        self,
        config: ChargerConfig,
        mac: bytes,
        address: bytes,
        port: int,
        rng: Callable[[int], bytes],
    ) -> None:
        self.station = EvseStation(slac=config.plc.modem != "none")
        self.modem = Modem(mac)
        self.slac = EvseSlac(mac, rng)
        self.sdp = SdpServer(address, port)
        plate = config.charger
        nameplate = PowerEnvelope(
            plate.minimum_voltage_v,
            plate.maximum_voltage_v,
            plate.minimum_current_a,
            plate.maximum_current_a,
            plate.maximum_power_w,
        )
        self.session = Secc(SeccConfig(nameplate, plate.evse_id.encode()), rng=rng)
        super().__init__(
            {
                PilotChanged: (self.station, self.session),
                PowerReport: (self.session,),
                InterlockReport: (self.station, self.session),
                **shared_routes(self),
                StopRequest: (self.session, self.station),
                EmergencyStop: (self.session,),
            }
        )


class PevCommunication(Communication):
    """The vehicle's."""

    def __init__(self, config: CarConfig, mac: bytes, rng: Callable[[int], bytes]) -> None:
        self.station = PevStation(slac=config.plc.modem != "none")
        self.modem = Modem(mac)
        self.slac = PevSlac(mac, rng)
        self.sdp = SdpClient()
        self.session = Evcc(
            EvccConfig(
                evcc_id=mac,
                target_soc_percent=config.car.target_soc_percent,
                current_demand_interval_s=config.car.current_demand_interval_s,
            )
        )
        super().__init__(
            {
                InletPilotChanged: (self.session, self.station),
                InletReport: (self.session,),
                InterlockReport: (self.session,),
                **shared_routes(self),
                SeccDiscovered: (self.session,),
                SdpFailed: (self.station,),
                StopRequest: (self.session, self.station),
            }
        )


def shared_routes(c: Communication) -> dict[type[Output], tuple[Any, ...]]:
    """Wire what is the same on both sides."""
    return {
        SetModemKey: (c.modem,),
        WatchLink: (c.modem,),
        ModemKeySet: (c.slac,),
        ModemFailed: (c.slac, c.station),
        LinkChanged: (c.slac, c.station),
        ModemFound: (c.slac,),
        StartSlac: (c.slac,),
        StopSlac: (c.slac,),
        SlacMatched: (c.station,),
        SlacFailed: (c.station,),
        StartSdp: (c.sdp,),
        StopSdp: (c.sdp,),
        V2gPhaseChanged: (c.station,),
        V2gEnded: (c.station,),
    }


class AnswerTimes:
    """Measures answers: wall-clock work, and session time between request and response."""

    def __init__(self) -> None:
        self._asked_at = 0.0

    def measure(self, outputs: list[Output], worked_s: float, now: float) -> list[AnswerMeasured]:
        """Look for requests and responses among what one input caused."""
        measured: list[AnswerMeasured] = []
        for output in outputs:
            if type(output) is MessageReceived:
                self._asked_at = now
            elif type(output) is MessageSent and output.code:
                measured.append(AnswerMeasured(output.name, worked_s, now - self._asked_at))
        return measured


class Sockets:
    """The driver of a communication process: what is readable goes in, commands are carried out."""

    def __init__(
        self,
        loop: Loop,
        core: Communication,
        realtime: Channel,
        sdp: DatagramSocket,
        *,
        link: FrameLink | None = None,
        listener: Listener | None = None,
        connect: Callable[[bytes, int], Connecting] | None = None,
        name: str = "communication",
        record: Record = no_record,
    ) -> None:
        self._loop = loop
        self._realtime = realtime
        self._sdp = sdp
        self._link = link
        self._listener = listener
        self._connect = connect
        self._connection: StreamConnection | None = None
        self._connecting: Connecting | None = None
        self._answers = AnswerTimes()
        self._carry: dict[type[Output], Callable[[Any, float], None]] = {
            SendFrame: self._send_frame,
            SendDatagram: lambda o, now: self._sdp.send(o.data, o.to),
            SendData: self._send_data,
            CloseConnection: lambda o, now: self._drop(),
            Connect: self._open,
            **dict.fromkeys(TO_REALTIME, lambda o, now: realtime.send_signal(o)),
        }
        self.node = Node(name, core, self._carry_out, record)
        self._receive = core.receive
        loop.add(self.node)
        realtime.on_signal(self._feed)
        loop.watch(realtime.fileno(), realtime.receive)
        loop.watch(sdp.fileno(), self._datagram)
        if link is not None:
            loop.watch(link.fileno(), self._frames)
        if listener is not None:
            loop.watch(listener.fileno(), self._accept)

    def _feed(self, item: Output, now: float) -> list[Output]:
        return self.node.feed(self._receive, item, now)

    def _carry_out(self, output: Output, now: float) -> None:
        carry = self._carry.get(type(output))
        if carry is not None:
            carry(output, now)

    # modem and SDP

    def _send_frame(self, output: SendFrame, now: float) -> None:
        if self._link is not None:
            self._link.send(output.frame)

    def _frames(self, now: float) -> None:
        assert self._link is not None
        while (frame := self._link.receive()) is not None:
            self._feed(FrameReceived(frame), now)

    def _datagram(self, now: float) -> None:
        while (received := self._sdp.receive()) is not None:
            self._feed(DatagramReceived(*received), now)

    # the one TCP connection

    def _accept(self, now: float) -> None:
        assert self._listener is not None
        connection = self._listener.accept()
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
