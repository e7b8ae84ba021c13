"""Every message that crosses a subsystem or a process: the best one-page summary of the system.

Three kinds, told apart by their grammar: *inputs* (a sample, a reading: nouns, from drivers),
*commands* (imperative: `SetDuty`, `SendFrame`; the loop carries them out) and *facts* (past or
state: `PilotChanged`, `SlacMatched`; other cores and the trace read them). All are frozen: the list
of outputs that a core returns is also the log. Units are in the names; times are absolute monotonic
seconds; a duty cycle is a fraction 0..1.

Between the processes `communication` and `realtime` only these cross, and only so:
communication *requests* (`Heartbeat`, `DutyRequest`, `CurrentRequest`, `OutputRequest`,
`ContactorRequest`, `S2Request`, `WakeRequest`), realtime *grants and reports* (`PilotChanged`,
`PowerReport`, `CurrentOffered`, `InterlockReport`, `InletReport`). Nothing that communication says
can close a contactor by itself: see `interlock`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from controller.frozen import quick

DutyCycle = float
"""Fraction 0..1 of the 1 kHz period at +12 V; 1.0 is steady +12 V, 0.0 steady -12 V (state F)."""

DUTY_STEADY_HIGH: DutyCycle = 1.0
DUTY_DIGITAL: DutyCycle = 0.05
"""5 %: digital communication required (IEC 61851-1 Table A.8; 3 to 7 % are read as this)."""
DUTY_STEADY_LOW: DutyCycle = 0.0


class Output:
    """Base of all that a core returns."""

    __slots__ = ()


# --- control pilot -----------------------------------------------------------------------------


class ControlPilotState(Enum):
    """IEC 61851-1 Table A.4: letter by voltage, digit 1 without and 2 with oscillator."""

    A1 = "A1"  # no vehicle
    A2 = "A2"
    B1 = "B1"  # vehicle connected, not ready
    B2 = "B2"
    C1 = "C1"  # vehicle ready (S2 closed)
    C2 = "C2"
    D1 = "D1"  # vehicle ready, ventilation wanted
    D2 = "D2"
    E = "E"  # short circuit or supply lost: 0 V
    F = "F"  # charger not available: steady -12 V

    @property
    def letter(self) -> str:
        """A, B, C, D, E or F."""
        return self.value[0]


@dataclass(frozen=True, slots=True)
class PilotSample(Output):
    """One reading of the charger's pilot: levels at the peak detectors, in volts at the pin CP."""

    high_v: float
    low_v: float
    """Negative peak; about equal to high_v when the pilot is steady."""
    taken_at: float


@dataclass(frozen=True, slots=True)
class InletSample(Output):
    """One reading of the vehicle's inlet: what arrives on CP (behind its diode) and PP."""

    high_v: float
    """Voltage of the high phase, behind the vehicle's diode; 0 when nothing is plugged in."""
    duty: DutyCycle
    """Measured duty cycle; 1.0 for steady high, 0.0 for no positive signal."""
    plugged: bool
    """Proximity (PP) shows a connector; `proximity_ohm`, where it is measured, decides."""
    taken_at: float
    frequency_hz: float = 1000.0
    """Of the oscillator; means nothing while the pilot is steady."""
    proximity_ohm: float | None = None
    """The plug's resistor from PP to PE (1 MOhm: none); None: only `plugged` is known."""


@dataclass(frozen=True, slots=True)
class SetDuty(Output):
    """Drive the pilot with this duty cycle (1 kHz; 1.0 and 0.0 are steady)."""

    duty: DutyCycle


@dataclass(frozen=True, slots=True)
class SetS2(Output):
    """Vehicle: switch S2 (adds the 1.3 kOhm: state C)."""

    closed: bool


