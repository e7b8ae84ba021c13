"""The communication half: modem, SLAC, SDP and V2G, wired by one table (cores of a process).

`EvseCommunication` and `PevCommunication` are the cores of a process: what arrives goes to the core
that understands it, what a core returns goes to those that want to know (`routes`), and everything
is returned, in order, for the driver to carry out and the trace to keep. They ask `realtime` for
things (duty, output, contactors, S2) and send it a heartbeat with the phase they believe in; they
have no other way to move anything. `driver_communication` puts sockets around them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

from controller.cp.wake import WakeUp
from controller.own_code import own_code
from controller.plc.modem import Modem
from controller.router import Router
from controller.signals import (
    REQUESTS,
    AnswerMeasured,
    BcbToggled,
    ChargeRequest,
    CloseConnection,
    ConnectionLost,
    ConnectionMade,
    CurrentOffered,
    CurrentRequest,
    DatagramReceived,
    DataReceived,
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
    PilotChanged,
    PowerEnvelope,
    PowerReport,
    ResetRequest,
    SdpFailed,
    SeccDiscovered,
    SessionEnded,
    SetModemKey,
    SlacFailed,
    SlacMatched,
    StartSdp,
    StartSlac,
    StopRequest,
    StopSdp,
    StopSlac,
    V2gEnded,
    V2gEnding,
    V2gPhaseChanged,
    WatchLink,
)
from controller.slac import attenuation
from controller.slac.choice import Policy
from controller.slac.evse import EvseSlac
from controller.slac.pev import PevSlac
from controller.station import EvseStation, Station
from controller.station_ac import AcStation
from controller.station_pev import PevStation
from controller.v2g.evcc import Evcc, EvccConfig
from controller.v2g.sdp import SdpClient, SdpServer
from controller.v2g.secc import Secc, SeccConfig

if TYPE_CHECKING:
    from controller.config import CarConfig, ChargerConfig

Receiver = tuple[Callable[[Any, float], list[Output]], tuple[Any, ...]]
"""Who takes an input, and the cores that it may move."""

HEARTBEAT_S = 0.02
"""Three heartbeats fit into realtime's patience of 60 ms, so two may be lost or late."""

ROUNDING_S = 1e-6
"""A beat may be this much early: a clock with steps of 20 ms must not miss one by a rounding."""

REALTIME_GONE = InterlockReport(
    close_contactors=False,
    energise=False,
    reasons=("the realtime process is gone",),
    latched="the realtime process is gone",
    emergency=True,
)
"""What a dead realtime process would have said last: tell the vehicle at once."""

TO_REALTIME = REQUESTS
"""All that this process may ask of the other."""


def _ignore(item: Output, now: float) -> list[Output]:
    return []


def _refuse(item: Output, now: float) -> list[Output]:
    return [CloseConnection("this charger has no ISO 15118 session for AC")]


