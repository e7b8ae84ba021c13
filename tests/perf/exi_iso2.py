"""Messages of an ISO 15118-2 charge that goes on, for the bench."""

import random

from controller.v2g.messages import iso2

SESSION = bytes.fromhex("C4FA7BFBEF7FFF3E")
OK = iso2.ResponseCode.OK
EVSE_ID = "DE*ABC*E12345*1"
READY = iso2.DcEvseStatus(
    notification_max_delay=0,
    evse_notification=iso2.EvseNotification.NONE,
    evse_isolation_status=iso2.IsolationLevel.Valid,
    evse_status_code=iso2.DcEvseStatusCode.EVSE_Ready,
)


def _value(amount: float, unit: iso2.Unit, multiplier: int) -> iso2.PhysicalValue:
    return iso2.PhysicalValue(
        multiplier=multiplier, unit=unit, value=round(amount * 10.0**-multiplier)
    )


def _message(body: iso2.BodyElement) -> iso2.Message:
    return iso2.Message(session_id=SESSION, body=body)


def _ev_status(part: float) -> iso2.DcEvStatus:
    return iso2.DcEvStatus(
        ev_ready=True, ev_error_code=iso2.DcEvErrorCode.NO_ERROR, ev_ress_soc=10 + int(80 * part)
    )


def demand_req(rng: random.Random, part: float) -> iso2.Message:
    """Return a CurrentDemandReq with all its elements, `part` of the charge done."""
    return _message(
        iso2.CurrentDemandReq(
            dc_ev_status=_ev_status(part),
            ev_target_current=_value(250 - 200 * part + rng.gauss(0, 1), iso2.Unit.A, -1),
            ev_maximum_voltage_limit=_value(420, iso2.Unit.V, -1),
            ev_maximum_current_limit=_value(300 - rng.randrange(50), iso2.Unit.A, 0),
            ev_maximum_power_limit=_value(150_000, iso2.Unit.W, 1),
            bulk_charging_complete=part > 0.8,
            charging_complete=False,
            remaining_time_to_full_soc=_value(2400 * (1 - part), iso2.Unit.s, 0),
            remaining_time_to_bulk_soc=_value(1800 * (1 - part), iso2.Unit.s, 0),
            ev_target_voltage=_value(410 + rng.gauss(0, 0.5), iso2.Unit.V, -1),
        )
    )


def demand_req_minimal(rng: random.Random, part: float) -> iso2.Message:
    """Return a CurrentDemandReq with what must be in it."""
    return _message(
        iso2.CurrentDemandReq(
            dc_ev_status=_ev_status(part),
            ev_target_current=_value(250 - 200 * part + rng.gauss(0, 1), iso2.Unit.A, -1),
            charging_complete=False,
            ev_target_voltage=_value(410 + rng.gauss(0, 0.5), iso2.Unit.V, -1),
        )
    )


def demand_res(rng: random.Random, part: float) -> iso2.Message:
    """Return a CurrentDemandRes with all but a signed meter reading, `part` of the charge done."""
    return _demand_res(rng, part, None)


def demand_res_signed(rng: random.Random, part: float) -> iso2.Message:
    """Return a CurrentDemandRes with all its elements; no two signatures are alike."""
    return _demand_res(rng, part, rng.randbytes(64))


def _demand_res(rng: random.Random, part: float, signature: bytes | None) -> iso2.Message:
    meter = iso2.MeterInfo(
        meter_id="METER-0815",
        meter_reading=123_456 + int(40_000 * part),
        sig_meter_reading=signature,
        meter_status=0,
        t_meter=1_700_000_000 + int(2400 * part),
    )
    return _message(
        iso2.CurrentDemandRes(
            response_code=OK,
            dc_evse_status=READY,
            evse_present_voltage=_value(350 + 50 * part + rng.gauss(0, 0.5), iso2.Unit.V, -1),
            evse_present_current=_value(250 - 200 * part + rng.gauss(0, 1), iso2.Unit.A, -1),
            evse_current_limit_achieved=rng.random() < 0.5,
            evse_voltage_limit_achieved=False,
            evse_power_limit_achieved=False,
            evse_maximum_voltage_limit=_value(1000, iso2.Unit.V, 0),
            evse_maximum_current_limit=_value(300 - rng.randrange(50), iso2.Unit.A, 0),
            evse_maximum_power_limit=_value(150_000, iso2.Unit.W, 1),
            evse_id=EVSE_ID,
            sa_schedule_tuple_id=1,
            meter_info=meter,
            receipt_required=False,
        )
    )


