"""DIN 70121, charger: how each response is built, for success and for refusal.

Every builder takes the response code, the session, the latest power report (None before the first)
and the limits that hold now, and fills all mandatory fields: a vehicle must be able to read a
refusal, too. `refuse` answers any request in the response type that belongs to it.
"""

from collections.abc import Callable
from functools import lru_cache

from controller.signals import IsolationStatus, PowerEnvelope, PowerReport
from controller.v2g.messages import din
from controller.v2g.messages.din import (
    DcEvseStatusCode,
    EvseProcessing,
    IsolationLevel,
    ResponseCode,
)
from controller.v2g.physical import A, V, W, limit, physical
from controller.v2g.session import SeccSession, Stop

Report = PowerReport | None

CHARGE_SERVICE_ID = 1  # DIN 70121: the one mandatory service
SA_SCHEDULE_TUPLE_ID = 1  # vehicles refuse 0 and 256
SCHEDULE_DURATION_S = 86_400
P_MAX_W = 32_767  # the field is a signed 16-bit number; no vehicle may use it as a limit
REGULATION_TOLERANCE_A = 1.5  # IEC 61851-23 CC.6.3
PEAK_RIPPLE_A = 1.0
ENERGY_TRANSFER = din.EvseSupportedEnergyTransferType.DC_extended  # CCS2

_OK = ResponseCode.OK
_READY = DcEvseStatusCode.EVSE_Ready
_FINISHED, _ONGOING = EvseProcessing.Finished, EvseProcessing.Ongoing

_STOP_CODE = {
    Stop.SHUTDOWN: DcEvseStatusCode.EVSE_Shutdown,
    Stop.MALFUNCTION: DcEvseStatusCode.EVSE_Malfunction,
    Stop.EMERGENCY: DcEvseStatusCode.EVSE_EmergencyShutdown,
}
_ISOLATION = {
    IsolationStatus.INVALID: IsolationLevel.Invalid,
    IsolationStatus.VALID: IsolationLevel.Valid,
    IsolationStatus.WARNING: IsolationLevel.Warning,
    IsolationStatus.FAULT: IsolationLevel.Fault,
}


def dc_status(
    session: SeccSession, code: DcEvseStatusCode, isolation: IsolationLevel | None = None
) -> din.DcEvseStatus:
    """Return the charger's status; a wish or need to stop goes before `code`.

    EVSENotification stays None in DIN ([V2G-DC-500]): the status code alone tells the vehicle.
    """
    if isolation is None:
        report = session.report
        isolation = IsolationLevel.Invalid if report is None else _ISOLATION[report.isolation]
    return _status(isolation, _STOP_CODE.get(session.stop, code))


@lru_cache(maxsize=64)
def _status(isolation: IsolationLevel, code: DcEvseStatusCode) -> din.DcEvseStatus:
    """Return a status, which stays the same for many messages."""
    return din.DcEvseStatus(
        evse_isolation_status=isolation,
        evse_status_code=code,
        notification_max_delay=0,
        evse_notification=din.EvseNotification.NONE,
    )


def _ac_status() -> din.AcEvseStatus:
    return din.AcEvseStatus(
        power_switch_closed=False,
        rcd=False,
        notification_max_delay=0,
        evse_notification=din.EvseNotification.NONE,
    )


def service_discovery_res(
    code: ResponseCode, session: SeccSession, report: Report, limits: PowerEnvelope
) -> din.ServiceDiscoveryRes:
    """Offer DC charging, paid outside of the vehicle."""
    return din.ServiceDiscoveryRes(
        response_code=code,
        payment_options=din.PaymentOptions(payment_option=(din.PaymentOption.ExternalPayment,)),
        charge_service=din.ServiceCharge(
            service_tag=din.ServiceTag(
                service_id=CHARGE_SERVICE_ID, service_category=din.ServiceCategory.EVCharging
            ),
            free_service=session.free_service,
            energy_transfer_type=ENERGY_TRANSFER,
        ),
    )