class PilotFault(Enum):
    """Charger: what is wrong with the pilot beyond its letter, in words."""

    NONE = ""
    SHORT = "the pilot is short-circuited to PE, or its supply is dead (state E)"
    RANGE = "the pilot's voltage is outside what its generator can make"
    SUPPLY = "the generator's +12 V is missing (state E or F)"
    DIODE = "the vehicle's pilot diode is missing or shorted"
    NEGATIVE_SUPPLY = "the generator's -12 V is missing"
    OPEN = "the pilot was lost under load (state A: wire open, or unplugged)"
    VENTILATION = "the vehicle wants ventilation (state D), and there is none"


@dataclass(frozen=True, slots=True)
class PilotChanged(Output):
    """Charger: the debounced pilot state, and what was measured then."""

    state: ControlPilotState
    high_v: float
    low_v: float
    duty: DutyCycle
    """What the charger drives."""
    diode_ok: bool
    """The negative half wave reached -12 V with the vehicle's diode in place (Table A.4 note)."""
    fault: PilotFault = PilotFault.NONE
    held: str = ""
    """Why the oscillator stays off until the vehicle is unplugged, whatever is asked; or empty."""


@dataclass(frozen=True, slots=True)
class BcbToggled(Output):
    """Charger: the vehicle went from B to C and back, as a signal (200 to 400 ms)."""

    duration_s: float
    count: int
    """How many of this series (TT_EVSE_vald_toggle): 1, 2, 3."""


@dataclass(frozen=True, slots=True)
class SequenceTimed(Output):
    """Charger: a sequence of IEC 61851-1 Table A.6 has ended, or its time is over."""

    number: str
    what: str
    took_s: float
    limit_s: float
    kept: bool


@dataclass(frozen=True, slots=True)
class InletPilotChanged(Output):
    """Vehicle: the debounced pilot as the vehicle sees it."""

    plugged: bool
    duty: DutyCycle
    digital: bool
    """Duty is 3 to 7 %: the charger wants digital communication."""
    button: bool = False
    """CCS1: the latch's button is pressed; somebody is about to pull the connector."""
    cable_a: float = 0.0
    """CCS2: what the cable may carry (AC); 0: not known."""
    fault: str = ""
    """What is wrong with the inlet: nothing may flow until it is gone."""


# --- requests: communication to realtime -------------------------------------------------------


class Phase(Enum):
    """Where the session is, as the communication process believes; both processes must agree."""

    IDLE = "idle"  # nothing plugged in
    CONNECTED = "connected"  # plugged; SLAC, SDP, parameters: no power
    CABLE_CHECK = "cable check"
    PRE_CHARGE = "pre-charge"
    CHARGE = "charge"
    STOPPING = "stopping"  # ramp down, open, welding detection
    FAULT = "fault"


POWER_PHASES = frozenset({Phase.CABLE_CHECK, Phase.PRE_CHARGE, Phase.CHARGE})
"""The phases in which contactors may be closed at all."""


@dataclass(frozen=True, slots=True)
class Heartbeat(Output):
    """Communication is alive and believes this; its absence withdraws every permit."""

    sequence: int
    phase: Phase
    sent_at: float | None = None
    """When; a beat that waited on its way proves no more than that it was sent then. None: it had
    no way to go (virtual time)."""


@dataclass(frozen=True, slots=True)
class DutyRequest(Output):
    """Ask for a pilot duty cycle (granted unless a fault holds the pilot)."""

    duty: DutyCycle


@dataclass(frozen=True, slots=True)
class CurrentRequest(Output):
    """AC charger: ask to offer this current by a nominal duty; less than 6 A: offer none (X1).

    What is offered is never more than the charger, its installation and its cable allow.
    """

    current_a: float


@dataclass(frozen=True, slots=True)
class OutputRequest(Output):
    """Ask for DC output; clamped by the limits, ramped by the stage, held by the interlock.

    CABLE_CHECK runs the whole isolation test by itself (voltage_v: the vehicle's maximum).
    PRE_CHARGE and CHARGE follow the vehicle's targets. STOPPING ramps down, switches the module off
    and then opens. Any other phase means off.
    """

    phase: Phase
    voltage_v: float = 0.0
    current_a: float = 0.0
    vehicle_maximum_voltage_v: float = 0.0
    """EVMaximumVoltageLimit; above it the over-voltage supervision stops (0: not yet known)."""


