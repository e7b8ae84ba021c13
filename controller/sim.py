"""A simulated site: pilot circuit, power hardware, modem pair, car - and whole sessions in it.

`World` is everything physical, in whatever time `now` is: it gives both controllers their inputs
and carries out their hardware commands. `site` puts real processes around it; `SimWorld` puts the
same cores around it in one process and virtual time, where a 20-minute charge takes a second, and
where tests break whatever they like at any instant.
"""

from __future__ import annotations

from functools import partial
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
from controller.loop import Core, Node, Record, SimLoop, Timed, stopwatch
from controller.plc.pib import SLAC_EVSE, SLAC_PEV
from controller.plc.sim import SimPowerline, seeded_rng
from controller.plc.sim_modem import SimModem
from controller.power.sim import (
    DcCircuit,
    SimCircuitContactors,
    SimIsolationMonitor,
    SimPowerModule,
    SimVehicle,
)
from controller.power.sim_battery import SimBattery
from controller.realtime import EvseRealtime, PevRealtime
from controller.report import REPORTED, Report
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
    OpenContactors,
    Output,
    PevInputs,
    PowerEnvelope,
    SendData,
    SendDatagram,
    SendFrame,
    SetDuty,
    SetOutput,
    SetS2,
    StartIsolationTest,
)
from controller.v2g.sim import Arrival, Kind, SimNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Set

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
TARGET_MARGIN_V = 5.0
"""EVTargetVoltage below the battery's maximum."""


class World:
    """Everything physical at one charger with one car; faults are attributes of its parts."""

    def __init__(self, charger: ChargerConfig, car: CarConfig, seed: int = 1) -> None:
        rng = seeded_rng(f"site/{seed}")
        plate, site, battery = charger.charger, charger.site, car.battery
        self.battery = SimBattery(
            battery.soc_percent,
            battery.capacity_wh,
            resistance_ohm=battery.resistance_ohm,
            maximum_voltage_v=battery.maximum_voltage_v,
            target_voltage_v=battery.maximum_voltage_v - TARGET_MARGIN_V,
            maximum_current_a=battery.maximum_current_a,
            maximum_power_w=battery.maximum_voltage_v * battery.maximum_current_a,
            open_voltage=battery.voltage_v,
            charging=battery.current_a,
        )
        self.circuit = DcCircuit(self.battery)
        self.circuit.output_capacity_f = site.output_capacitor_f
        self.circuit.voltage_slew_v_per_s = site.module_ramp_v_per_s
        self.circuit.envelope = PowerEnvelope(
            plate.minimum_voltage_v,
            plate.maximum_voltage_v,
            plate.minimum_current_a,
            plate.maximum_current_a,
            plate.maximum_power_w,
        )
        self.pilot = PilotCircuit(rng)
        self.module = SimPowerModule(self.circuit, rng)
        self.isolation = SimIsolationMonitor(site.isolation_ohm)
        self.isolation.self_test_s = site.isolation_test_s
        self.vehicle = SimVehicle(self.circuit)
        self.evse_contactors = SimCircuitContactors(self.circuit, self.circuit.evse_contactors)
        self.inlet_contactors = SimCircuitContactors(self.circuit, self.circuit.inlet_contactors)
        self.powerline = SimPowerline(
            [
                SimModem(modem_mac("evse"), slac_mode=SLAC_EVSE, restart_s=MODEM_RESTART_S),
                SimModem(modem_mac("pev"), slac_mode=SLAC_PEV, restart_s=MODEM_RESTART_S),
            ],
            seed=f"powerline/{seed}",
        )
        self.powerline.set_coupling(0, 1, None)
        self.emergency_stop = False
        self.on_change: Callable[[], None] = lambda: None
        """Called when something discrete happened (plug, S2, emergency stop)."""

    @property
    def energy_wh(self) -> float:
        """Energy delivered at the charger's output."""
        return self.circuit.energy_wh

    def advance(self, now: float) -> None:
        """Let time pass."""
        self.circuit.advance(now)

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

    def drop_watchdog(self, side: str = "evse") -> None:
        """Do what the external watchdog does when a side's realtime process is gone: all off."""
        if side == "pev":
            self.circuit.inlet_contactors.set_closed(False)
            self.pilot.s2_closed = False
        else:
            self.circuit.evse_contactors.set_closed(False)
            self.circuit.setpoint = SetOutput(0.0, 0.0, on=False)
            self.pilot.duty = 1.0
        self.on_change()

    # --- hardware ------------------------------------------------------------------------------

    def evse_inputs(self, now: float) -> EvseInputs:
        """Everything the charger's hardware tells."""
        return EvseInputs(
            self.pilot.pilot_sample(now),
            self.module.read(now),
            self.evse_contactors.read(now),
            self.isolation.read(now),
            self.module.envelope(now),
            self.emergency_stop,
        )

    def pev_inputs(self, now: float) -> PevInputs:
        """Everything the vehicle's hardware tells."""
        return PevInputs(
            self.pilot.inlet_sample(now),
            self.inlet_contactors.read(now),
            self.vehicle.read(now),
        )

    def carry_out(self, side: str, output: Output, now: float) -> None:
        """Do what a realtime core commands its hardware to do."""
        contactors = self.evse_contactors if side == "evse" else self.inlet_contactors
        match output:
            case SetOutput():
                self.module.set_output(output, now)
            case SetDuty():
                self.pilot.duty = output.duty
                self.on_change()
            case SetS2():
                self.pilot.s2_closed = output.closed
                self.on_change()
            case CloseContactors():
                self.advance(now)
                contactors.set_closed(True)
            case OpenContactors():
                self.advance(now)
                contactors.set_closed(False)
            case StartIsolationTest():
                self.isolation.start_test()


