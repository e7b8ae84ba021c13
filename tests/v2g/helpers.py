"""What the V2G tests share: values, a tiny charger and car, a world in virtual time."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from controller.signals import (
    CableCheckState,
    CloseConnection,
    Connect,
    ContactorRequest,
    ControlPilotState,
    InletPilotChanged,
    InletReport,
    IsolationStatus,
    MessageReceived,
    MessageSent,
    Output,
    OutputRequest,
    Phase,
    PilotChanged,
    PowerEnvelope,
    PowerReport,
    S2Request,
    SeccDiscovered,
    SendData,
    SendDatagram,
    StartSdp,
    V2gEnded,
    V2gPhaseChanged,
)
from controller.v2g import v2gtp
from controller.v2g.evcc import Evcc, EvccConfig
from controller.v2g.messages import din
from controller.v2g.sdp import SdpClient, SdpServer
from controller.v2g.secc import Secc, SeccConfig
from controller.v2g.sim import Kind, SimNetwork

ENVELOPE = PowerEnvelope(150.0, 500.0, 0.0, 200.0, 60_000.0)
SESSION_ID = bytes(range(1, 9))
MAC = bytes.fromhex("020000000001")
ADDRESS = bytes.fromhex("fe80000000000000000000fffe000001")
REPORT_S = 0.05


def rng(n: int) -> bytes:
    return SESSION_ID[:n]


def pilot(state: str) -> PilotChanged:
    return PilotChanged(ControlPilotState(state), 9.0, -12.0, 0.05, True)


def report(now: float = 0.0, **changes: object) -> PowerReport:
    base = PowerReport(
        voltage_v=0.0,
        current_a=0.0,
        reading_at=now,
        valid=True,
        contactors_closed=False,
        cable_check=CableCheckState.IDLE,
        isolation=IsolationStatus.INVALID,
        envelope=ENVELOPE,
        output_on=False,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def inlet(now: float = 0.0, **changes: object) -> InletReport:
    base = InletReport(
        inlet_voltage_v=0.0,
        inlet_current_a=0.0,
        battery_voltage_v=380.0,
        soc_percent=50.0,
        maximum_voltage_v=420.0,
        maximum_current_a=120.0,
        target_voltage_v=410.0,
        target_current_a=100.0,
        contactors_closed=False,
        ready=True,
        taken_at=now,
        energy_capacity_wh=60_000.0,
        maximum_power_w=50_000.0,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def frame(body: din.BodyElement | None, session_id: bytes = SESSION_ID) -> bytes:
    message = din.Message(session_id=session_id, body=body)
    return v2gtp.encode(v2gtp.PayloadType.EXI, din.encode(message))


def bodies(outputs: list[Output]) -> list[din.BodyElement]:
    """The DIN messages among outputs."""
    found = []
    for output in outputs:
        if isinstance(output, SendData):
            body = din.decode(v2gtp.parse(output.data).payload).body
            assert body is not None
            found.append(body)
    return found


def of(outputs: list[Output], *kinds: type[Output]) -> list[Output]:
    return [output for output in outputs if isinstance(output, kinds)]


@dataclass
class TinyCharger:
    """Ideal power stage: reaches every target within one report; cable check takes 0.5 s."""

    request: OutputRequest = field(default_factory=lambda: OutputRequest(Phase.IDLE))
    closed: bool = False
    check_until: float | None = None
    checked: bool = False
    fails_check: bool = False
    vehicle_closed: bool = False

    def obey(self, output: Output, now: float) -> None:
        if isinstance(output, ContactorRequest):
            self.closed = output.closed
        elif isinstance(output, OutputRequest):
            if output.phase is Phase.CABLE_CHECK and self.check_until is None:
                self.check_until = now + 0.5
            if output.phase in (Phase.STOPPING, Phase.FAULT, Phase.CONNECTED):
                self.check_until, self.checked, self.closed = None, False, False
            self.request = output

    @property
    def voltage_v(self) -> float:
        on = self.request.phase in (Phase.PRE_CHARGE, Phase.CHARGE) and self.closed
        return self.request.voltage_v if on else 0.0

    @property
    def current_a(self) -> float:
        flows = self.request.phase is Phase.CHARGE and self.closed and self.vehicle_closed
        return self.request.current_a if flows else 0.0

    def report(self, now: float) -> PowerReport:
        state = CableCheckState.IDLE
        if self.check_until is not None:
            done = now >= self.check_until
            result = CableCheckState.FAILED if self.fails_check else CableCheckState.PASSED
            state = result if done else CableCheckState.RUNNING
        return report(
            now,
            voltage_v=self.voltage_v,
            current_a=self.current_a,
            contactors_closed=self.closed,
            cable_check=state,
            isolation=IsolationStatus.VALID
            if state is CableCheckState.PASSED
            else IsolationStatus.INVALID,
        )


@dataclass
class TinyCar:
    """Battery that fills at a fixed rate per ampere; contactors follow within one report."""

    soc: float = 50.0
    closed: bool = False
    s2: bool = False
    ready: bool = True

    def obey(self, output: Output) -> None:
        if isinstance(output, ContactorRequest):
            self.closed = output.closed
        elif isinstance(output, S2Request):
            self.s2 = output.closed

    def report(self, charger: TinyCharger, now: float) -> InletReport:
        return inlet(
            now,
            inlet_voltage_v=380.0 if self.closed else charger.voltage_v,
            inlet_current_a=charger.current_a if self.closed else 0.0,
            soc_percent=self.soc,
            contactors_closed=self.closed,
            ready=self.ready,
        )


@dataclass
class World:
    """Both sides over a SimNetwork, with their tiny realtimes, in virtual time."""

    network: SimNetwork = field(default_factory=SimNetwork)
    charger: TinyCharger = field(default_factory=TinyCharger)
    car: TinyCar = field(default_factory=TinyCar)
    secc_config: SeccConfig = field(default_factory=SeccConfig)
    evcc_config: EvccConfig = field(default_factory=lambda: EvccConfig(MAC, target_soc_percent=52))
    now: float = 100.0
    trace: list[tuple[float, str, Output]] = field(default_factory=list)
    watch: Callable[["World", str, Output], None] | None = None

    def __post_init__(self) -> None:
        self.secc = Secc(self.secc_config, rng)
        self.evcc = Evcc(self.evcc_config)
        self.server, self.client = SdpServer(ADDRESS, 50_000), SdpClient()
        self.report_at = self.now
        self.pilot_letter = "B2"
        self.plugged = True
        self.take("evse", self.server.receive_signal(StartSdp(), self.now))
        self.take("evse", self.secc.receive_signal(pilot("B2"), self.now))
        self.reports()
        self.take("pev", self.client.receive_signal(StartSdp(), self.now))

    def take(self, side: str, outputs: list[Output]) -> None:
        for output in outputs:
            self.trace.append((self.now, side, output))
            if isinstance(output, SendDatagram):
                to = None if output.to is None else output.to[0]
                self.network.send_datagram(side, output.data, to, self.now)
            elif isinstance(output, SendData):
                self.network.send_data(side, output.data, self.now)
            elif isinstance(output, CloseConnection):
                self.network.close(side, self.now)
            elif isinstance(output, Connect):
                self.network.connect("pev", "evse", self.now)
            elif isinstance(output, SeccDiscovered):
                self.take("pev", self.evcc.receive_signal(output, self.now))
            elif side == "evse":
                self.charger.obey(output, self.now)
            else:
                self.car.obey(output)
            if self.watch is not None:
                self.watch(self, side, output)

    def reports(self) -> None:
        self.charger.vehicle_closed = self.car.closed
        self.car.soc += self.charger.current_a * REPORT_S / 100.0
        letter = ("C2" if self.car.s2 else "B2") if self.plugged else "A2"
        if letter != self.pilot_letter:
            self.pilot_letter = letter
            self.take("evse", self.secc.receive_signal(pilot(letter), self.now))
        self.take("evse", self.secc.receive_signal(self.charger.report(self.now), self.now))
        inlet_report = self.car.report(self.charger, self.now)
        self.take("pev", self.evcc.receive_signal(inlet_report, self.now))
        self.report_at = self.now + REPORT_S

    def unplug(self) -> None:
        self.plugged = False
        gone = InletPilotChanged(False, 0.0, False)
        self.take("pev", self.evcc.receive_signal(gone, self.now))
        self.network.kill(self.now)

    def step(self) -> None:
        timers = [
            self.network.next_timer(),
            self.secc.next_timer(),
            self.evcc.next_timer(),
            self.client.next_timer(),
            self.report_at,
        ]
        self.now = max(self.now, min(t for t in timers if t is not None))
        for arrival in self.network.deliver(self.now):
            self.arrive(arrival.to, arrival.kind, arrival.data, arrival.sender)
        for core, side in ((self.secc, "evse"), (self.evcc, "pev"), (self.client, "pev")):
            at = core.next_timer()
            if at is not None and at <= self.now:
                self.take(side, core.handle_timer(self.now))
        if self.now >= self.report_at:
            self.reports()

    def arrive(self, to: str, kind: Kind, data: bytes, sender: str) -> None:
        core = self.secc if to == "evse" else self.evcc
        if kind is Kind.DATAGRAM:
            sdp = self.server if to == "evse" else self.client
            self.take(to, sdp.receive_data(data, (sender, 15118), self.now))
        elif kind is Kind.OPENED:
            self.take(to, core.connection_made(self.now))
        elif kind is Kind.DATA:
            self.take(to, core.receive_data(data, self.now))
        else:
            self.take(to, core.connection_lost(self.now))

    def run(self, limit_s: float = 150.0) -> None:
        """Until both sides have ended; fails the test when they do not within `limit_s`."""
        end = self.now + limit_s
        while len(self.ends) < 2 and self.now < end:
            self.step()

    @property
    def ends(self) -> dict[str, V2gEnded]:
        return {s: o for _, s, o in self.trace if isinstance(o, V2gEnded)}

    def requests(self) -> list[str]:
        return [o.name for _, s, o in self.trace if s == "pev" and isinstance(o, MessageSent)]

    def received(self) -> list[str]:
        return [o.name for _, s, o in self.trace if s == "evse" and isinstance(o, MessageReceived)]

    def codes(self) -> list[str]:
        return [o.code for _, s, o in self.trace if s == "evse" and isinstance(o, MessageSent)]

    def phases(self, side: str) -> list[Phase]:
        return [o.phase for _, s, o in self.trace if s == side and isinstance(o, V2gPhaseChanged)]