@dataclass(frozen=True, slots=True)
class ContactorRequest(Output):
    """Ask for the contactors of one's own side (charger: DC outlet; vehicle: DC inlet)."""

    closed: bool


@dataclass(frozen=True, slots=True)
class S2Request(Output):
    """Vehicle: ask for S2 (state C)."""

    closed: bool


@dataclass(frozen=True, slots=True)
class WakeRequest(Output):
    """Vehicle: ask for one B-C-B toggle of S2, to wake a charger whose pilot is steady."""


@dataclass(frozen=True, slots=True)
class ResetRequest(Output):
    """Operator: forget latched faults; heeded only with no vehicle plugged in."""


REQUESTS: tuple[type[Output], ...] = (
    Heartbeat,
    DutyRequest,
    CurrentRequest,
    OutputRequest,
    ContactorRequest,
    S2Request,
    WakeRequest,
    ResetRequest,
)
"""All that one process may ask of the other; anything else is no request, whatever it says."""


# --- reports: realtime to communication --------------------------------------------------------


class IsolationStatus(Enum):
    """DIN 70121 / IEC 61851-23 isolation status of the DC output."""

    INVALID = "invalid"  # not tested
    VALID = "valid"
    WARNING = "warning"
    FAULT = "fault"

    __hash__ = object.__hash__  # by identity: looked up with every message


class CableCheckState(Enum):
    """Progress of the isolation test before energy transfer."""

    IDLE = "idle"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class OutputReading(Output):
    """What the DC output really carries: at the module's terminals, before the contactors."""

    voltage_v: float
    current_a: float
    taken_at: float
    valid: bool = True


@dataclass(frozen=True, slots=True)
class ContactorReading(Output):
    """Feedback (mirror contacts) of the contactors."""

    closed: bool
    taken_at: float
    valid: bool = True


@dataclass(frozen=True, slots=True)
class IsolationReading(Output):
    """Insulation resistance of the DC output to PE, from the isolation monitor (IMD)."""

    resistance_ohm: float
    self_test_ok: bool
    taken_at: float
    valid: bool = True


@dataclass(frozen=True, slots=True)
class PowerEnvelope(Output):
    """What the charger can deliver now (nameplate, module count, derating)."""

    minimum_voltage_v: float
    maximum_voltage_v: float
    minimum_current_a: float
    maximum_current_a: float
    maximum_power_w: float


@dataclass(frozen=True, slots=True)
class PowerReport(Output):
    """Charger: all that a V2G answer needs, published by realtime; answers wait for no more."""

    voltage_v: float
    current_a: float
    reading_at: float
    valid: bool
    contactors_closed: bool
    cable_check: CableCheckState
    isolation: IsolationStatus
    envelope: PowerEnvelope
    output_on: bool
    voltage_limited: bool = False
    current_limited: bool = False
    power_limited: bool = False


@dataclass(frozen=True, slots=True)
class PowerStageChanged(Output):
    """The power stage entered this state (for display and trace); `reason` if something failed."""

    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Permits(Output):
    """What the interlock allows until `expires_at`; nothing else may close or energise."""

    close_contactors: bool
    energise: bool
    expires_at: float
    reasons: tuple[str, ...] = ()
    """Why something is withheld, most important first; empty when all is granted."""


@dataclass(frozen=True, slots=True)
class InterlockReport(Output):
    """The interlock's view, for the other process, the display and the trace."""

    close_contactors: bool
    energise: bool
    reasons: tuple[str, ...]
    latched: str
    """The fault that holds until unplugging, or empty."""
    emergency: bool
    """The latched fault demands an emergency stop (tell the vehicle at once)."""