def parameters_res(
    code: ResponseCode,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    processing: EvseProcessing = _FINISHED,
) -> din.ChargeParameterDiscoveryRes:
    """Tell the charger's limits and one schedule."""
    ready = code is _OK and processing is _FINISHED
    status = DcEvseStatusCode.EVSE_Ready if ready else DcEvseStatusCode.EVSE_NotReady
    entry = din.PMaxScheduleEntry(
        time_interval=din.RelativeTimeInterval(start=0, duration=SCHEDULE_DURATION_S),
        p_max=round(min(max(limits.maximum_power_w, 0.0), P_MAX_W)),
    )
    schedule = din.SaScheduleTuple(
        sa_schedule_tuple_id=SA_SCHEDULE_TUPLE_ID,
        p_max_schedule=din.PMaxSchedule(p_max_schedule_id=1, p_max_schedule_entry=(entry,)),
    )
    return din.ChargeParameterDiscoveryRes(
        response_code=code,
        evse_processing=processing,
        sa_schedules=din.SaScheduleList(sa_schedule_tuple=(schedule,)),  # some stop without it
        evse_charge_parameter=din.DcEvseChargeParameter(
            dc_evse_status=dc_status(session, status, IsolationLevel.Invalid),
            evse_maximum_current_limit=limit(limits.maximum_current_a, A),
            evse_maximum_power_limit=limit(limits.maximum_power_w, W),  # [V2G-DC-626]
            evse_maximum_voltage_limit=limit(limits.maximum_voltage_v, V),
            evse_minimum_current_limit=limit(limits.minimum_current_a, A),
            evse_minimum_voltage_limit=limit(limits.minimum_voltage_v, V),
            evse_current_regulation_tolerance=physical(REGULATION_TOLERANCE_A, A),
            evse_peak_current_ripple=physical(PEAK_RIPPLE_A, A),
        ),
    )


def cable_check_res(
    code: ResponseCode,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    processing: EvseProcessing = _FINISHED,
) -> din.CableCheckRes:
    """Tell how the isolation test stands."""
    if code is not _OK:
        status = dc_status(session, DcEvseStatusCode.EVSE_Malfunction)
    elif processing is _ONGOING:
        code_ongoing = DcEvseStatusCode.EVSE_IsolationMonitoringActive
        status = dc_status(session, code_ongoing, IsolationLevel.Invalid)
    else:  # Finished + Valid + Ready: a vehicle waited 60 s for just this
        warned = report is not None and report.isolation is IsolationStatus.WARNING
        level = IsolationLevel.Warning if warned else IsolationLevel.Valid
        status = dc_status(session, DcEvseStatusCode.EVSE_Ready, level)
    return din.CableCheckRes(response_code=code, dc_evse_status=status, evse_processing=processing)


def pre_charge_res(
    code: ResponseCode, session: SeccSession, report: Report, limits: PowerEnvelope
) -> din.PreChargeRes:
    """Tell the output's voltage."""
    bad = DcEvseStatusCode.EVSE_Malfunction
    return din.PreChargeRes(
        response_code=code,
        # Ready from the first answer on: one vehicle gives up after 12 s of NotReady
        dc_evse_status=dc_status(session, DcEvseStatusCode.EVSE_Ready if code is _OK else bad),
        evse_present_voltage=physical(0.0 if report is None else report.voltage_v, V),
    )


def power_delivery_res(
    code: ResponseCode, session: SeccSession, report: Report, limits: PowerEnvelope
) -> din.PowerDeliveryRes:
    """Tell whether power is on or off."""
    ready = DcEvseStatusCode.EVSE_Ready if code is _OK else DcEvseStatusCode.EVSE_NotReady
    return din.PowerDeliveryRes(response_code=code, evse_status=dc_status(session, ready))


