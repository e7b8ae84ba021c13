"""DIN 70121, charger: what is answered to each request. Pure functions, no state machine.

Each `handle_*` takes the request, the session, the latest power report (None before the first one),
the limits that hold now, and the time; it returns the response and the outputs that belong to it.
It changes nothing and waits for nothing: the numbers in an answer are those already in memory.
"""

from controller.signals import (
    CableCheckState,
    ContactorRequest,
    Output,
    OutputRequest,
    Phase,
    PowerEnvelope,
    VehicleReported,
)
from controller.v2g.messages import din
from controller.v2g.messages.din import EvseProcessing, ResponseCode
from controller.v2g.secc_din_responses import (
    CHARGE_SERVICE_ID,
    ENERGY_TRANSFER,
    SA_SCHEDULE_TUPLE_ID,
    Report,
    cable_check_res,
    current_demand_res,
    parameters_res,
    power_delivery_res,
    pre_charge_res,
    service_discovery_res,
    welding_res,
)
from controller.v2g.session import SeccSession, Stop
from controller.v2g.timing import (
    POWER_REPORT_MAX_AGE_S,
    V2G_SECC_CABLE_CHECK_PERFORMANCE_S,
    V2G_SECC_CP_STATE_TIMEOUT_S,
    V2G_SECC_ONGOING_PERFORMANCE_S,
    V2G_SECC_PRE_CHARGE_PERFORMANCE_S,
)

Answer = tuple[din.BodyElement, list[Output]]

PRE_CHARGE_MAX_CURRENT_A = 2.0  # IEC 61851-23 CC.5.1: the supply limits pre-charge to 2 A
PRE_CHARGE_TOLERANCE_V = 20.0  # IEC 61851-23: the vehicle closes below this difference

_OK = ResponseCode.OK
_CHARGE = Phase.CHARGE
_FINISHED, _ONGOING = EvseProcessing.Finished, EvseProcessing.Ongoing


def is_fresh(report: Report, now: float) -> bool:
    """Whether there is a valid measurement that is recent enough to answer with."""
    return report is not None and report.valid and now - report.reading_at <= POWER_REPORT_MAX_AGE_S


def handle_session_setup(
    req: din.SessionSetupReq,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    now: float,
) -> Answer:
    """Open a session; its id is in the header. Any EVCCID is accepted, also an empty one."""
    code = ResponseCode.OK_NewSessionEstablished
    return din.SessionSetupRes(response_code=code, evse_id=session.evse_id), []


def handle_service_discovery(
    req: din.ServiceDiscoveryReq,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    now: float,
) -> Answer:
    """Offer DC charging and external payment, whatever scope or category is asked for."""
    return service_discovery_res(_OK, session, report, limits), []


def handle_service_detail(
    req: din.ServiceDetailReq,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    now: float,
) -> Answer:
    """Describe the charge service, which has no parameters; there is no other."""
    code = _OK if req.service_id == CHARGE_SERVICE_ID else ResponseCode.FAILED_ServiceIDInvalid
    return din.ServiceDetailRes(response_code=code, service_id=req.service_id), []


def handle_service_payment_selection(
    req: din.ServicePaymentSelectionReq,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    now: float,
) -> Answer:
    """Accept external payment for the charge service."""
    chosen = {service.service_id for service in req.selected_service_list.selected_service}
    code = _OK
    if req.selected_payment_option is not din.PaymentOption.ExternalPayment:
        code = ResponseCode.FAILED_PaymentSelectionInvalid
    elif chosen != {CHARGE_SERVICE_ID}:
        code = ResponseCode.FAILED_ServiceSelectionInvalid
    return din.ServicePaymentSelectionRes(response_code=code), []


def handle_contract_authentication(
    req: din.ContractAuthenticationReq,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    now: float,
) -> Answer:
    """Let the vehicle wait until the driver is authorised, at most 55 s [V2G2-711]."""
    since = now if session.authorisation_at is None else session.authorisation_at
    code, processing = _OK, _FINISHED
    if not session.authorised:
        processing = _ONGOING
        if session.stop is not Stop.NONE or now - since >= V2G_SECC_ONGOING_PERFORMANCE_S:
            code = ResponseCode.FAILED
    res = din.ContractAuthenticationRes(response_code=code, evse_processing=processing)
    return res, []