@dataclass(frozen=True, slots=True)
class InterlockTested(Output):
    """The self-test of the external interlock proved (or disproved) a part of it."""

    part: str
    """"interlock" is the result of the whole test; if not `ok`, bench mode (vehicle: no DC)."""
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class CurrentOffered(Output):
    """AC charger: what the vehicle may draw per phase; it was told so by the pilot's duty."""

    current_a: float
    limited_by: str
    """What holds it there (charger, installation, cable, request); at 0 A: why, in words."""


@dataclass(frozen=True, slots=True)
class InletReport(Output):
    """Vehicle: everything the EVCC needs, published by its realtime half."""

    inlet_voltage_v: float
    inlet_current_a: float
    battery_voltage_v: float
    soc_percent: float
    maximum_voltage_v: float
    maximum_current_a: float
    target_voltage_v: float
    target_current_a: float
    """What the battery accepts now (charging curve)."""
    contactors_closed: bool
    ready: bool
    """Battery healthy and data fresh."""
    taken_at: float
    energy_capacity_wh: float = 0.0
    maximum_power_w: float = 0.0


NO_CABLE_OHM = 1e6
"""An open PP: `AcReading.cable_ohm` without a cable (a finite number, because it is sent)."""


@dataclass(frozen=True, slots=True)
class AcReading(Output):
    """AC charger: what its installation and its socket outlet tell."""

    cable_ohm: float
    """PP resistor of the cable in the socket outlet (its rating); NO_CABLE_OHM without one."""
    rcd_tripped: bool
    live_behind: bool
    """Voltage behind the contactor: while that is open, a welded contact."""
    phases: int
    """How many of L1, L2, L3 carry mains voltage."""
    current_a: float
    """Highest phase current of the meter; 0 without a meter."""
    taken_at: float
    valid: bool = True
    power_w: float = 0.0
    """Active power of the meter, all phases; 0 without a meter."""


@dataclass(frozen=True, slots=True)
class EvseInputs(Output):
    """Everything the charger's hardware tells in one period."""

    pilot: PilotSample
    output: OutputReading
    contactors: ContactorReading
    isolation: IsolationReading
    envelope: PowerEnvelope
    emergency_stop: bool = False
    chain_open: bool = False
    """The hardware interlock has opened its chain (or the wire that tells it is broken)."""
    ac: AcReading | None = None
    """AC chargers only."""
    coils_live: bool | None = None
    """Coils and module enable have their supply: chain closed *and* the CP-loss part sees C2 or D2;
    None: the board does not read it back (then the interlock cannot be proved)."""
    stops_disagree: bool = False
    """The two channels of the emergency stop say different things."""
    connector_c: float | None = None
    """Temperature of the connector in degrees Celsius; not a number: its sensor is broken; None:
    there is none."""


@dataclass(frozen=True, slots=True)
class PevInputs(Output):
    """Everything the vehicle's hardware tells in one period."""

    pilot: InletSample
    contactors: ContactorReading
    vehicle: InletReport
    chain_open: bool = False
    """The hardware interlock has opened its chain (or the wire that tells it is broken)."""
    chain_read: bool = False
    """The board feeds a watchdog and reads its chain back: it has to prove that it works."""


@dataclass(frozen=True, slots=True)
class LoopReport(Output):
    """Realtime: how well its period is kept, since the process started."""

    periods: int
    overruns: int
    """Periods that were skipped because the one before took too long."""
    worst_late_s: float
    culprit: str
    """What ran longest in the period that caused the last overrun; empty: none yet."""
    problem: str = ""
    """What of the hardware does not work at the moment, in words."""
    late_p50_s: float = 0.0
    """How late periods began: half of them no later than this."""
    late_p99_s: float = 0.0
    late_p999_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Noted(Output):
    """Something for the record that no core said: a process ended, a peer was shut out."""

    what: str


# --- commands to power hardware ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetWatchdog(Output):
    """Toggle the external watchdog after every complete period, or stop toggling (self-test)."""

    toggling: bool