def current_demand_res(
    code: ResponseCode,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
    limited: tuple[bool, bool, bool] = (False, False, False),
) -> din.CurrentDemandRes:
    """Tell what the output carries; `limited`: current, voltage, power."""
    ready = _READY if code is _OK else DcEvseStatusCode.EVSE_Malfunction
    current, voltage, power = limited
    return din.CurrentDemandRes(
        response_code=code,
        dc_evse_status=dc_status(session, ready),
        evse_present_voltage=physical(0.0 if report is None else report.voltage_v, V),
        evse_present_current=physical(0.0 if report is None else report.current_a, A),
        evse_current_limit_achieved=current,
        evse_voltage_limit_achieved=voltage,
        evse_power_limit_achieved=power,
        evse_maximum_voltage_limit=limit(limits.maximum_voltage_v, V),
        evse_maximum_current_limit=limit(limits.maximum_current_a, A),
        evse_maximum_power_limit=limit(limits.maximum_power_w, W),
    )


def welding_res(
    code: ResponseCode, session: SeccSession, report: Report, limits: PowerEnvelope
) -> din.WeldingDetectionRes:
    """Tell the output's voltage after the end."""
    return din.WeldingDetectionRes(
        response_code=code,
        dc_evse_status=dc_status(session, DcEvseStatusCode.EVSE_NotReady),
        evse_present_voltage=physical(0.0 if report is None else report.voltage_v, V),
    )


_Fill = Callable[[ResponseCode, SeccSession, PowerReport | None, PowerEnvelope], din.BodyElement]

_NO_CHAIN = din.CertificateChain(certificate=b"")

FILL: dict[type[din.BodyElement], _Fill] = {
    din.SessionSetupReq: lambda c, s, r, e: din.SessionSetupRes(response_code=c, evse_id=s.evse_id),
    din.ServiceDiscoveryReq: service_discovery_res,
    din.ServiceDetailReq: lambda c, s, r, e: din.ServiceDetailRes(
        response_code=c, service_id=CHARGE_SERVICE_ID
    ),
    din.ServicePaymentSelectionReq: lambda c, s, r, e: din.ServicePaymentSelectionRes(
        response_code=c
    ),
    din.PaymentDetailsReq: lambda c, s, r, e: din.PaymentDetailsRes(
        response_code=c, gen_challenge="0", date_time_now=0
    ),
    din.ContractAuthenticationReq: lambda c, s, r, e: din.ContractAuthenticationRes(
        response_code=c, evse_processing=_FINISHED
    ),
    din.ChargeParameterDiscoveryReq: parameters_res,
    din.PowerDeliveryReq: power_delivery_res,
    din.ChargingStatusReq: lambda c, s, r, e: din.ChargingStatusRes(
        response_code=c,
        evse_id=s.evse_id,
        sa_schedule_tuple_id=SA_SCHEDULE_TUPLE_ID,
        receipt_required=False,
        ac_evse_status=_ac_status(),
    ),
    din.MeteringReceiptReq: lambda c, s, r, e: din.MeteringReceiptRes(
        response_code=c, ac_evse_status=_ac_status()
    ),
    din.SessionStopReq: lambda c, s, r, e: din.SessionStopRes(response_code=c),
    din.CertificateUpdateReq: lambda c, s, r, e: din.CertificateUpdateRes(
        id="ID1",
        response_code=c,
        contract_signature_cert_chain=_NO_CHAIN,
        contract_signature_encrypted_private_key=b"",
        dh_params=b"",
        contract_id="",
        retry_counter=-1,
    ),
    din.CertificateInstallationReq: lambda c, s, r, e: din.CertificateInstallationRes(
        id="ID1",
        response_code=c,
        contract_signature_cert_chain=_NO_CHAIN,
        contract_signature_encrypted_private_key=b"",
        dh_params=b"",
        contract_id="",
    ),
    din.CableCheckReq: cable_check_res,
    din.PreChargeReq: pre_charge_res,
    din.CurrentDemandReq: current_demand_res,
    din.WeldingDetectionReq: welding_res,
}
"""Request type -> the response to it, with all mandatory fields, for any response code."""


def refuse(
    req: din.BodyElement,
    code: ResponseCode,
    session: SeccSession,
    report: Report,
    limits: PowerEnvelope,
) -> din.BodyElement | None:
    """Return the response of the request's type with this code; None if it is no request."""
    fill = FILL.get(type(req))
    return None if fill is None else fill(code, session, report, limits)
