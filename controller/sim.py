"""A simulated site: pilot circuit, power hardware, modem pair, car - and whole sessions in it.

`World` is everything physical, in whatever time `now` is: it gives both controllers their inputs
and carries out their hardware commands. `site` puts real processes around it; `SimWorld` puts the
same cores around it in one process and virtual time, where a 20-minute charge takes a second, and
where tests break whatever they like at any instant.
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from controller.communication import (
    TO_REALTIME,
    AnswerTimes,
    Communication,
    EvseCommunication,
    PevCommunication,
)
from controller.config import CarConfig, ChargerConfig
from controller.cp.sim import PilotCircuit
from controller.loop import Node, Record, SimLoop, Timed, stopwatch
from controller.plc.pib import SLAC_EVSE, SLAC_PEV
from controller.plc.sim import SimPowerline, seeded_rng
from controller.plc.sim_modem import SimModem
from controller.power.sim import (
    SimCircuitContactors,
    SimIsolationMonitor,
    SimPowerModule,
    SimVehicle,
)
from controller.power.sim_interlock import SimInterlock
from controller.realtime_ac import ChargerCore, charger_realtime
from controller.realtime_pev import PevRealtime, vehicle_realtime
from controller.report import HANDLERS, Report
from controller.signals import (
    CloseConnection,
    CloseContactors,
    Connect,
    ConnectionLost,
    ConnectionMade,
    DatagramReceived,
    DataReceived,
    EvseInputs,
    FrameReceived,
    Heartbeat,
    MessageReceived,
    MessageSent,
    OpenContactors,
    Output,
    PevInputs,
    SendData,
    SendDatagram,
    SendFrame,
    SetDuty,
    SetOnboardCurrent,
    SetOutput,
    SetS2,
    SetWatchdog,
    StartIsolationTest,
)
from controller.sim_nodes import BEAT_S, Beats, Frames, HangingNode, SampledNode, Silence
from controller.sim_parts import ac_of, battery_of, circuit_of
from controller.v2g.sim import Arrival, Kind, SimNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

SIDES = ("evse", "pev")
"""Order of the hosts at the powerline."""


def host_mac(side: str) -> bytes:
    """Address of a simulated host: locally administered, one digit apart."""
    return bytes((0x02, 0x43, 0x43, 0x53, 0, 1 + SIDES.index(side)))


def modem_mac(side: str) -> bytes:
    """Address of a simulated modem."""
    return bytes((0x02, 0xB0, 0x52, 0, 0, 1 + SIDES.index(side)))


COUPLING_DB = 12.0
"""A cable of 5 m: real cars report 8 to 41 dB."""
MODEM_RESTART_S = 0.8
"""A real QCA7420 restarts for 3 to 5 s after a key, a QCA7005 in about one."""


class World:
    """Everything physical at one charger with one car; faults are attributes of its parts."""

    def __init__(self, charger: ChargerConfig, car: CarConfig, seed: int = 1) -> None:
        rng = seeded_rng(f"site/{seed}")
        plate, site = charger.charger, charger.site
        self.battery = battery_of(car)
        self.circuit = circuit_of(charger, self.battery)
        self.pilot = PilotCircuit(rng)
        self.interlock = SimInterlock(self.pilot)
        self.interlock.fitted = plate.interlock == "external"
        self.interlock.needs_oscillator = plate.mode == "dc"
        self.module = SimPowerModule(self.circuit, rng)
        self.isolation = SimIsolationMonitor(site.isolation_ohm)
        self.isolation.self_test_s = site.isolation_test_s
        self.vehicle = SimVehicle(self.circuit)
        self.evse_contactors = SimCircuitContactors(self.circuit, self.circuit.evse_contactors)
        self.inlet_contactors = SimCircuitContactors(self.circuit, self.circuit.inlet_contactors)
        self.ac = ac_of(charger, car, self.circuit)
        self.powerline = SimPowerline(
            [
                SimModem(modem_mac("evse"), slac_mode=SLAC_EVSE, restart_s=MODEM_RESTART_S),
                SimModem(modem_mac("pev"), slac_mode=SLAC_PEV, restart_s=MODEM_RESTART_S),
            ],
            seed=f"powerline/{seed}",
        )
        self.powerline.set_coupling(0, 1, None)
        self.module_enable = True
        """The modules' enable wire, where a board drives one (in series with the chain)."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when something discrete happened (plug, S2, emergency stop)."""
        self.wake_at: Callable[[float], object] = lambda at: None
        """Asks for a call of `advance` at a time (virtual time; real time comes by anyway)."""

    @property
    def energy_wh(self) -> float:
        """Energy delivered at the charger's output."""
        return self.circuit.energy_wh if self.ac is None else self.ac.energy_wh

    @property
    def is_quiet(self) -> bool:
        """Whether nothing moves and nothing is being negotiated: an AC charge that just goes on."""
        return self.ac is not None and self.ac.is_steady and self.ac.current_a > 0.0

    @property
    def emergency_stop(self) -> bool:
        """The charger's emergency stop; setting it presses (or releases) both channels."""
        return self.interlock.stop_a or self.interlock.stop_b

    @emergency_stop.setter
    def emergency_stop(self, pressed: bool) -> None:
        self.interlock.stop_a = self.interlock.stop_b = pressed
        self.interlock.touch()

    def advance(self, now: float) -> None:
        """Let time pass."""
        if now >= self.interlock.next_at or self.pilot.is_changed:
            self._follow_interlock(now)
        self.circuit.advance(now)
        if self.ac is not None:
            self.ac.advance(now)

    def _follow_interlock(self, now: float) -> None:
        """Let the hardware interlock open (or feed) coils and modules at its own instants."""
        chain, circuit = self.interlock, self.circuit
        before = (chain.chain_closed, chain.coils_live)
        while True:
            at = now if chain.next_at > now else max(chain.next_at, circuit.now or now)
            circuit.advance(at)
            chain.advance(at)
            self._drive_power()
            if chain.next_at > now:
                break
        if chain.next_at < inf:
            self.wake_at(chain.next_at)
        if before != (chain.chain_closed, chain.coils_live):
            self.on_change()

    def _drive_power(self) -> None:
        self.circuit.evse_contactors.set_closed(self.interlock.coils_on)
        self.circuit.enabled = self.interlock.modules_enabled and self.module_enable

    def observe(self, node: str, item: Output, now: float) -> None:
        """Hear what the controllers do; a world with both sides needs no hint (see `sim_bench`)."""

    # --- people --------------------------------------------------------------------------------

    def plug(self) -> None:
        """Put the connector into the inlet."""
        self.pilot.plugged = True
        self.powerline.set_coupling(0, 1, COUPLING_DB)
        self.on_change()

    def unplug(self) -> None:
        """Pull the connector (also under load: that is what a test does)."""
        self.pilot.plugged = False
        self.powerline.set_coupling(0, 1, None)
        self.on_change()

    def press_emergency_stop(self) -> None:
        """Press the charger's emergency stop."""
        self.emergency_stop = True
        self.on_change()

    def drop_watchdog(self, side: str, now: float) -> None:
        """Let a side's realtime process be gone: nobody toggles its watchdog, drives its pins."""
        if side == "pev":
            self.circuit.inlet_contactors.set_closed(False)
            self.pilot.s2_closed = False
            self._limit_onboard(0.0, now)
        else:
            self.interlock.watchdog.toggle(on=False, now=now)
            self.interlock.touch()
            self.pilot.duty = 1.0
        self.on_change()

    # --- hardware ------------------------------------------------------------------------------

    def evse_inputs(self, now: float) -> EvseInputs:
        """Everything the charger's hardware tells."""
        chain = self.interlock
        if now >= chain.next_at or self.pilot.is_changed:
            self._follow_interlock(now)
        ac, output = None, self.module.read(now)
        if self.ac is not None:
            self.advance(now)
            ac, output = self.ac.read(now), self.ac.read_output(now)
        return EvseInputs(
            self.pilot.pilot_sample(now),
            output,
            self.evse_contactors.read(now),
            self.isolation.read(now),
            self.module.envelope(now),
            chain.stop_a or chain.stop_b,
            not chain.chain_closed,
            ac,
            coils_live=chain.coils_live,
            stops_disagree=chain.stop_a is not chain.stop_b,
        )

    def pev_inputs(self, now: float) -> PevInputs:
        """Everything the vehicle's hardware tells."""
        if self.pilot.is_changed:
            self._follow_interlock(now)
        if self.ac is not None:
            self.advance(now)
        return PevInputs(
            self.pilot.inlet_sample(now),
            self.inlet_contactors.read(now),
            self.vehicle.read(now),
        )

    def carry_out(self, side: str, output: Output, now: float) -> None:
        """Do what a realtime core commands its hardware to do."""
        match output:
            case SetOutput():
                self.module.set_output(output, now)
            case SetDuty():
                self.pilot.duty = output.duty
                self.on_change()
            case SetS2():
                self.pilot.s2_closed = output.closed
                self.on_change()
            case SetOnboardCurrent():
                self._limit_onboard(output.current_a, now)
            case CloseContactors() | OpenContactors():
                self._command_contactors(side, isinstance(output, CloseContactors), now)
            case SetWatchdog() if side == "evse":  # the simulated vehicle has no chain
                self.interlock.watchdog.toggle(output.toggling, now)
                self._follow_interlock(now)
            case StartIsolationTest():
                self.isolation.start_test()

    def _limit_onboard(self, current_a: float, now: float) -> None:
        if self.ac is not None:
            self.advance(now)
            self.ac.limit_a = current_a
            self.on_change()

    def _command_contactors(self, side: str, closed: bool, now: float) -> None:
        self.advance(now)
        if side == "pev":
            self.inlet_contactors.set_closed(closed)
        else:
            self.interlock.command(closed, now)
            self._drive_power()


