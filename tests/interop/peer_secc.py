"""The SECC of the package `iso15118` with a power stage that follows; runs in its environment.

The simulated charger in the package says 1 V and 1 A for ever, and allows 40 V and a schedule of
200 W. A car that checks what it is told (pre-charge, limits) rightly refuses that. Whoever uses the
package on a charger replaces that class; here its values are replaced and nothing else: protocol,
codec and timing stay the package's own.
"""

import importlib
from typing import Any, Protocol

MAX_VOLTAGE_V = 500
MAX_CURRENT_A = 200
MAX_POWER_W = 60_000
SCHEDULE_POWER_W = 32_000  # 32767 at most: a 16-bit number without multiplier in DIN 70121

simulator = importlib.import_module("iso15118.secc.controller.simulator")
datatypes = importlib.import_module("iso15118.shared.messages.datatypes")
stock: Any = simulator.SimEVSEController
stock_parameters = stock.get_dc_charge_parameters
stock_schedule = stock.get_sa_schedule_list_dinspec


class _Output(Protocol):
    present_voltage: float
    present_current: float


class _Controller(Protocol):
    evse_data_context: _Output


async def send_charging_command(
    self: _Controller,
    ev_target_voltage: float,
    ev_target_current: float,
    is_precharge: bool = False,
    is_session_bpt: bool = False,
) -> None:
    """Give at once what is asked; in pre-charge no current flows, the car's contactors are open."""
    state = self.evse_data_context
    state.present_voltage = min(ev_target_voltage, MAX_VOLTAGE_V)
    state.present_current = 0 if is_precharge else min(max(ev_target_current, 0), MAX_CURRENT_A)


async def stop_charger(self: _Controller) -> None:
    """Discharge the output."""
    self.evse_data_context.present_voltage = 0
    self.evse_data_context.present_current = 0


async def start_cable_check(self: _Controller) -> None:
    """A session begins with an output at rest."""
    await stop_charger(self)


async def get_dc_charge_parameters(self: _Controller) -> object:
    """The stock answer with limits that a car can work with."""
    answer = await stock_parameters(self)
    answer.evse_maximum_voltage_limit = value("PVEVSEMaxVoltageLimit", MAX_VOLTAGE_V, "V")
    answer.evse_minimum_voltage_limit = value("PVEVSEMinVoltageLimit", 50, "V")
    answer.evse_maximum_current_limit = value("PVEVSEMaxCurrentLimit", MAX_CURRENT_A, "A")
    answer.evse_minimum_current_limit = value("PVEVSEMinCurrentLimit", 0, "A")
    answer.evse_maximum_power_limit = value("PVEVSEMaxPowerLimit", MAX_POWER_W, "W")
    answer.evse_peak_current_ripple = value("PVEVSEPeakCurrentRipple", 1, "A")
    return answer


async def get_sa_schedule_list_dinspec(self: _Controller, *arguments: object) -> object:
    """The stock schedule with a power that a car can charge with."""
    schedules = await stock_schedule(self, *arguments)
    schedules[0].p_max_schedule.entry_details[0].p_max = SCHEDULE_POWER_W
    return schedules


async def get_evse_max_voltage_limit(self: _Controller) -> object:
    """The limit in CurrentDemandRes, equal to the one announced."""
    return value("PVEVSEMaxVoltageLimit", MAX_VOLTAGE_V, "V")


async def get_evse_max_current_limit(self: _Controller) -> object:
    """The limit in CurrentDemandRes, equal to the one announced."""
    return value("PVEVSEMaxCurrentLimit", MAX_CURRENT_A, "A")


async def get_evse_max_power_limit(self: _Controller) -> object:
    """The limit in CurrentDemandRes, equal to the one announced."""
    return value("PVEVSEMaxPowerLimit", MAX_POWER_W, "W")


def value(kind: str, number: float, unit: str) -> object:
    """A physical value of the package."""
    exponent, mantissa = datatypes.get_exponent_value_repr(number)
    return getattr(datatypes, kind)(multiplier=exponent, value=mantissa, unit=unit)


REPLACED = (
    send_charging_command,
    stop_charger,
    start_cable_check,
    get_dc_charge_parameters,
    get_sa_schedule_list_dinspec,
    get_evse_max_voltage_limit,
    get_evse_max_current_limit,
    get_evse_max_power_limit,
)

if __name__ == "__main__":
    for method in REPLACED:
        setattr(stock, method.__name__, method)
    importlib.import_module("iso15118.secc.main").run()