def handle_charge_parameter_discovery(
    req: din.ChargeParameterDiscoveryReq,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    now: float,
) -> Answer:
    """Compare what vehicle and charger can; Ongoing until the power stage has reported."""
    code = _check_parameters(req, limits) if is_fresh(report, now) else _OK
    if session.stop is not Stop.NONE:
        code = ResponseCode.FAILED
    if code is not _OK:
        return parameters_res(code, session, report, limits), []
    if not is_fresh(report, now) or limits.maximum_power_w <= 0.0:
        since = now if session.parameters_at is None else session.parameters_at
        if now - since >= V2G_SECC_ONGOING_PERFORMANCE_S:
            code = ResponseCode.FAILED
        return parameters_res(code, session, report, limits, _ONGOING), []
    parameters = req.ev_charge_parameter
    assert isinstance(parameters, din.DcEvChargeParameter)  # _check_parameters saw to that
    maximum_v = parameters.ev_maximum_voltage_limit.si
    seen = VehicleReported(parameters.dc_ev_status.ev_ress_soc, maximum_v, 0.0)
    return parameters_res(_OK, session, report, limits), [seen]


def _check_parameters(req: din.ChargeParameterDiscoveryReq, limits: PowerEnvelope) -> ResponseCode:
    parameters = req.ev_charge_parameter
    if req.ev_requested_energy_transfer_type.value != ENERGY_TRANSFER.value:
        return ResponseCode.FAILED_WrongEnergyTransferType
    if not isinstance(parameters, din.DcEvChargeParameter):
        return ResponseCode.FAILED_WrongChargeParameter
    maximum_v = parameters.ev_maximum_voltage_limit.si
    power_w = parameters.ev_maximum_power_limit
    if (
        parameters.ev_maximum_current_limit.si <= 0.0
        or maximum_v <= 0.0
        or (power_w is not None and power_w.si < 0.0)
        or (limits.maximum_power_w > 0.0 and maximum_v < limits.minimum_voltage_v)
    ):
        return ResponseCode.FAILED_WrongChargeParameter
    return _OK


def handle_cable_check(
    req: din.CableCheckReq,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    now: float,
) -> Answer:
    """Have the isolation tested once the pilot shows C or D; Ongoing until there is a result."""
    since = now if session.cable_check_at is None else session.cable_check_at
    result = CableCheckState.RUNNING
    if report is not None and session.cable_check_fresh:
        result = report.cable_check
    failed = (
        session.stop is not Stop.NONE
        or result is CableCheckState.FAILED
        or now - since >= V2G_SECC_CABLE_CHECK_PERFORMANCE_S
        or (not session.pilot_ready and now - since >= V2G_SECC_CP_STATE_TIMEOUT_S)
    )
    if failed:
        return cable_check_res(ResponseCode.FAILED, session, report, limits), []
    if not session.pilot_ready:
        return cable_check_res(_OK, session, report, limits, _ONGOING), []
    if result is CableCheckState.PASSED:
        return cable_check_res(_OK, session, report, limits), []
    maximum_v = session.vehicle_maximum_voltage_v
    outputs: list[Output] = [
        OutputRequest(Phase.CABLE_CHECK, maximum_v, PRE_CHARGE_MAX_CURRENT_A, maximum_v),
        ContactorRequest(True),
    ]
    return cable_check_res(_OK, session, report, limits, _ONGOING), outputs


def clamp_target_v(target_v: float, session: SeccSession, limits: PowerEnvelope) -> float:
    """Return a target voltage not above the vehicle's own and the charger's maximum."""
    ceiling = limits.maximum_voltage_v
    if session.vehicle_maximum_voltage_v > 0.0:
        ceiling = min(ceiling, session.vehicle_maximum_voltage_v)
    return min(max(target_v, 0.0), ceiling)


