"""DIN 70121, charger: which request is legal when, and what the charger does besides answering.

Theory of operation. A state is named after what is expected next. A request that `TABLE` has no row
for is answered FAILED_SequenceError, one with a foreign session id FAILED_UnknownSession
([V2G-DC-666]: answered, never ignored). For a legal one the pure handler makes the response; when
that is a success the request's own trigger is fired, else `refused`. So the table knows nothing of
bytes, and the handlers nothing of states.

Three ways out, all of which end with power off and a latched reason:

* the vehicle ends: PowerDelivery(false); its answer is held back until the current is gone, at most
  1.5 s (RAMP_DOWN); WeldingDetection waits likewise for pilot state B (WAIT_STATE_B);
* we end: a StopRequest makes the answers say EVSE_Shutdown; whoever does not heed that within its
  time is switched off. Emergency stop, interlock, or a pilot that leaves C and D switch off at
  once, while the answers go on and tell the status code, so that the vehicle can end in good order;
* something fails: a FAILED answer or silence switches off; SessionStop is still answered, as in
  every state, because several vehicles keep the plug locked without that answer. When the
  connection is gone before the current, the end is reported only after the ramp (EMPTYING): whoever
  hears of the end may open the contactors.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar

from controller.errors import ExiError
from controller.machine import TableMachine
from controller.signals import (
    POWER_PHASES,
    CableCheckState,
    CloseConnection,
    ContactorRequest,
    MessageReceived,
    MessageSent,
    Output,
    OutputRequest,
    PeerMisbehaved,
    Phase,
    PilotChanged,
    PowerEnvelope,
    PowerReport,
    SendData,
    V2gEnded,
    V2gPhaseChanged,
)
from controller.v2g import secc_din_handlers as handlers
from controller.v2g import v2gtp
from controller.v2g.messages import din
from controller.v2g.messages.din import EvseProcessing, ResponseCode
from controller.v2g.secc_din_responses import refuse
from controller.v2g.secc_din_table import DEADLINE_S, ENERGISED, HOLDING, LEGAL, TABLE, WORKING, S
from controller.v2g.session import SeccSession, Stop
from controller.v2g.timing import SECC_ABORT_LINGER_S

_Handler = Callable[[Any, SeccSession, PowerReport | None, PowerEnvelope, float], handlers.Answer]

HANDLERS: dict[type[din.BodyElement], tuple[str, _Handler | None]] = {
    din.SessionSetupReq: ("session_setup_req", handlers.handle_session_setup),
    din.ServiceDiscoveryReq: ("service_discovery_req", handlers.handle_service_discovery),
    din.ServiceDetailReq: ("service_detail_req", handlers.handle_service_detail),
    din.ServicePaymentSelectionReq: (
        "service_payment_selection_req",
        handlers.handle_service_payment_selection,
    ),
    din.ContractAuthenticationReq: (
        "contract_authentication_req",
        handlers.handle_contract_authentication,
    ),
    din.ChargeParameterDiscoveryReq: (
        "charge_parameter_discovery_req",
        handlers.handle_charge_parameter_discovery,
    ),
    din.CableCheckReq: ("cable_check_req", handlers.handle_cable_check),
    din.PreChargeReq: ("pre_charge_req", handlers.handle_pre_charge),
    din.PowerDeliveryReq: ("power_delivery_req", handlers.handle_power_delivery),
    din.CurrentDemandReq: ("current_demand_req", handlers.handle_current_demand),
    din.WeldingDetectionReq: ("welding_detection_req", handlers.handle_welding_detection),
    din.SessionStopReq: ("session_stop_req", handlers.handle_session_stop),
    # not for DC with external payment: no row has these triggers, so they are out of order always
    din.PaymentDetailsReq: ("payment_details_req", None),
    din.ChargingStatusReq: ("charging_status_req", None),
    din.MeteringReceiptReq: ("metering_receipt_req", None),
    din.CertificateUpdateReq: ("certificate_update_req", None),
    din.CertificateInstallationReq: ("certificate_installation_req", None),
}
"""Request type -> (its trigger, its handler)."""

NO_SESSION = b"\x00" * 8  # in the header before a session is open
RESIDUAL_CURRENT_A = 1.0  # IEC 61851-23: below this the supply may be disconnected
PROTOCOL = "din"
_received = lru_cache(maxsize=64)(MessageReceived)
_sent = lru_cache(maxsize=256)(MessageSent)  # most messages are told again and again
# Members of an enum take time to find; these are read with every message.
_SILENT = (S.IDLE, S.EMPTYING, S.ENDED)
_SETUP = S.SESSION_SETUP
_OK = ResponseCode.OK
_CODES = {code: code.value for code in ResponseCode}
_PRE_CHARGE = Phase.PRE_CHARGE
_RESULTS = (CableCheckState.PASSED, CableCheckState.FAILED)


def trigger_of(req: din.BodyElement) -> str:
    """Return the trigger of a request; PowerDelivery has one for each direction."""
    if isinstance(req, din.PowerDeliveryReq):
        return "power_on_req" if req.ready_to_charge_state else "power_off_req"
    return HANDLERS[type(req)][0]


class DinSecc(TableMachine):
    """The DIN conversation of one connection; reused for the next one after `begin`."""

    TABLE = TABLE
    INITIAL = S.IDLE
    DEADLINE_S: ClassVar[dict[S, float]] = DEADLINE_S
    ENDLESS = (S.IDLE, S.ENDED)
    state: S

    def __init__(self, rng: Callable[[int], bytes]) -> None:
        super().__init__()
        self._rng = rng
        self.session = SeccSession()
        self.limits = PowerEnvelope(0.0, 0.0, 0.0, 0.0, 0.0)
        """What holds now; set by whoever owns this core."""
        self._response: din.BodyElement | None = None
        self._held: din.BodyElement | None = None
        self._vehicle_error = ""
        self._phase = Phase.CONNECTED

    def _declared(self) -> bool:
        """Stand for a trigger, which the table replaces."""
        return False

    start = give_up = lost = refused = current_gone = state_b = _declared
    session_setup_req = service_discovery_req = service_detail_req = _declared
    service_payment_selection_req = contract_authentication_req = _declared
    charge_parameter_discovery_req = cable_check_req = pre_charge_req = _declared
    power_on_req = power_off_req = current_demand_req = _declared
    welding_detection_req = session_stop_req = _declared

    # --- from the connection

    def begin(self, session: SeccSession, now: float) -> list[Output]:
        """Expect SessionSetupReq; the protocol has just been agreed."""
        self.session = session
        self._response = self._held = None
        self._vehicle_error = ""
        self._phase = Phase.IDLE
        self.now = now
        self.start()
        return self.drain()

    def receive_data(self, payload: bytes, now: float) -> list[Output]:
        """Answer one EXI payload."""
        if self.state in _SILENT:
            return []  # the connection is closed
        self.now = now
        try:
            message = din.decode(payload)
        except ExiError as error:
            self.fail(f"vehicle sent an unreadable message: {error}", now)
            return [PeerMisbehaved(str(error), "DIN 70121"), *self.drain()]
        req = message.body
        if req is None or type(req) not in HANDLERS:
            what = "an empty message" if req is None else type(req).__name__
            self.fail(f"vehicle sent {what}, which is no request", now)
            return [PeerMisbehaved(f"{what} from the vehicle", "DIN 70121"), *self.drain()]
        self.out.append(_received(type(req).__name__, PROTOCOL))
        self._receive(req, message.session_id)
        return self.drain()

    def connection_lost(self, now: float) -> list[Output]:
        """End: the peer closed the connection, or it broke."""
        self.now = now
        if self.state is not S.DISCONNECT:
            self.session.latch(f"connection lost in state {self.state.value}")
        self.lost()
        return self.drain()

    def fail(self, reason: str, now: float) -> None:
        """Switch off and close at once; outputs wait for `drain`."""
        self.now = now
        self.session.latch(reason)
        self.give_up()

    def _receive(self, req: din.BodyElement, session_id: bytes) -> None:
        session, report = self.session, self.session.report
        trigger, handler = trigger_of(req), HANDLERS[type(req)][1]
        self.rx, self._held = req, None
        has_session = self.state is not _SETUP and trigger != "session_setup_req"
        if has_session and session_id != session.session_id:
            self._refuse(req, ResponseCode.FAILED_UnknownSession)
            return
        if handler is None or (self.state, trigger) not in LEGAL:
            self._refuse(req, ResponseCode.FAILED_SequenceError)
            return
        error = vehicle_error(req)
        self._vehicle_error = self._vehicle_error if error is None else error
        self._note_start(trigger)
        response, outputs = handler(req, session, report, self.limits, self.now)
        self._response = response
        code: ResponseCode = response.response_code  # type: ignore[attr-defined]
        if code is not _OK and code.value.startswith("FAILED") and not self._may_wait(trigger):
            self._fail_with(response, code)
            return
        self._emit(outputs)
        self.fire(trigger)
        if self.state in HOLDING:
            self._held = req
            self._look_at_report()
        else:
            self._send(response)

    def _may_wait(self, trigger: str) -> bool:
        """Whether a failure may still turn into a success within the performance time."""
        return trigger == "welding_detection_req" and self.session.pilot_ready

    def _refuse(self, req: din.BodyElement, code: ResponseCode) -> None:
        response = refuse(req, code, self.session, self.session.report, self.limits)
        if response is not None:
            self._fail_with(response, code)

    def _fail_with(self, response: din.BodyElement, code: ResponseCode) -> None:
        name = type(response).__name__
        where = f"{name} {code.value} in state {self.state.value}"
        withheld = (
            self.session.withheld if self.state in ENERGISED and code is ResponseCode.FAILED else ""
        )
        self.session.latch(f"{withheld} ({where})" if withheld else where)
        if code in (ResponseCode.FAILED_SequenceError, ResponseCode.FAILED_UnknownSession):
            self.out.append(PeerMisbehaved(f"{name} {code.value}", "[V2G-DC-666]"))
        self.refused()
        self._send(response)

    def _send(self, response: din.BodyElement) -> None:
        code: ResponseCode = response.response_code  # type: ignore[attr-defined]
        message = din.Message(session_id=self.session.session_id or NO_SESSION, body=response)
        payload = din.encode(message, canonical=False)  # codecs in C want empty values so
        self.out.append(SendData(v2gtp.encode(v2gtp.EXI, payload)))
        self.out.append(_sent(type(response).__name__, PROTOCOL, _CODES[code]))

    def _note_start(self, trigger: str) -> None:
        """Note when a phase of several messages began: its time runs from the first request."""
        session = self.session
        if trigger == "session_setup_req":
            session.session_id = self._new_session_id()
            self._enter(Phase.CONNECTED)
            self.out.append(OutputRequest(Phase.CONNECTED))  # forget what an earlier session left
        elif trigger == "contract_authentication_req" and session.authorisation_at is None:
            session.authorisation_at = self.now
        elif trigger == "charge_parameter_discovery_req" and session.parameters_at is None:
            session.parameters_at = self.now
        elif trigger == "cable_check_req" and session.cable_check_at is None:
            session.cable_check_at = self.now
            self._enter(Phase.CABLE_CHECK)  # whatever the pilot still shows
            report = session.report
            session.cable_check_fresh = report is not None and not _is_result(report)

    def _new_session_id(self) -> bytes:
        session_id = self._rng(8)
        return session_id if any(session_id) else b"\x01" * 8  # 0 means "no session"

    def _emit(self, outputs: list[Output]) -> None:
        """Append a handler's outputs, each request for output after the phase it belongs to."""
        for output in outputs:
            if isinstance(output, OutputRequest):
                if output.phase is _PRE_CHARGE:
                    self._keep_target(output.voltage_v)
                self._enter(output.phase)
            self.out.append(output)

    def _keep_target(self, voltage_v: float) -> None:
        session = self.session
        moved = abs(voltage_v - session.target_voltage_v) > handlers.PRE_CHARGE_TOLERANCE_V
        if session.pre_charge_at is None or moved:
            session.pre_charge_at = self.now
        session.target_voltage_v = voltage_v

    def _enter(self, phase: Phase) -> None:
        if phase is not self._phase:
            self._phase = phase
            self.out.append(V2gPhaseChanged(phase))

    # --- from the power stage, the pilot and the station

    def receive_report(self, report: PowerReport, now: float) -> list[Output]:
        """Keep the latest measurement; answer what waited for it."""
        self.now = now
        self.session.report = report
        if self.session.cable_check_at is not None and not _is_result(report):
            self.session.cable_check_fresh = True
        self._look_at_report()
        return self.drain()

    def _look_at_report(self) -> None:
        if self._has_no_current():
            self.fire("current_gone")  # heeded in RAMP_DOWN and EMPTYING

    def _has_no_current(self) -> bool:
        report = self.session.report
        if report is None or not handlers.is_fresh(report, self.now):
            return False
        return abs(report.current_a) < RESIDUAL_CURRENT_A

    def receive_pilot(self, pilot: PilotChanged, now: float) -> list[Output]:
        """Unplugged: end. No longer C or D while power is on: off at once [IEC 61851-1 A.6]."""
        self.now = now
        letter = pilot.state.letter
        was_ready = self.session.pilot_ready
        self.session.pilot_ready = letter in "CD"
        if letter == "A":
            if self.state in [*WORKING, S.FAILED, S.EMPTYING]:
                self._cut_off()
            self.fail("vehicle unplugged", now)
        elif letter in "EF" and self.state in [*ENERGISED, *HOLDING]:
            why = pilot.fault.value or f"pilot in state {letter} (short circuit or no supply)"
            self._abort(Stop.EMERGENCY, why)
        elif (
            was_ready and self.state in ENERGISED and self._phase in POWER_PHASES and letter == "B"
        ):
            self._cut_off()
            self._abort(Stop.MALFUNCTION, f"vehicle opened S2 in state {self.state.value}")
        elif letter not in "CD" and self.state is S.EMPTYING:
            self._cut_off()
            self.current_gone()
        elif letter == "B":
            self.state_b()
        return self.drain()

    def stop(self, reason: str, patience_s: float, now: float) -> list[Output]:
        """Ask the vehicle to end; switch off if it does not within `patience_s`."""
        self.now = now
        self.session.latch(reason, normal=True)
        self.session.raise_stop(Stop.SHUTDOWN)
        if self.state in WORKING:
            self.session.deadlines.arm_once("patience", now + patience_s)
        return self.drain()

    def abort(self, stop: Stop, reason: str, now: float) -> list[Output]:
        """Switch off now; the vehicle is told by the status code of the next answers."""
        self.now = now
        self._abort(stop, reason)
        return self.drain()

    def permit_lost(self, reason: str, now: float) -> list[Output]:
        """Tell the vehicle that power is gone, and why it went first of all."""
        self.now = now
        if self.state in ENERGISED and self._phase in POWER_PHASES:
            self._abort(Stop.MALFUNCTION, reason)
        return self.drain()

    def _abort(self, stop: Stop, reason: str) -> None:
        self.session.latch(reason)
        self.session.raise_stop(stop)
        if stop is Stop.EMERGENCY and self.state in [*WORKING, S.FAILED, S.EMPTYING]:
            self._cut_off()
        if self.state is S.EMPTYING and self.is_off():
            self.current_gone()
        if self.state in WORKING:
            self.switch_off()
            self.session.deadlines.arm_once("end", self.now + SECC_ABORT_LINGER_S)

    def next_timer(self) -> float | None:
        """Return the earliest of the state's deadline and the named ones."""
        at, named = self._deadline_at, self.session.deadlines.next()
        if at is None or (named is not None and named < at):
            return named
        return at

    def handle_timer(self, now: float) -> list[Output]:
        """Act on what has become due."""
        outputs = super().handle_timer(now)
        self.now = now
        for name in self.session.deadlines.take_expired(now):
            if name == "patience":
                self._abort(Stop.SHUTDOWN, "vehicle did not heed our stop")
            else:
                self.give_up()
        return outputs + self.drain()

    # --- guards

    def is_ongoing(self) -> bool:
        """Whether our answer asks the vehicle to ask again."""
        return getattr(self._response, "evse_processing", None) is EvseProcessing.Ongoing

    def is_off(self) -> bool:
        """Whether nothing needs a ramp: power never was on, is cut off, or no current flows."""
        never = self._phase in (Phase.IDLE, Phase.CONNECTED)
        return never or self._phase is Phase.FAULT or self._has_no_current()

    def is_state_b(self) -> bool:
        """Whether the vehicle's S2 is open."""
        return not self.session.pilot_ready

    # --- actions

    def keep_parameters(self) -> None:
        """Remember the vehicle's limits."""
        parameters = self.rx.ev_charge_parameter
        self.session.vehicle_maximum_voltage_v = parameters.ev_maximum_voltage_limit.si

    def latch_vehicle_stop(self) -> None:
        """The vehicle ends the charge, by wish or because it found something."""
        error, complete = self._vehicle_error, charging_complete(self.rx)
        reason = "vehicle finished charging" if complete else "vehicle stopped the charge"
        self.session.latch(f"{reason}: {error}" if error else reason, normal=not error)

    def latch_session_stop(self) -> None:
        """A SessionStop that nothing announced."""
        reason = f"vehicle ended the session in phase {self._phase.value}"
        self.session.latch(f"{reason}: {self._vehicle_error}" if self._vehicle_error else reason)

    def latch_silence(self) -> None:
        """The vehicle sent nothing for too long."""
        self.session.latch("vehicle fell silent")

    def latch_no_state_b(self) -> None:
        """WeldingDetection without state B."""
        self.session.latch("vehicle asked for welding detection without opening S2")

    def power_down(self) -> None:
        """Let the output ramp down, unless that has begun or it was cut off before."""
        if self._phase not in (Phase.STOPPING, Phase.FAULT):
            self._enter(Phase.STOPPING)
            self.out.append(OutputRequest(Phase.STOPPING))

    def switch_off(self) -> None:
        """No more power in this session: ramp down at once."""
        self.session.power_off = self.session.fault = True
        self.power_down()

    def _cut_off(self) -> None:
        """No more power in this session, without a ramp: emergency, pilot lost, unplugged."""
        self.session.power_off = self.session.fault = True
        if self._phase is not Phase.FAULT:
            self._enter(Phase.FAULT)
            self.out.append(OutputRequest(Phase.FAULT))
            self.out.append(ContactorRequest(False))

    def answer_held(self) -> None:
        """Answer the request that had to wait, with what is known now."""
        req, self._held = self._held, None
        if req is None:
            return
        handler = HANDLERS[type(req)][1]
        if handler is None:
            return
        response, _ = handler(req, self.session, self.session.report, self.limits, self.now)
        self._send(response)

    def close(self) -> None:
        """Close the connection."""
        self.out.append(CloseConnection(self.session.stop_reason))

    def end(self) -> None:
        """Report the end."""
        session = self.session
        session.deadlines.clear()
        if self._phase is not Phase.FAULT:
            self.out.append(ContactorRequest(False))
        self.out.append(V2gEnded(session.stop_reason, session.normal and not session.fault))


def _is_result(report: PowerReport) -> bool:
    return report.cable_check in _RESULTS


def charging_complete(req: din.PowerDeliveryReq) -> bool:
    """Whether the vehicle says that it has what it wanted."""
    parameter = req.ev_power_delivery_parameter
    return isinstance(parameter, din.DcEvPowerDeliveryParameter) and parameter.charging_complete


def vehicle_error(req: din.BodyElement) -> str | None:
    """Return the error a request reports, "" for none, None if it carries no status."""
    if isinstance(req, din.PowerDeliveryReq):
        req = req.ev_power_delivery_parameter or req  # type: ignore[assignment]
    status = getattr(req, "dc_ev_status", None)
    if not isinstance(status, din.DcEvStatus):
        return None
    code = status.ev_error_code
    return "" if code in (din.DcEvErrorCode.NO_ERROR, din.DcEvErrorCode.NoData) else code.value