# --- virtual time --------------------------------------------------------------------------------

IPC_S = 0.0002
"""From one process to the other; measured on Unix sockets: below 0.1 ms."""
RESTING_PERIOD_S = 0.098
"""Frames of a settled realtime core in virtual time: within the 100 ms that a permit lasts."""
MOVES = 0.5
"""Volts or amperes between frames that are no noise: a ramp, a discharge, an opened contact."""
FRESH_S = 0.04
"""Inputs older than this are read anew before anything is decided; a real period is 5 ms."""
BEAT_S = 0.05
"""Heartbeats in virtual time, where nothing is ever late: one within the 60 ms of the interlock."""


class Frames:
    """The period of a realtime core; longer while nothing moves, so that hours cost little."""

    def __init__(
        self, node: Node, inputs: Callable[[float], EvseInputs | PevInputs], period_s: float
    ) -> None:
        self._node = node
        self._inputs = inputs
        self._period_s = period_s
        self.deadline = 0.0
        self.at = 0.0
        """When the last frame ran."""
        self._voltage_v = self._current_a = 0.0
        self.stopped = False
        """No inputs arrive any more; the core's own deadlines still run."""

    def fire(self, now: float) -> None:
        """Run one frame."""
        if self.stopped:
            self.deadline = now + RESTING_PERIOD_S
            return
        self.at = now
        core = self._node.core
        item = self._inputs(now)
        self._node.feed(core.receive, item, now)  # type: ignore[attr-defined]
        settled = core.settled and not self._moves(item)  # type: ignore[attr-defined]
        self.deadline = now + (RESTING_PERIOD_S if settled else self._period_s)

    def _moves(self, item: EvseInputs | PevInputs) -> bool:
        """Say whether voltage or current went anywhere since the last frame: then no rest."""
        if type(item) is EvseInputs:
            voltage_v, current_a = item.output.voltage_v, item.output.current_a
        else:
            assert isinstance(item, PevInputs)
            voltage_v, current_a = item.vehicle.inlet_voltage_v, item.vehicle.inlet_current_a
        moved = abs(voltage_v - self._voltage_v) > MOVES or abs(current_a - self._current_a) > MOVES
        self._voltage_v, self._current_a = voltage_v, current_a
        return moved

    def poke(self, now: float) -> None:
        """Something changed: look again a period from now."""
        self.deadline = min(self.deadline, now + self._period_s)


class SampledNode(Node):
    """A realtime node that decides on fresh inputs, as its own period would bring them.

    Its frames rest while nothing moves; so before a request or a deadline is acted upon, a frame is
    run if the last one is old. A heartbeat decides nothing by itself.
    """

    frames: Frames

    def feed(self, receive: Callable[..., list[Output]], item: object, now: float) -> list[Output]:
        """Give one input to the core."""
        if now - self.frames.at > FRESH_S and type(item) is not Heartbeat:
            self.frames.fire(now)
        return super().feed(receive, item, now)

    def fire(self, now: float) -> list[Output]:
        """Let the core act on its deadlines, unless a fresh look has moved them."""
        if now - self.frames.at > FRESH_S:
            self.frames.fire(now)
            if self.deadline > now:
                return []
        return super().fire(now)