def demand_res_minimal(rng: random.Random, part: float) -> iso2.Message:
    """Return a CurrentDemandRes with what must be in it."""
    return _message(
        iso2.CurrentDemandRes(
            response_code=OK,
            dc_evse_status=READY,
            evse_present_voltage=_value(350 + 50 * part + rng.gauss(0, 0.5), iso2.Unit.V, -1),
            evse_present_current=_value(250 - 200 * part + rng.gauss(0, 1), iso2.Unit.A, -1),
            evse_current_limit_achieved=rng.random() < 0.5,
            evse_voltage_limit_achieved=False,
            evse_power_limit_achieved=False,
            evse_id=EVSE_ID,
            sa_schedule_tuple_id=1,
        )
    )


def setup_res(rng: random.Random, part: float) -> iso2.Message:
    """Return a SessionSetupRes."""
    body = iso2.SessionSetupRes(
        response_code=iso2.ResponseCode.OK_NewSessionEstablished,
        evse_id=EVSE_ID,
        evse_time_stamp=1_700_000_000 + int(1e6 * part),
    )
    return iso2.Message(session_id=rng.randbytes(8), body=body)


def parameter_res(rng: random.Random, part: float) -> iso2.Message:
    """Return a ChargeParameterDiscoveryRes with 24 hours of schedule."""
    entries = tuple(
        iso2.PMaxScheduleEntry(
            time_interval=iso2.RelativeTimeInterval(start=3600 * hour, duration=3600),
            p_max=_value(rng.randrange(20, 150) * 1000, iso2.Unit.W, 1),
        )
        for hour in range(24)
    )
    schedule = iso2.SaScheduleTuple(
        sa_schedule_tuple_id=1, p_max_schedule=iso2.PMaxSchedule(p_max_schedule_entry=entries)
    )
    limits = iso2.DcEvseChargeParameter(
        dc_evse_status=READY,
        evse_maximum_current_limit=_value(300 - int(50 * part), iso2.Unit.A, 0),
        evse_maximum_power_limit=_value(150_000, iso2.Unit.W, 1),
        evse_maximum_voltage_limit=_value(1000, iso2.Unit.V, 0),
        evse_minimum_current_limit=_value(1, iso2.Unit.A, 0),
        evse_minimum_voltage_limit=_value(150, iso2.Unit.V, 0),
        evse_peak_current_ripple=_value(1, iso2.Unit.A, 0),
    )
    return _message(
        iso2.ChargeParameterDiscoveryRes(
            response_code=OK,
            evse_processing=iso2.EvseProcessing.Finished,
            sa_schedules=iso2.SaScheduleList(sa_schedule_tuple=(schedule,)),
            evse_charge_parameter=limits,
        )
    )


def installation_res(rng: random.Random, part: float) -> iso2.Message:
    """Return a CertificateInstallationRes of some 4 kB."""

    def chain(name: str | None) -> iso2.CertificateChain:
        above = iso2.SubCertificates(certificate=(rng.randbytes(620), rng.randbytes(620)))
        return iso2.CertificateChain(
            id=name, certificate=rng.randbytes(700), sub_certificates=above
        )

    return _message(
        iso2.CertificateInstallationRes(
            response_code=OK,
            sa_provisioning_certificate_chain=chain(None),
            contract_signature_cert_chain=chain("id1"),
            contract_signature_encrypted_private_key=iso2.ContractSignatureEncryptedPrivateKey(
                id="id2", value=rng.randbytes(48)
            ),
            dh_public_key=iso2.DhPublicKey(id="id3", value=rng.randbytes(65)),
            emaid=iso2.Emaid(id="id4", value=f"DEABCC{int(part * 1e8):08}"),
        )
    )
