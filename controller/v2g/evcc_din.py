"""DIN 70121, vehicle: what is asked after which answer, and what its own parts do.

Theory of operation. A state is named after the answer it waits for, or after the own part it waits
for (CLOSING, RAMP_DOWN, OPENING, ABORTING). An answer fires its trigger; `TABLE` says what is asked
next. An Ongoing answer is an internal row: the same request is sent again a little later, and the
time of the whole phase, armed on entry, goes on running.

The order matters where current may flow:

* S2 closes after the parameters are agreed and before the first CableCheckReq, not earlier (faults
  one charger) and not later (another one fails);
* the inlet contactors close when the inlet is within 20 V of the battery, and PowerDelivery(true)
  is asked only after their feedback says closed (a charger answered FAILED_SequenceError to less);
* a normal stop asks for 0 A until the current is gone (two seconds at most, once if the charger
  asked to stop), then PowerDelivery(false), waits for less than 1 A, opens the contactors, and only
  then S2: welding detection needs pilot state B;
* a failure opens S2 at once (that alone makes every charger switch off), the contactors when the
  current is gone or after one second, and says SessionStop if the connection lives.

What chargers get wrong and is accepted: OK instead of OK_NewSessionEstablished, session ids of any
length, SAScheduleTupleID and PMax of any value, NotReady or IsolationMonitoringActive at any time
before energy transfer.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import ClassVar

from controller.errors import ExiError
from controller.signals import (
    ChargerReported,
    InletReport,
    MessageReceived,
    MessageSent,
    Output,
    PeerMisbehaved,
    Phase,
    SendData,
)
from controller.v2g import evcc_din_requests as requests
from controller.v2g import v2gtp
from controller.v2g.evcc_din_answers import is_wish, minimum_voltage_v, status_name, why_refused
from controller.v2g.evcc_din_requests import EvccConfig
from controller.v2g.evcc_din_table import (
    BEFORE_CURRENT,
    DEADLINE_S,
    ENDING,
    ENERGISED,
    LEGAL,
    TABLE,
    TRIGGERS,
    WORKING,
    S,
)
from controller.v2g.evcc_parts import EvccParts
from controller.v2g.messages import din
from controller.v2g.messages.din import EvseProcessing, IsolationLevel
from controller.v2g.session import V2gSession
from controller.v2g.timing import (
    EVCC_ONGOING_INTERVAL_S,
    EVCC_RAMP_DOWN_S,
    EVCC_REPORT_MAX_AGE_S,
    EVCC_S2_SETTLE_S,
    EVCC_WELDING_INTERVAL_S,
    EVCC_WELDING_MAX_ROUNDS,
    V2G_EVCC_MSG_TIMEOUT_S,
    V2G_EVCC_READY_TO_CHARGE_TIMEOUT_S,
)

RESIDUAL_CURRENT_A = 1.0  # IEC 61851-23: below this contactors may open
PRE_CHARGE_TOLERANCE_V = 20.0  # IEC 61851-23 and DIN 70121: close below this difference
SAFE_VOLTAGE_V = 60.0  # IEC 61851-23: touchable
PROTOCOL = "din"

_received = lru_cache(maxsize=64)(MessageReceived)
_sent = lru_cache(maxsize=64)(MessageSent)  # most messages are told again and again
_NEEDS_PILOT = frozenset({*BEFORE_CURRENT, S.POWER_ON, S.CHARGE, S.POWER_OFF})
_GIVEN_UP = (S.ABORTING, S.SESSION_STOP)
_FORGIVING = frozenset({S.POWER_OFF, S.WELDING, S.SESSION_STOP})
"""States in which a FAILED answer changes nothing: the end goes on."""


_CHARGE = S.CHARGE


class DinEvcc(EvccParts):
    """The DIN conversation of one connection; reused for the next one after `begin`."""

    TABLE = TABLE
    INITIAL = S.IDLE
    DEADLINE_S: ClassVar[dict[S, float]] = DEADLINE_S
    ENDLESS = (S.IDLE, S.CHARGE, S.ENDED)
    __slots__ = ("__dict__", "_config", "_request", "_waiting", "inlet")
    state: S

    def __init__(self, config: EvccConfig) -> None:
        super().__init__()
        self._config = config
        self.inlet: InletReport | None = None
        self._request: din.BodyElement | None = None
        self._waiting = False
        self._asked_at = 0.0
        self._minimum_v = 0.0
        self._charger_v = 0.0
        self._welding_rounds = 0
        self._stopping = self._zero_asked = self._hurry = False
        self._zero_at = 0.0

    def _declared(self) -> bool:
        """Stand for a trigger, which the table replaces."""
        return False

    start = unplugged = abort = current_gone = closed = opened = stop_now = _declared
    session_setup_res = service_discovery_res = service_payment_selection_res = _declared
    contract_authentication_res = charge_parameter_discovery_res = cable_check_res = _declared
    pre_charge_res = power_delivery_res = current_demand_res = _declared
    welding_detection_res = session_stop_res = _declared

    # --- from the connection

    def begin(self, session: V2gSession, inlet: InletReport | None, now: float) -> list[Output]:
        """Ask for a session; the protocol has just been agreed."""
        self.session, self.inlet, self.now = session, inlet, now
        self._connected, self._has_session = True, False
        self._stopping = self._zero_asked = self._hurry = self._contactors = False
        self._welding_rounds = 0
        self._minimum_v = 0.0
        self._phase = Phase.IDLE
        self._enter(Phase.CONNECTED)
        session.deadlines.arm("ready", now + V2G_EVCC_READY_TO_CHARGE_TIMEOUT_S)
        self.start()
        self._look_at_inlet()  # what is known already may end it: no S2 for a battery not ready
        return self.drain()

    def receive_data(self, payload: bytes, now: float) -> list[Output]:
        """Take one EXI payload: the answer to what was asked."""
        self.now = now
        try:
            message = din.decode(payload)
        except ExiError as error:
            self.out.append(PeerMisbehaved(str(error), "DIN 70121"))
            self._fail(f"charger sent an unreadable message: {error}")
            return self.drain()
        res = message.body
        name = "an empty message" if res is None else type(res).__name__
        self.out.append(_received(name, PROTOCOL))
        trigger = TRIGGERS.get(type(res)) if res is not None else None
        if self.state in _GIVEN_UP and trigger != "session_stop_res":
            return self.drain()  # the answer to what was asked before we gave up
        if res is None or trigger is None or (self.state, trigger) not in LEGAL:
            self.out.append(PeerMisbehaved(f"{name} in state {self.state.value}", "DIN 70121"))
            self._fail(f"charger sent {name} in state {self.state.value}")
            return self.drain()
        self._receive(res, trigger, message.session_id)
        return self.drain()

    def _receive(self, res: din.BodyElement, trigger: str, session_id: bytes) -> None:
        self._waiting = False
        self.session.deadlines.cancel("answer")
        if trigger == "session_setup_res":
            self._has_session = True
            self.session.session_id = session_id  # any length, as the charger gave it
        self.rx = res
        self._note_output(res)
        reason = why_refused(res, None if self.inlet is None else self.inlet.battery_voltage_v)
        if reason and self.state not in _FORGIVING:
            self._fail(reason)
            return
        if reason:
            self.session.latch(reason)
        if is_wish(res):
            self._hurry = True
            if self._note_wish(f"charger asks to stop: {status_name(res)}"):
                return
        self._minimum_v = minimum_voltage_v(res, self._minimum_v)
        self.fire(trigger)

    def _note_output(self, res: din.BodyElement) -> None:
        voltage = getattr(res, "evse_present_voltage", None)
        if isinstance(voltage, din.PhysicalValue):
            self._charger_v = voltage_v = voltage.si
            current = getattr(res, "evse_present_current", None)
            current_a = current.si if isinstance(current, din.PhysicalValue) else 0.0
            self.out.append(ChargerReported(voltage_v, current_a, status_name(res)))

    def connection_lost(self, now: float) -> list[Output]:
        """Bring the vehicle into safety without the charger."""
        self.now = now
        self._connected = False
        self.session.deadlines.clear()
        self._fail(f"connection lost in state {self.state.value}")
        return self.drain()

    # --- from the vehicle

    def receive_inlet(self, report: InletReport, now: float) -> list[Output]:
        """Take the latest measurement and act on it."""
        self.inlet, self.now = report, now
        self._look_at_inlet()
        return self.drain()

    def _look_at_inlet(self) -> None:
        report = self.inlet
        if report is None:
            return
        if self.state in WORKING and self.state not in ENDING and not report.ready:
            self._fail("battery is not ready")
        elif self.state is _CHARGE:
            if not report.contactors_closed:
                self._fail("inlet contactors opened while charging")
            elif report.soc_percent >= self._config.target_soc_percent:
                self._wish(f"target of {self._config.target_soc_percent:g} % reached")
        elif self.state is S.CLOSING and report.contactors_closed:
            self.closed()
        elif self.state is S.OPENING and not report.contactors_closed:
            self.opened()
        elif abs(report.inlet_current_a) < RESIDUAL_CURRENT_A:
            self.fire("current_gone")  # heeded in RAMP_DOWN and ABORTING

    def receive_pilot(self, plugged: bool, digital: bool, now: float) -> list[Output]:
        """Unplugged: everything off at once. No 5 % any more: the charger has gone."""
        self.now = now
        if not plugged:
            self.session.latch("unplugged")
            self.unplugged()
        elif not digital and self.state in _NEEDS_PILOT:
            self._fail("control pilot lost its 5 % duty")
        return self.drain()

    def stop(self, reason: str, now: float) -> list[Output]:
        """End normally: the driver's or anyone's wish."""
        self.now = now
        self._wish(reason)
        return self.drain()

    def permit_lost(self, reason: str, now: float) -> list[Output]:
        """Note why the contactors open without our asking; their feedback comes later."""
        self.now = now
        if self.state in ENERGISED or self.state is S.CLOSING:
            self._fail(reason)
        return self.drain()

    def fail(self, reason: str, now: float) -> list[Output]:
        """End because of a fault."""
        self.now = now
        self._fail(reason)
        return self.drain()

    def _wish(self, reason: str) -> None:
        if self.state in WORKING and not self._note_wish(reason):
            self.stop_now()

    def _note_wish(self, reason: str) -> bool:
        """Note a wish to end; True if that ended the conversation already."""
        self.session.latch(reason, normal=True)
        self._stopping = True
        if self.state not in BEFORE_CURRENT:
            return False
        self._abort()  # no current flows yet: S2, contactors, SessionStop
        return True

    def _fail(self, reason: str) -> None:
        if self.state in WORKING:
            self.session.latch(reason)
            self.session.fault = True
        self._abort()

    def _abort(self) -> None:
        self.abort()
        if self.state is S.ABORTING and not self._contactors:
            self.current_gone()  # our contactors are not closed: nothing to wait for

    # --- time

    def next_timer(self) -> float | None:
        """Return the earliest of the phase's deadline and the named ones."""
        at, named = self._deadline_at, self.session.deadlines.next()
        if at is None or (named is not None and named < at):
            return named
        return at

    def handle_timer(self, now: float) -> list[Output]:
        """Act on what has become due."""
        self.now = now
        outputs: list[Output] = []
        for name in self.session.deadlines.take_expired(now):
            if name == "ready":
                self._fail("charger was not ready within 150 s")
            elif name == "answer":
                what = "" if self._request is None else type(self._request).__name__
                self._fail(f"charger did not answer {what} in time")
            elif self._resend is not None:
                self._resend()
        self._waited_in = self.state
        return outputs + self.drain() + super().handle_timer(now)

    # --- guards

    def is_ongoing(self) -> bool:
        """Whether the charger wants to be asked again."""
        return getattr(self.rx, "evse_processing", None) is EvseProcessing.Ongoing

    def is_unchecked(self) -> bool:
        """Whether the isolation is not proven yet; Finished with Invalid proves nothing."""
        level = self.rx.dc_evse_status.evse_isolation_status
        return self.is_ongoing() or level is IsolationLevel.Invalid

    def is_voltage_equal(self) -> bool:
        """Whether the inlet is near enough to the battery to close the contactors."""
        report = self.inlet
        if report is None or not report.ready or self.now - report.taken_at > EVCC_REPORT_MAX_AGE_S:
            return False
        difference_v = abs(report.inlet_voltage_v - report.battery_voltage_v)
        return (
            difference_v <= PRE_CHARGE_TOLERANCE_V and report.battery_voltage_v >= self._minimum_v
        )

    def is_stopping(self) -> bool:
        """Whether someone wants the end."""
        return self._stopping

    def may_power_off(self) -> bool:
        """Whether 0 A were asked for and the current has followed, or has had its time.

        A charger that wants the end itself is not kept waiting.
        """
        if not self._zero_asked:
            return False
        low = self.inlet is not None and abs(self.inlet.inlet_current_a) < RESIDUAL_CURRENT_A
        return low or self._hurry or self.now - self._zero_at >= EVCC_RAMP_DOWN_S

    def is_idle(self) -> bool:
        """Whether no answer is awaited."""
        return not self._waiting and not self._zero_asked

    def is_voltage_left(self) -> bool:
        """Whether another round of welding detection makes sense."""
        return self._charger_v >= SAFE_VOLTAGE_V and self._welding_rounds < EVCC_WELDING_MAX_ROUNDS

    # --- actions: asking

    def _ask(self, request: din.BodyElement, timeout_s: float = V2G_EVCC_MSG_TIMEOUT_S) -> None:
        self._request, self._resend = request, None
        self._waiting = True
        message = din.Message(session_id=self.session.session_id, body=request)
        payload = din.encode(message, canonical=False)  # codecs in C want empty values so
        self.out.append(SendData(v2gtp.encode(v2gtp.EXI, payload)))
        self.out.append(_sent(type(request).__name__, PROTOCOL))
        self.session.deadlines.cancel("ask")
        self.session.deadlines.arm("answer", self.now + timeout_s)

    def _ask_at(self, ask: Callable[[], None], at: float) -> None:
        self._resend = ask
        self.session.deadlines.arm("ask", at)

    def ask_session_setup(self) -> None:
        """Open a session; the header's id is 0."""
        self.session.session_id = b"\x00" * 8
        self._ask(din.SessionSetupReq(evcc_id=self._config.evcc_id))

    def ask_services(self) -> None:
        """Ask what is offered."""
        self._ask(din.ServiceDiscoveryReq(service_category=din.ServiceCategory.EVCharging))

    def ask_payment(self) -> None:
        """Choose the charge service, paid outside of the vehicle."""
        self._ask(requests.service_payment_selection_req(self.rx))

    def ask_authorisation(self) -> None:
        """Ask whether the driver may charge."""
        self._ask(din.ContractAuthenticationReq())

    def ask_parameters(self) -> None:
        """Tell what the vehicle wants and can."""
        self._ask_or_fail(requests.charge_parameter_discovery_req)

    def _ask_or_fail(
        self,
        build: Callable[[InletReport, EvccConfig], din.BodyElement],
        timeout_s: float = V2G_EVCC_MSG_TIMEOUT_S,
    ) -> None:
        if self.inlet is None or self.now - self.inlet.taken_at > EVCC_REPORT_MAX_AGE_S:
            # an action must not trigger: let the deadline do it, at once
            self.session.latch("no fresh report from the vehicle's battery")
            self.session.deadlines.arm("answer", self.now)
            self._request = None
            return
        self._ask(build(self.inlet, self._config), timeout_s)

    def ask_again(self) -> None:
        """Repeat the request a little later, with what is known then."""
        ask = {
            S.AUTHORISATION: self.ask_authorisation,
            S.PARAMETERS: self.ask_parameters,
            S.CABLE_CHECK: self._ask_cable_check,
            S.PRE_CHARGE: self._ask_pre_charge,
        }[self.state]
        self._ask_at(ask, self.now + EVCC_ONGOING_INTERVAL_S)

    def ask_cable_check(self) -> None:
        """Ask for the isolation test as soon as the pilot shows state C."""
        self._enter(Phase.CABLE_CHECK)
        self._ask_at(self._ask_cable_check, self.now + EVCC_S2_SETTLE_S)

    def _ask_cable_check(self) -> None:
        self._ask_or_fail(requests.cable_check_req)

    def ask_pre_charge(self) -> None:
        """Ask for the battery's voltage at the inlet."""
        self._enter(Phase.PRE_CHARGE)
        self._ask_pre_charge()

    def _ask_pre_charge(self) -> None:
        self._ask_or_fail(requests.pre_charge_req)

    def ask_power_on(self) -> None:
        """Contactors are closed: let the charger deliver."""
        self._ask_or_fail(requests.power_on_req)

    def ask_first_current(self) -> None:
        """Begin the charge loop."""
        self.session.deadlines.cancel("ready")
        self._enter(Phase.CHARGE)
        if self._stopping:
            self.ask_zero()
        else:
            self._ask_current()

    def ask_current_later(self) -> None:
        """Ask for the next current when the interval since the last request is over."""
        asked_at = self._asked_at
        self._ask_at(
            self._ask_current, max(self.now, asked_at + self._config.current_demand_interval_s)
        )

    def _ask_current(self) -> None:
        self._asked_at = self.now
        self._ask_or_fail(requests.current_demand_req, self._config.current_demand_timeout_s)

    def ask_zero(self) -> None:
        """Ask for no current any more: the first step of a normal stop; again until it is gone."""
        if self._zero_asked:
            at = self._asked_at + self._config.current_demand_interval_s
            self._ask_at(self._ask_zero, max(self.now, at))
            return
        self._zero_asked, self._zero_at = True, self.now
        self._ask_zero()

    def _ask_zero(self) -> None:
        self._asked_at = self.now
        self._ask_or_fail(requests.no_current_req, self._config.current_demand_timeout_s)

    def ask_power_off(self) -> None:
        """Ask the charger to switch off."""
        self._ask_or_fail(requests.power_off_req)

    def ask_welding(self) -> None:
        """Ask for the charger's voltage, as soon as the pilot shows state B."""
        self._enter(Phase.STOPPING)
        self._ask_at(self._ask_welding, self.now + EVCC_S2_SETTLE_S)

    def ask_welding_again(self) -> None:
        """Ask once more a little later: the voltage has not fallen yet."""
        self._ask_at(self._ask_welding, self.now + EVCC_WELDING_INTERVAL_S)

    def _ask_welding(self) -> None:
        self._welding_rounds += 1
        self._ask_or_fail(requests.welding_detection_req)

    def ask_session_stop(self) -> None:
        """Say goodbye."""
        self._ask(din.SessionStopReq())

    def expect_nothing(self) -> None:
        """Ask nothing while the current falls."""
        self._request = None