class HangingNode(Node):
    """A node that can hang as a process does: no deadline wakes it, what arrives waits for it."""

    def __init__(
        self,
        name: str,
        core: Core,
        carry_out: Callable[[Output, float], None],
        record: Record,
        silent: Set[str],
    ) -> None:
        super().__init__(name, core, carry_out, record)
        self._silent = silent
        """Sides that hang; the name of this node begins with its side."""
        self._side = name.partition(".")[0]
        self._waiting: list[tuple[Callable[..., list[Output]], object]] = []

    def feed(self, receive: Callable[..., list[Output]], item: object, now: float) -> list[Output]:
        """Give one input to the core, after those that waited while it hung."""
        if self._side in self._silent:
            self._waiting.append((receive, item))
            return []
        if self._waiting:
            self._catch_up(now)
        return super().feed(receive, item, now)

    def fire(self, now: float) -> list[Output]:
        """Let the core act; one that hangs looks again a little later."""
        if self._side in self._silent:
            self.deadline = now + RESTING_PERIOD_S
            return []
        if self._waiting:
            self._catch_up(now)
        return super().fire(now)

    def _catch_up(self, now: float) -> None:
        waiting, self._waiting = self._waiting, []
        for receive, item in waiting:
            super().feed(receive, item, now)


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
        self.silent: set[str] = set()
        """Sides whose communication process is stopped: it neither acts nor beats."""
        self._answers = {side: AnswerTimes() for side in SIDES}
        rng = seeded_rng(f"keys/{seed}")
        address = bytes.fromhex("fe80") + bytes(14)
        self.evse = EvseRealtime(hardware_interlock=charger.charger.interlock == "external")
        self.pev = PevRealtime()
        self.nodes = {
            "evse.realtime": self._realtime("evse", self.evse),
            "pev.realtime": self._realtime("pev", self.pev),
            "evse.communication": self._communication(
                "evse",
                EvseCommunication(charger, host_mac("evse"), address, SIM_PORT, rng),
            ),
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
            "evse": Frames(
                self.nodes["evse.realtime"], self.world.evse_inputs, charger.realtime.period_s
            ),
            "pev": Frames(self.nodes["pev.realtime"], self.world.pev_inputs, car.realtime.period_s),
        }
        for side, frames in self.frames.items():
            node = self.nodes[f"{side}.realtime"]
            assert isinstance(node, SampledNode)
            node.frames = frames
        everything: list[Timed] = [*self.nodes.values(), *self.frames.values()]
        for timed in everything:
            self.loop.add(timed)
        self.world.powerline.on_queued = lambda at: self.loop.call_at(at, self._powerline_due)
        self.network.on_queued = lambda at: self.loop.call_at(at, self._network_due)
        self.world.on_change = self._poke

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
        self.loop.run(limit_s, done=lambda: set(self.report.reasons) == set(SIDES))
        self.run(self.now + SETTLE_S)
        if unplug:
            self.world.unplug()
            self.run(self.now + SETTLE_S)
        return self.report

    def send(self, side: str, item: Output) -> None:
        """Give a signal to a side's communication (a driver's stop, an operator's)."""
        self._feed(f"{side}.communication", item, self.now)

    # --- wiring --------------------------------------------------------------------------------

    def _record(self, now: float, node: str, direction: str, item: Any) -> None:  # noqa: ANN401
        if type(item) in REPORTED:
            self.report.observe(now, node, direction, item)
        for observe in self.observers:
            observe(now, node, direction, item)

    def _poke(self) -> None:
        self.network.cut = not self.world.pilot.plugged
        for frames in self.frames.values():
            frames.poke(self.now)

    def _realtime(self, side: str, core: EvseRealtime | PevRealtime) -> Node:
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

    def _communication(self, side: str, core: Communication) -> Node:
        other = f"{side}.realtime"
        index = SIDES.index(side)
        peer = SIDES[1 - index]
        to_realtime = frozenset(TO_REALTIME)

        def carry_out(output: Output, now: float) -> None:
            if type(output) is Heartbeat:  # decides nothing: no need to model its way
                self._deliver[other](output, now)
                return
            if type(output) in to_realtime:
                self.loop.call_at(now + IPC_S, partial(self._deliver[other], output))
                return
            match output:
                case SendData():
                    self.network.send_data(side, output.data, now)
                case SendFrame():
                    self._send_frame(index, output.frame, now)
                case SendDatagram():
                    to = None if output.to is None else output.to[0]
                    self.network.send_datagram(side, output.data, to, now)
                case Connect():
                    self.network.connect(side, peer, now)
                case CloseConnection():
                    self.network.close(side, now)

        core.heartbeat_s = BEAT_S
        return HangingNode(f"{side}.communication", core, carry_out, self._record, self.silent)

    def _feed(self, name: str, item: Output, now: float) -> None:
        node = self.nodes[name]
        if type(item) is not DataReceived:
            node.feed(node.core.receive, item, now)  # type: ignore[attr-defined]
            return
        began = stopwatch()
        outputs = node.feed(node.core.receive, item, now)  # type: ignore[attr-defined]
        answers = self._answers[name.partition(".")[0]]
        for answer in answers.measure(outputs, stopwatch() - began, now):
            self._record(now, name, "out", answer)

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


SIM_PORT = 49152
SETTLE_S = 2.0
"""Time after an end in which everything has to be open and off."""
ARRIVALS: dict[Kind, Callable[[Arrival], Output]] = {
    Kind.DATA: lambda a: DataReceived(a.data),
    Kind.DATAGRAM: lambda a: DatagramReceived(a.data, (a.sender, 0)),
    Kind.OPENED: lambda a: ConnectionMade((a.sender, 0)),
    Kind.CLOSED: lambda a: ConnectionLost("closed by the peer"),
}
