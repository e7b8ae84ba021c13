"""Messages of a DIN 70121 charge that goes on, for the bench."""

import random

from controller.v2g.messages import din

SESSION = bytes.fromhex("C4FA7BFBEF7FFF3E")


def _value(amount: float, unit: din.Unit, multiplier: int) -> din.PhysicalValue:
    return din.PhysicalValue(
        multiplier=multiplier, unit=unit, value=round(amount * 10.0**-multiplier)
    )


def demand_req(rng: random.Random, part: float) -> din.Message:
    """Return a CurrentDemandReq with all its elements, `part` of the charge done."""
    body = din.CurrentDemandReq(
        dc_ev_status=din.DcEvStatus(
            ev_ready=True,
            ev_cabin_conditioning=rng.random() < 0.5,
            ev_ress_conditioning=False,
            ev_error_code=din.DcEvErrorCode.NO_ERROR,
            ev_ress_soc=10 + int(80 * part),
        ),
        ev_target_current=_value(250 - 200 * part + rng.gauss(0, 1), din.Unit.A, -1),
        ev_maximum_voltage_limit=_value(420, din.Unit.V, -1),
        ev_maximum_current_limit=_value(300 - rng.randrange(50), din.Unit.A, 0),
        ev_maximum_power_limit=_value(150_000, din.Unit.W, 1),
        bulk_charging_complete=part > 0.8,
        charging_complete=False,
        remaining_time_to_full_soc=_value(2400 * (1 - part), din.Unit.s, 0),
        remaining_time_to_bulk_soc=_value(1800 * (1 - part), din.Unit.s, 0),
        ev_target_voltage=_value(410 + rng.gauss(0, 0.5), din.Unit.V, -1),
    )
    return din.Message(session_id=SESSION, body=body)


def demand_res(rng: random.Random, part: float) -> din.Message:
    """Return a CurrentDemandRes with all its elements, `part` of the charge done."""
    body = din.CurrentDemandRes(
        response_code=din.ResponseCode.OK,
        dc_evse_status=din.DcEvseStatus(
            evse_isolation_status=din.IsolationLevel.Valid,
            evse_status_code=din.DcEvseStatusCode.EVSE_Ready,
            notification_max_delay=0,
            evse_notification=din.EvseNotification.NONE,
        ),
        evse_present_voltage=_value(350 + 50 * part + rng.gauss(0, 0.5), din.Unit.V, -1),
        evse_present_current=_value(250 - 200 * part + rng.gauss(0, 1), din.Unit.A, -1),
        evse_current_limit_achieved=rng.random() < 0.5,
        evse_voltage_limit_achieved=False,
        evse_power_limit_achieved=False,
        evse_maximum_voltage_limit=_value(1000, din.Unit.V, 0),
        evse_maximum_current_limit=_value(300 - rng.randrange(50), din.Unit.A, 0),
        evse_maximum_power_limit=_value(150_000, din.Unit.W, 1),
    )
    return din.Message(session_id=SESSION, body=body)


def demand_req_minimal(rng: random.Random, part: float) -> din.Message:
    """Return a CurrentDemandReq with what must be in it."""
    body = din.CurrentDemandReq(
        dc_ev_status=din.DcEvStatus(
            ev_ready=True,
            ev_error_code=din.DcEvErrorCode.NO_ERROR,
            ev_ress_soc=10 + int(80 * part),
        ),
        ev_target_current=_value(250 - 200 * part + rng.gauss(0, 1), din.Unit.A, -1),
        charging_complete=False,
        ev_target_voltage=_value(410 + rng.gauss(0, 0.5), din.Unit.V, -1),
    )
    return din.Message(session_id=SESSION, body=body)


def demand_res_minimal(rng: random.Random, part: float) -> din.Message:
    """Return a CurrentDemandRes with what must be in it."""
    body = din.CurrentDemandRes(
        response_code=din.ResponseCode.OK,
        dc_evse_status=din.DcEvseStatus(
            evse_status_code=din.DcEvseStatusCode.EVSE_Ready,
            notification_max_delay=0,
            evse_notification=din.EvseNotification.NONE,
        ),
        evse_present_voltage=_value(350 + 50 * part + rng.gauss(0, 0.5), din.Unit.V, -1),
        evse_present_current=_value(250 - 200 * part + rng.gauss(0, 1), din.Unit.A, -1),
        evse_current_limit_achieved=rng.random() < 0.5,
        evse_voltage_limit_achieved=False,
        evse_power_limit_achieved=False,
    )
    return din.Message(session_id=SESSION, body=body)