@dataclass(frozen=True, slots=True)
class SetOutput(Output):
    """Set-point of the DC power module, resent cyclically; `on=False` is off whatever the rest."""

    voltage_v: float
    current_a: float
    on: bool


@dataclass(frozen=True, slots=True)
class CloseContactors(Output):
    """Energise the contactor coils."""


@dataclass(frozen=True, slots=True)
class OpenContactors(Output):
    """De-energise the contactor coils, and say why."""

    reason: str


@dataclass(frozen=True, slots=True)
class StartIsolationTest(Output):
    """Let the isolation monitor run its self-test and measure."""


@dataclass(frozen=True, slots=True)
class SetOnboardCurrent(Output):
    """Vehicle: the on-board charger may draw this much AC current per phase; 0: nothing."""

    current_a: float


# --- modem and SLAC ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendFrame(Output):
    """Send one Ethernet frame (without FCS, padded to 60 bytes) on the modem's interface."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class SetModemKey(Output):
    """Give the own modem this network (CM_SET_KEY)."""

    nid: bytes
    nmk: bytes


@dataclass(frozen=True, slots=True)
class ModemKeySet(Output):
    """The modem confirmed the key."""

    nid: bytes


@dataclass(frozen=True, slots=True)
class ModemFound(Output):
    """The own modem answered: who it is and what runs in it."""

    mac: bytes
    firmware: str


@dataclass(frozen=True, slots=True)
class ModemFailed(Output):
    """The modem does not answer, or refused; what was tried."""

    reason: str


@dataclass(frozen=True, slots=True)
class WatchLink(Output):
    """Start (or stop) polling the modem for the powerline link."""

    on: bool


@dataclass(frozen=True, slots=True)
class LinkChanged(Output):
    """The powerline link of the own modem came up or went down."""

    up: bool


@dataclass(frozen=True, slots=True)
class StartSlac(Output):
    """Begin matching: the charger waits for a vehicle, the vehicle looks for its charger."""


@dataclass(frozen=True, slots=True)
class StopSlac(Output):
    """Forget the peer; the charger also gives its modem a fresh random key."""


@dataclass(frozen=True, slots=True)
class SlacPhaseChanged(Output):
    """The matching process entered this state (for display and trace)."""

    phase: str


@dataclass(frozen=True, slots=True)
class SlacMatched(Output):
    """Matching done: both modems are to be in this network."""

    peer_mac: bytes
    run_id: bytes
    nid: bytes
    nmk: bytes
    attenuation_db: float


@dataclass(frozen=True, slots=True)
class SlacFailed(Output):
    """Matching ended without a match."""

    reason: str
    begun: bool = False
    """The other side had begun to match (ISO 15118-3 demands another way out of it then)."""


@dataclass(frozen=True, slots=True)
class FrameReceived(Output):
    """A HomePlug frame arrived on the modem's interface."""

    frame: bytes


# --- IP: SDP and V2G ---------------------------------------------------------------------------

Address = tuple[str, int]
"""IPv6 address (with %scope where link-local) and port."""


@dataclass(frozen=True, slots=True)
class StartSdp(Output):
    """Charger: answer SDP and accept a connection; vehicle: look for the charger."""


@dataclass(frozen=True, slots=True)
class StopSdp(Output):
    """Answer (or ask) no more."""


@dataclass(frozen=True, slots=True)
class DatagramReceived(Output):
    """A UDP datagram arrived at the SDP socket."""

    data: bytes
    sender: Address


@dataclass(frozen=True, slots=True)
class ConnectionMade(Output):
    """The session's TCP connection is open."""

    peer: Address


@dataclass(frozen=True, slots=True)
class DataReceived(Output):
    """Bytes arrived on the session's TCP connection: any split, any coalescing."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ConnectionLost(Output):
    """The session's TCP connection is closed, reset, or could not be opened."""

    reason: str


