"""Messages of an ISO 15118-20 DC charge that goes on, for the bench."""

import random

from controller.v2g.messages import iso20_common as common
from controller.v2g.messages import iso20_dc as dc
from controller.v2g.messages import iso20_types as types

SESSION = bytes.fromhex("C4FA7BFBEF7FFF3E")
START = 1_761_652_395  # seconds since 1970
CHARGE_S = 600  # 3000 messages, one every 0.2 s
ENTRIES = 24


def _value(amount: float, exponent: int) -> types.RationalNumber:
    return types.RationalNumber(exponent=exponent, value=round(amount * 10.0**-exponent))


def _header(part: float) -> types.MessageHeader:
    return types.MessageHeader(session_id=SESSION, time_stamp=START + int(CHARGE_S * part))


def loop_req(rng: random.Random, part: float) -> dc.DcChargeLoopReq:
    """Return a request of a car that leaves the plan to the charger, as a real one sends it."""
    return dc.DcChargeLoopReq(
        header=_header(part),
        display_parameters=types.DisplayParameters(
            present_soc=10 + int(80 * part), charging_complete=False
        ),
        meter_info_requested=False,
        ev_present_voltage=_value(350 + 50 * part + rng.gauss(0, 0.5), -1),
        cl_req_control_mode=dc.DynamicDcClReqControlMode(
            ev_target_energy_request=_value(60_000 * (1 - part), 1),
            ev_maximum_energy_request=_value(70_000 * (1 - part), 1),
            ev_minimum_energy_request=_value(20_000 * (1 - part), 1),
            ev_maximum_charge_power=_value(150_000, 1),
            ev_minimum_charge_power=_value(1_000, 0),
            ev_maximum_charge_current=_value(300 - rng.randrange(50), -1),
            ev_maximum_voltage=_value(420, -1),
            ev_minimum_voltage=_value(200, -1),
        ),
    )


def loop_req_scheduled(rng: random.Random, part: float) -> dc.DcChargeLoopReq:
    """Return the shortest request of a car that plans itself."""
    return dc.DcChargeLoopReq(
        header=_header(part),
        meter_info_requested=False,
        ev_present_voltage=_value(350 + 50 * part + rng.gauss(0, 0.5), -1),
        cl_req_control_mode=dc.ScheduledDcClReqControlMode(
            ev_target_current=_value(250 - 200 * part + rng.gauss(0, 1), -1),
            ev_target_voltage=_value(410 + rng.gauss(0, 0.5), -1),
        ),
    )


def loop_res(rng: random.Random, part: float) -> dc.DcChargeLoopRes:
    """Return an answer with the limits of the charger, as a real one sends it."""
    return dc.DcChargeLoopRes(
        header=_header(part),
        response_code=types.ResponseCode.OK,
        evse_present_current=_value(250 - 200 * part + rng.gauss(0, 1), -1),
        evse_present_voltage=_value(350 + 50 * part + rng.gauss(0, 0.5), -1),
        evse_power_limit_achieved=False,
        evse_current_limit_achieved=rng.random() < 0.5,
        evse_voltage_limit_achieved=False,
        cl_res_control_mode=dc.DynamicDcClResControlMode(
            evse_maximum_charge_power=_value(150_000, 1),
            evse_minimum_charge_power=_value(0, 0),
            evse_maximum_charge_current=_value(300 - rng.randrange(50), -1),
            evse_maximum_voltage=_value(1000, 0),
        ),
    )


def loop_res_full(rng: random.Random, part: float) -> dc.DcChargeLoopRes:
    """Return an answer with status and meter, which is read once a second."""
    res = loop_res(rng, part)
    values = {name: getattr(res, name) for name in res.__dataclass_fields__}
    values["evse_status"] = types.EvseStatus(
        notification_max_delay=0, evse_notification=types.EvseNotification.Pause
    )
    values["meter_info"] = types.MeterInfo(
        meter_id="DE*ABC*E12345*1",
        charged_energy_reading_wh=1_234_567 + 100 * int(CHARGE_S * part),
        meter_timestamp=START + int(CHARGE_S * part),
    )
    return dc.DcChargeLoopRes(**values)


def schedule_res(rng: random.Random, part: float) -> common.ScheduleExchangeRes:
    """Return a schedule of 24 hours with as many price levels."""
    power = tuple(
        common.PowerScheduleEntry(duration=3600, power=_value(rng.randrange(150_000), 1))
        for _ in range(ENTRIES)
    )
    levels = tuple(
        common.PriceLevelScheduleEntry(duration=3600, price_level=rng.randrange(5))
        for _ in range(ENTRIES)
    )
    now = START + int(CHARGE_S * part)
    schedule = common.ChargingSchedule(
        power_schedule=common.PowerSchedule(
            time_anchor=now,
            power_schedule_entries=common.PowerScheduleEntryList(power_schedule_entry=power),
        ),
        price_level_schedule=common.PriceLevelSchedule(
            time_anchor=now,
            price_schedule_id=1,
            number_of_price_levels=5,
            price_level_schedule_entries=common.PriceLevelScheduleEntryList(
                price_level_schedule_entry=levels
            ),
        ),
    )
    return common.ScheduleExchangeRes(
        header=_header(part),
        response_code=types.ResponseCode.OK,
        evse_processing=types.Processing.Finished,
        scheduled_se_res_control_mode=common.ScheduledSeResControlMode(
            schedule_tuple=(common.ScheduleTuple(schedule_tuple_id=1, charging_schedule=schedule),)
        ),
    )