def handle_pre_charge(
    req: din.PreChargeReq,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    now: float,
) -> Answer:
    """Follow the target voltage with at most 2 A; the vehicle decides when it is near enough.

    A target not reached within 5 s [V2G2-705] fails; a new target begins anew (some vehicles ask
    for 0 V or 200 V before the battery's voltage).
    """
    voltage_v = clamp_target_v(req.ev_target_voltage.si, session, limits)
    current_a = min(max(req.ev_target_current.si, 0.0), PRE_CHARGE_MAX_CURRENT_A)
    since = session.pre_charge_at
    if since is None or abs(voltage_v - session.target_voltage_v) > PRE_CHARGE_TOLERANCE_V:
        since = now
    late = now - since > V2G_SECC_PRE_CHARGE_PERFORMANCE_S
    if session.stop is not Stop.NONE or report is None or not is_fresh(report, now):
        return pre_charge_res(ResponseCode.FAILED, session, report, limits), []
    if late and abs(report.voltage_v - voltage_v) > PRE_CHARGE_TOLERANCE_V:
        return pre_charge_res(ResponseCode.FAILED, session, report, limits), []
    maximum_v = session.vehicle_maximum_voltage_v
    outputs: list[Output] = [
        OutputRequest(Phase.PRE_CHARGE, voltage_v, current_a, maximum_v),
        VehicleReported(req.dc_ev_status.ev_ress_soc, voltage_v, current_a),
    ]
    return pre_charge_res(_OK, session, report, limits), outputs


def handle_power_delivery(
    req: din.PowerDeliveryReq,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    now: float,
) -> Answer:
    """Go over to the charge loop, or confirm its end. The vehicle's contactors are closed by now.

    DC_EVPowerDeliveryParameter is optional and not needed.
    """
    if not req.ready_to_charge_state:
        return power_delivery_res(_OK, session, report, limits), []
    profile = req.charging_profile
    code = _OK
    if profile is not None and profile.sa_schedule_tuple_id != SA_SCHEDULE_TUPLE_ID:
        code = ResponseCode.FAILED_TariffSelectionInvalid
    elif (
        session.stop is not Stop.NONE
        or report is None
        or not is_fresh(report, now)
        or not report.contactors_closed
    ):
        code = ResponseCode.FAILED_PowerDeliveryNotApplied
    if code is not _OK:
        return power_delivery_res(code, session, report, limits), []
    maximum_v = session.vehicle_maximum_voltage_v
    outputs: list[Output] = [OutputRequest(Phase.CHARGE, session.target_voltage_v, 0.0, maximum_v)]
    return power_delivery_res(_OK, session, report, limits), outputs


def handle_current_demand(
    req: din.CurrentDemandReq,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    now: float,
) -> Answer:
    """Pass the vehicle's wish on, answer with what the output carries now.

    While the charger asks for the end (Shutdown) the wish is still followed; after we switched off
    the answers go on, with the reason as status code, so that the vehicle can end in good order.
    """
    if report is None or not (is_fresh(report, now) or session.power_off):
        return current_demand_res(ResponseCode.FAILED, session, report, limits), []
    asked_v, target_a = req.ev_target_voltage.si, max(req.ev_target_current.si, 0.0)
    maximum_v, own_v = session.vehicle_maximum_voltage_v, req.ev_maximum_voltage_limit
    if own_v is not None and own_v.si > 0.0:
        maximum_v = own_v.si
    target_v = clamp_target_v(asked_v, session, limits)
    current_a, own_a = min(target_a, limits.maximum_current_a), req.ev_maximum_current_limit
    if own_a is not None and 0.0 <= own_a.si < current_a:
        current_a = own_a.si
    limited = (
        report.current_limited or target_a > limits.maximum_current_a,
        report.voltage_limited or asked_v > limits.maximum_voltage_v,
        report.power_limited or target_v * target_a > limits.maximum_power_w,
    )
    res = current_demand_res(_OK, session, report, limits, limited)
    outputs: list[Output] = [VehicleReported(req.dc_ev_status.ev_ress_soc, target_v, target_a)]
    if not session.power_off:
        outputs.insert(0, OutputRequest(_CHARGE, min(target_v, maximum_v), current_a, maximum_v))
    return res, outputs


def handle_welding_detection(
    req: din.WeldingDetectionReq,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    now: float,
) -> Answer:
    """Report the output's voltage; the pilot must be back in state B [V2G2-920]."""
    code = ResponseCode.FAILED if session.pilot_ready else _OK
    return welding_res(code, session, report, limits), []


def handle_session_stop(
    req: din.SessionStopReq,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    now: float,
) -> Answer:
    """Say goodbye, in every state: several vehicles keep the plug locked without this answer."""
    return din.SessionStopRes(response_code=_OK), []
