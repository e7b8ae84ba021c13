"""Speed of the EXI codec beside `json` with the same content: `python -m tests.perf.bench_exi`.

Each message is one of a charge that goes on: currents and voltages wander, limits stay, times run
down. None is decoded twice, so that what the codec remembers helps as much as it does in reality.
"""

import json
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from controller.v2g.messages import din

ROUNDS = 15
MESSAGES = 200  # a round
SESSION = bytes.fromhex("C4FA7BFBEF7FFF3E")


@dataclass(frozen=True, slots=True)
class Row:
    """Median time of one operation on one message, and its ratio to json's."""

    message: str
    operation: str
    exi_us: float
    json_us: float

    @property
    def ratio(self) -> float:
        """How many times as long as json."""
        return self.exi_us / self.json_us


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


def _microseconds(call: Callable[[object], object], inputs: Sequence[object]) -> float:
    start = perf_counter()
    for each in inputs:
        call(each)
    return (perf_counter() - start) / len(inputs) * 1e6


def _measure(name: str, make: Callable[[random.Random, float], din.Message]) -> list[Row]:
    rng = random.Random(1)
    times: dict[str, list[float]] = {}
    calls: dict[str, Callable[..., object]] = {
        "decode": din.decode,
        "json.loads": json.loads,
        "encode": din.encode,
        "json.dumps": json.dumps,
    }
    for number in range(ROUNDS):
        parts = [(number + i / MESSAGES) / ROUNDS for i in range(MESSAGES)]
        messages = [make(rng, part) for part in parts]
        views = [din.to_json(message) for message in messages]
        inputs: dict[str, Sequence[object]] = {
            "decode": [din.CODEC.encode(message) for message in messages],
            "json.loads": [json.dumps(view) for view in views],
            "encode": messages,
            "json.dumps": views,
        }
        for key, call in calls.items():
            times.setdefault(key, []).append(_microseconds(call, inputs[key]))
    median = {key: statistics.median(each) for key, each in times.items()}
    return [
        Row(name, "decode", median["decode"], median["json.loads"]),
        Row(name, "encode", median["encode"], median["json.dumps"]),
    ]


def bench() -> list[Row]:
    """Measure the full messages of the DC charge loop."""
    return _measure("din.CurrentDemandReq", demand_req) + _measure(
        "din.CurrentDemandRes", demand_res
    )


def main() -> None:
    """Print the table."""
    for row in bench():
        print(  # noqa: T201 - a tool
            f"{row.message:22} {row.operation}  {row.exi_us:6.2f} us"
            f"  json {row.json_us:6.2f} us  ratio {row.ratio:.2f}"
        )


if __name__ == "__main__":
    main()