# --- virtual time --------------------------------------------------------------------------------

IPC_S = 0.0002
"""From one process to the other; measured on Unix sockets: below 0.1 ms."""


class SimWorld:
    """Charger and car, all four halves, in one process and virtual time.

        world = SimWorld(ChargerConfig(), CarConfig())
        world.run_session()
        assert world.report.safe

    `observers` see every input and output and may schedule anything with `loop.call_at`.
    """

    def __init__(
        self, charger: ChargerConfig | None = None, car: CarConfig | None = None, seed: int = 1
    ) -> None:
        charger, car = charger or ChargerConfig(), car or CarConfig()
        self.loop = SimLoop()
        self.world = World(charger, car, seed)
        self.network = SimNetwork(SIDES)
        self.report = Report()
        self.observers: list[Record] = []
        self.silent = Silence(self._falls_silent)
        """Sides whose communication process is stopped: it neither acts nor beats."""
        self._answers = AnswerTimes()
        """Of the charger: a vehicle only asks."""
        rng = seeded_rng(f"keys/{seed}")
        address = bytes.fromhex("fe80") + bytes(14)
        self.evse = charger_realtime(charger)
        self.pev = vehicle_realtime(car)
        evse, pev = self._realtime("evse", self.evse), self._realtime("pev", self.pev)
        talks = EvseCommunication(charger, host_mac("evse"), address, SIM_PORT, rng)
        self.nodes: dict[str, Node] = {
            "evse.realtime": evse,
            "pev.realtime": pev,
            "evse.communication": self._communication("evse", talks),
            "pev.communication": self._communication(
                "pev", PevCommunication(car, host_mac("pev"), rng)
            ),
        }
        self._deliver: dict[str, Callable[[Output, float], list[Output]]] = {
            name: partial(node.feed, node.core.receive)  # type: ignore[attr-defined]
            for name, node in self.nodes.items()
        }
        """Node -> how its core is given a signal of its other half."""
        self.frames = {
            "evse": Frames(evse, self.world.evse_inputs, charger.realtime.period_s),
            "pev": Frames(pev, self.world.pev_inputs, car.realtime.period_s),
        }
        self._beats = {side: self._connect(side) for side in SIDES}
        everything: list[Timed] = [*self.nodes.values(), *self.frames.values()]
        for timed in everything:
            self.loop.add(timed)
        self.world.powerline.on_queued = lambda at: self.loop.call_at(at, self._powerline_due)
        self.network.on_queued = lambda at: self.loop.call_at(at, self._network_due)
        self.world.on_change = self._poke
        self.world.wake_at = lambda at: self.loop.call_at(at, self.world.advance)

    # --- playing -------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Return virtual seconds."""
        return self.loop.now()

    def run(self, until: float) -> None:
        """Let virtual time pass."""
        self.loop.run(until)

    def run_session(self, *, limit_s: float = 4 * 3600.0, unplug: bool = True) -> Report:
        """Plug in, wait for the end on both sides, settle, unplug, settle."""
        self.run(1.0)
        self.world.plug()
        self.loop.run(limit_s, done=self.has_ended)
        self.run(self.now + SETTLE_S)
        if unplug:
            self.world.unplug()
            self.run(self.now + SETTLE_S)
        return self.report

    def has_ended(self) -> bool:
        """Whether both sides have said how the session ended."""
        return len(self.report.reasons) == len(SIDES)

    def send(self, side: str, item: Output) -> None:
        """Give a signal to a side's communication (a driver's stop, an operator's)."""
        self._feed(f"{side}.communication", item, self.now)

    # --- wiring --------------------------------------------------------------------------------

    def _record(self, now: float, node: str, direction: str, item: Any) -> None:  # noqa: ANN401
        report = HANDLERS.get(type(item))
        if report is not None:
            report(self.report, now, node, item)
        for observe in self.observers:
            observe(now, node, direction, item)

    def _poke(self) -> None:
        self.network.cut = not self.world.pilot.plugged
        self.world.advance(self.now)
        for frames in self.frames.values():
            frames.poke(self.now)

    def _connect(self, side: str) -> Beats:
        """Let the realtime half of a side hear the heartbeats of the other."""
        realtime, talks = self.nodes[f"{side}.realtime"], self.nodes[f"{side}.communication"]
        assert isinstance(realtime, SampledNode)
        assert isinstance(talks, HangingNode)
        return Beats(talks, realtime, self.observers)

    def _falls_silent(self, side: str) -> None:
        self._beats[side].stop(self.now)

    def _realtime(self, side: str, core: ChargerCore | PevRealtime) -> SampledNode:
        other = f"{side}.communication"
        to_communication = frozenset(core.TO_COMMUNICATION)
        to_hardware = frozenset(core.TO_HARDWARE)

        def carry_out(output: Output, now: float) -> None:
            kind = type(output)
            if kind in to_communication:
                self.loop.call_at(now + IPC_S, partial(self._deliver[other], output))
            elif kind in to_hardware:
                self.world.carry_out(side, output, now)

        return SampledNode(f"{side}.realtime", core, carry_out, self._record)

    def _communication(self, side: str, core: Communication) -> HangingNode:
        other = f"{side}.realtime"
        index = SIDES.index(side)
        peer = SIDES[1 - index]
        loop, network = self.loop, self.network

        def ask(request: Output, now: float) -> None:
            loop.call_at(now + IPC_S, partial(self._deliver[other], request))

        def send_datagram(output: SendDatagram, now: float) -> None:
            to = None if output.to is None else output.to[0]
            network.send_datagram(side, output.data, to, now)

        acts: dict[type[Output], Callable[[Any, float], object]] = {
            **dict.fromkeys(TO_REALTIME, ask),
            Heartbeat: lambda beat, now: self._deliver[other](
                beat, now
            ),  # no need to model its way
            SendData: lambda output, now: network.send_data(side, output.data, now),
            SendFrame: lambda output, now: self._send_frame(index, output.frame, now),
            SendDatagram: send_datagram,
            Connect: lambda output, now: network.connect(side, peer, now),
            CloseConnection: lambda output, now: network.close(side, now),
        }
        if side == "evse":
            acts[MessageReceived] = lambda output, now: self._answers.forget()
            acts[MessageSent] = self._late_answer

        def carry_out(output: Output, now: float) -> None:
            act = acts.get(type(output))
            if act is not None:
                act(output, now)

        core.heartbeat_s = BEAT_S
        return HangingNode(f"{side}.communication", core, carry_out, self._record, self.silent)

    def _feed(self, name: str, item: Output, now: float) -> None:
        if type(item) is not DataReceived or name != ANSWERS:
            self._deliver[name](item, now)
            return
        began = stopwatch()
        outputs = self._deliver[name](item, now)
        for answer in self._answers.measure(outputs, stopwatch() - began, now):
            self._record(now, name, "out", answer)

    def _late_answer(self, sent: MessageSent, now: float) -> None:
        late = self._answers.late(sent, now)
        if late is not None:
            self._record(now, ANSWERS, "out", late)

    def _send_frame(self, source: int, frame: bytes, now: float) -> None:
        for target, due in self.world.powerline.receive_frame(source, frame, now):
            self.loop.call_at(now, partial(self._frame_arrives, target, due))

    def _frame_arrives(self, index: int, frame: bytes, now: float) -> None:
        self._feed(f"{SIDES[index]}.communication", FrameReceived(frame), now)

    def _powerline_due(self, now: float) -> None:
        for index, frame in self.world.powerline.handle_timer(now):
            self._frame_arrives(index, frame, now)

    def _network_due(self, now: float) -> None:
        for arrival in self.network.deliver(now):
            self._feed(f"{arrival.to}.communication", ARRIVALS[arrival.kind](arrival), now)


ANSWERS = "evse.communication"
"""The node whose answers are measured."""
SIM_PORT = 49152
SETTLE_S = 2.0
"""Time after an end in which everything has to be open and off."""
ARRIVALS: dict[Kind, Callable[[Arrival], Output]] = {
    Kind.DATA: lambda a: DataReceived(a.data),
    Kind.DATAGRAM: lambda a: DatagramReceived(a.data, (a.sender, 0)),
    Kind.OPENED: lambda a: ConnectionMade((a.sender, 0)),
    Kind.CLOSED: lambda a: ConnectionLost("closed by the peer"),
}