@dataclass(frozen=True, slots=True)
class SendDatagram(Output):
    """Send one UDP datagram; `to=None` is the SDP multicast group ff02::1, port 15118."""

    data: bytes
    to: Address | None


@dataclass(frozen=True, slots=True)
class SeccDiscovered(Output):
    """Vehicle: the charger answered SDP; connect to exactly this address and port."""

    address: bytes
    """IPv6 address, 16 bytes."""
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class SdpFailed(Output):
    """Vehicle: no charger answered all SDP requests."""

    reason: str


@dataclass(frozen=True, slots=True)
class Connect(Output):
    """Vehicle: open the TCP connection."""

    address: bytes
    port: int


@dataclass(frozen=True, slots=True)
class SendData(Output):
    """Send these bytes on the session's TCP connection."""

    data: bytes


@dataclass(frozen=True, slots=True)
class CloseConnection(Output):
    """Close the session's TCP connection."""

    reason: str


@dataclass(frozen=True, slots=True)
class MessageReceived(Output):
    """A V2G message arrived and was decoded (the bytes are in `DataReceived`)."""

    name: str
    protocol: str


@dataclass(frozen=True, slots=True)
class MessageSent(Output):
    """A V2G message was answered or asked."""

    name: str
    protocol: str
    code: str = ""
    """ResponseCode of a response, else empty."""


@dataclass(frozen=True, slots=True)
class AnswerMeasured(Output):
    """How long an answer took, bytes in to bytes out, in seconds."""

    name: str
    """The response."""
    computed_s: float
    """Wall-clock time this process worked on it."""
    waited_s: float
    """Session time between request and response (0 when answered at once)."""


@dataclass(frozen=True, slots=True)
class Authorised(Output):
    """Charger: the driver may charge (card, app, free); until then the vehicle is told to wait."""

    by: str


@dataclass(frozen=True, slots=True)
class VehicleReported(Output):
    """Charger: what the vehicle's last request said (for display and trace)."""

    soc_percent: int
    target_voltage_v: float
    target_current_a: float


@dataclass(frozen=True, slots=True)
class ChargerReported(Output):
    """Vehicle: what the charger's last answer said it delivers (for display and trace)."""

    voltage_v: float
    current_a: float
    status: str
    """DC_EVSEStatusCode."""


@dataclass(frozen=True, slots=True)
class PeerMisbehaved(Output):
    """A peer's bytes or messages were not what the standard allows; answered, counted, recorded."""

    reason: str
    clause: str = ""


@dataclass(frozen=True, slots=True)
class V2gPhaseChanged(Output):
    """The V2G session entered this phase (see `Phase`); the station follows it."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class V2gEnding(Output):
    """The V2G session has its first reason to end; told once, when it arises. The end follows."""

    reason: str


@dataclass(frozen=True, slots=True)
class V2gEnded(Output):
    """The V2G session is over: normally after SessionStop, else with the reason."""

    reason: str
    normal: bool


# --- station -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StopRequest(Output):
    """Someone wants the session to end normally (driver, operator, limit reached)."""

    reason: str


@dataclass(frozen=True, slots=True)
class ChargeRequest(Output):
    """Vehicle: the driver wants to charge (again): a charger that sleeps is to be woken."""


@dataclass(frozen=True, slots=True)
class WakeFailed(Output):
    """Vehicle: the charger did not start its oscillator, however often it was asked to."""

    tries: int


@dataclass(frozen=True, slots=True)
class EmergencyStop(Output):
    """End at once: the vehicle is told by the status code of the next answer, power is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class StationChanged(Output):
    """The station entered this state."""

    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SessionEnded(Output):
    """One plug-in is over; `reason` is the first cause, `normal` whether all went as agreed."""

    reason: str
    normal: bool


for _kind in tuple(globals().values()):
    if isinstance(_kind, type) and issubclass(_kind, Output) and _kind is not Output:
        quick(_kind)