class Communication:
    """What both roles share: dispatch of inputs, the router, the heartbeat."""

    station: Station
    modem: Modem
    slac: EvseSlac | PevSlac
    sdp: SdpServer | SdpClient
    session: Secc | Evcc
    others: tuple[Any, ...] = ()
    """Cores that only one role has."""
    with_modem = True
    """Without one neither modem nor SLAC takes part."""
    with_v2g = True
    """Without it neither SDP nor a session takes part (AC by IEC 61851-1)."""

    def __init__(self, routes: dict[type[Output], tuple[Any, ...]]) -> None:
        absent: tuple[Any, ...] = () if self.with_modem else (self.modem, self.slac)
        absent += () if self.with_v2g else (self.sdp, self.session)
        self._router = Router(
            {kind: tuple(c for c in cores if c not in absent) for kind, cores in routes.items()}
        )
        cores = (self.station, self.modem, self.slac, self.sdp, self.session, *self.others)
        self._deadlines = {core: self._deadline_of(core) for core in cores if core not in absent}
        """Kept, because most turns of a session are one core's alone."""
        self.heartbeat_s = HEARTBEAT_S
        self._sequence = 0
        self.heartbeat_at = 0.0
        """When the next heartbeat is due."""
        self.phase = self.station.phase
        """What the heartbeat says."""
        self._ending = ""
        self._cores_at = min(self._deadlines.values())
        self._receivers: dict[type[Output], Receiver] = {
            FrameReceived: (self._receive_frame, (self.modem, self.slac)),
            DatagramReceived: (
                lambda i, now: self.sdp.receive_data(i.data, i.sender, now),
                (self.sdp,),
            ),
            DataReceived: (lambda i, now: self.session.receive_data(i.data, now), (self.session,)),
            ConnectionMade: (self._connected, (self.station, self.session)),
            ConnectionLost: (lambda i, now: self.session.connection_lost(now), (self.session,)),
            ResetRequest: (lambda i, now: [i], ()),  # the operator's, for realtime
        }
        if not self.with_v2g:
            nothing = dict.fromkeys((DatagramReceived, DataReceived, ConnectionLost), (_ignore, ()))
            self._receivers |= {**nothing, ConnectionMade: (_refuse, ())}

    def receive(self, item: Output, now: float) -> list[Output]:
        """Take one input: a frame, a datagram, connection events, or a signal of realtime."""
        router = self._router
        router.touched.clear()
        receiver = self._receivers.get(type(item))
        if receiver is None:
            out = router.dispatch([item], now)[1:]
        else:
            receive, cores = receiver
            router.touched.update(cores)
            out = router.dispatch(receive(item, now), now)
        self._look_at_deadlines()
        return self._finish(out, now)

    def _receive_frame(self, item: FrameReceived, now: float) -> list[Output]:
        return self.modem.receive_frame(item.frame, now) + self.slac.receive_frame(item.frame, now)

    def _connected(self, item: ConnectionMade, now: float) -> list[Output]:
        return self.station.receive_signal(item, now) + self.session.connection_made(now)

    def realtime_lost(self, now: float) -> list[Output]:
        """Act on the end of the other process: nobody there to permit or measure any more."""
        return self.receive(REALTIME_GONE, now)

    def handle_timer(self, now: float) -> list[Output]:
        """Let each core act on its deadline, and beat."""
        out: list[Output] = []
        if now >= self._cores_at:
            router = self._router
            router.touched.clear()
            for core, at in self._deadlines.items():
                if at <= now:
                    router.touched.add(core)
                    out += core.handle_timer(now)
            router.dispatch(out, now)
            self._look_at_deadlines()
        return self._finish(out, now)

    def next_timer(self) -> float:
        """Return the earliest deadline of all cores, or of the heartbeat."""
        return self.heartbeat_at if self.heartbeat_at < self._cores_at else self._cores_at

    def next_of_cores(self) -> float:
        """Return the earliest deadline of the cores alone."""
        return self._cores_at

    def beat(self, at: float) -> Heartbeat:
        """Return a heartbeat; whoever asks for one out of turn sees to `heartbeat_at`."""
        return Heartbeat(self.count_beat(), self.phase, at)

    def count_beat(self) -> int:
        """Return the number of the next heartbeat."""
        self._sequence += 1
        return self._sequence

    @staticmethod
    def _deadline_of(core: Any) -> float:  # noqa: ANN401 - whatever has deadlines
        at = core.next_timer()
        return inf if at is None else at

    def _look_at_deadlines(self) -> None:
        """Read again the deadlines of the cores that were given something."""
        deadlines = self._deadlines
        for core in self._router.touched:
            if core in deadlines:
                at = core.next_timer()
                deadlines[core] = inf if at is None else at
        self._cores_at = min(deadlines.values())

    def _finish(self, out: list[Output], now: float) -> list[Output]:
        """Add why the session is to end, and the heartbeat when due or the phase has changed."""
        ending = self.session.session.stop_reason
        if ending != self._ending:
            self._ending = ending
            if ending:
                out.append(V2gEnding(ending))
        phase = self.station.phase
        if phase is not self.phase or now >= self.heartbeat_at:
            self.phase = phase
            self.heartbeat_at = now + self.heartbeat_s - ROUNDING_S
            out.insert(0, self.beat(now))
        return out


@own_code
class EvseCommunication(Communication):
    """The charger's: for DC with a V2G session, for AC without (the file says which)."""

    station: EvseStation | AcStation

    def __init__(
        self,
        config: ChargerConfig,
        mac: bytes,
        address: bytes,
        port: int,
        rng: Callable[[int], bytes],
    ) -> None:
        self.with_v2g, self.with_modem = config.uses_v2g, config.uses_modem
        if self.with_v2g:
            self.station = EvseStation(slac=self.with_modem)
        else:
            self.station = AcStation(config.ac.maximum_current_a, digital_first=self.with_modem)
        self.modem = Modem(mac)
        self.slac = EvseSlac(
            mac,
            rng,
            attenuation.flat(config.slac.attenuation_db),
            receive_path_db=config.slac.receive_path_db,
        )
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
                PilotChanged: (self.station, self.slac, self.session),
                BcbToggled: (self.slac, self.station),
                PowerReport: (self.session,),
                InterlockReport: (self.station, self.session),
                **shared_routes(self),
                StopRequest: (self.session, self.station),
                EmergencyStop: (self.session,),
            }
            if isinstance(self.station, EvseStation)
            else ac_routes(self)
        )
        if isinstance(self.station, AcStation):
            ask = self.station.request_current
            self._receivers[CurrentRequest] = (
                lambda i, now: ask(i.current_a, now),
                (self.station,),
            )


@own_code
class PevCommunication(Communication):
    """The vehicle's."""

    def __init__(self, config: CarConfig, mac: bytes, rng: Callable[[int], bytes]) -> None:
        self.with_modem = config.uses_modem
        self.station = PevStation(
            slac=self.with_modem,
            digital=config.car.digital,
            target_soc_percent=config.car.target_soc_percent,
        )
        self.modem = Modem(mac)
        self.slac = PevSlac(mac, rng, Policy(config.slac.matching))
        self.sdp = SdpClient()
        self.session = Evcc(
            EvccConfig(
                evcc_id=mac,
                target_soc_percent=config.car.target_soc_percent,
                current_demand_interval_s=config.car.current_demand_interval_s,
            )
        )
        self.wake = WakeUp(automatic=config.car.wake_charger)
        self.others = (self.wake,)
        super().__init__(
            {
                InletPilotChanged: (self.session, self.station, self.wake),
                InletReport: (self.session, self.station),
                InterlockReport: (self.session, self.station),
                **shared_routes(self),
                SeccDiscovered: (self.session,),
                SdpFailed: (self.station,),
                StopRequest: (self.session, self.station, self.wake),
                SessionEnded: (self.wake,),
                ChargeRequest: (self.station, self.wake),
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


def ac_routes(c: Communication) -> dict[type[Output], tuple[Any, ...]]:
    """Wire an AC charger: its station hears all there is."""
    return {
        **shared_routes(c),
        PilotChanged: (c.station, c.slac),
        **dict.fromkeys(
            (InterlockReport, CurrentOffered, StopRequest, EmergencyStop, ResetRequest),
            (c.station,),
        ),
    }


class AnswerTimes:
    """Measures answers: wall-clock work, and session time between request and response."""

    def __init__(self) -> None:
        self._asked_at = 0.0
        self._owed = False

    def measure(self, outputs: list[Output], worked_s: float, now: float) -> list[AnswerMeasured]:
        """Look for requests and responses among what data of the peer caused."""
        measured: list[AnswerMeasured] = []
        for output in outputs:
            if type(output) is MessageReceived:
                self._asked_at, self._owed = now, True
            elif type(output) is MessageSent and output.code:
                self._owed = False
                measured.append(AnswerMeasured(output.name, worked_s, now - self._asked_at))
        return measured

    def forget(self) -> None:
        """Drop a request that got no response: another one is there."""
        self._owed = False

    def late(self, sent: MessageSent, now: float) -> AnswerMeasured | None:
        """Measure a response that something else than data caused: it waited for that."""
        if not self._owed or not sent.code:
            return None
        self._owed = False
        return AnswerMeasured(sent.name, 0.0, now - self._asked_at)
