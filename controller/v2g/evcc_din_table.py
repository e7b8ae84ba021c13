"""DIN 70121, vehicle: the table - what follows which answer, and how long anything may take.

The theory of operation is in `evcc_din`, which fills this table with life.
"""

from enum import Enum

from controller.machine import row
from controller.v2g.messages import din
from controller.v2g.timing import (
    CONTACTOR_CLOSE_TIMEOUT_S,
    EVCC_ABORT_CURRENT_TIMEOUT_S,
    EVCC_CONTACTOR_OPEN_TIMEOUT_S,
    EVCC_STOP_CURRENT_TIMEOUT_S,
    EVCC_WELDING_INTERVAL_S,
    EVCC_WELDING_MAX_ROUNDS,
    V2G_EVCC_CABLE_CHECK_TIMEOUT_S,
    V2G_EVCC_COMMUNICATION_SETUP_S,
    V2G_EVCC_MSG_TIMEOUT_S,
    V2G_EVCC_ONGOING_TIMEOUT_S,
    V2G_EVCC_PRE_CHARGE_TIMEOUT_S,
)


class S(Enum):
    """Which answer, or which own part, is waited for."""

    IDLE = "idle"
    SESSION_SETUP = "session setup"
    SERVICE_DISCOVERY = "service discovery"
    PAYMENT_SELECTION = "payment selection"
    AUTHORISATION = "authorisation"
    PARAMETERS = "parameters"
    CABLE_CHECK = "cable check"
    PRE_CHARGE = "pre-charge"
    CLOSING = "closing contactors"
    POWER_ON = "power on"
    CHARGE = "charge"
    POWER_OFF = "power off"
    RAMP_DOWN = "ramp down"
    OPENING = "opening contactors"
    WELDING = "welding detection"
    ABORTING = "aborting"
    SESSION_STOP = "session stop"
    ENDED = "ended"

    __hash__ = object.__hash__  # by identity: states are looked up with every message


BEFORE_CURRENT = [
    S.SESSION_SETUP,
    S.SERVICE_DISCOVERY,
    S.PAYMENT_SELECTION,
    S.AUTHORISATION,
    S.PARAMETERS,
    S.CABLE_CHECK,
    S.PRE_CHARGE,
    S.CLOSING,
]
ENERGISED = [S.POWER_ON, S.CHARGE, S.POWER_OFF, S.RAMP_DOWN]
ENDING = [S.OPENING, S.WELDING]
WORKING = [*BEFORE_CURRENT, *ENERGISED, *ENDING]

_SAFE = ["open_s2"]
_GONE = ["open_contactors"]
_STOP_ENDED = ["latch_no_answer", "finish"]

TABLE = [  # trigger                 source             dest                 when                do
    row("start", [S.IDLE, S.ENDED], S.SESSION_SETUP, do="ask_session_setup"),
    # what wins everywhere
    row("unplugged", [*WORKING, S.ABORTING, S.SESSION_STOP], S.ENDED, do="drop_all"),
    row("abort", WORKING, S.ABORTING, do=_SAFE),
    row("timeout", [*BEFORE_CURRENT, S.POWER_ON], S.ABORTING, do=["latch_timeout", *_SAFE]),
    row("current_gone", S.ABORTING, S.SESSION_STOP, "has_session", [*_GONE, "ask_session_stop"]),
    row("current_gone", S.ABORTING, S.ENDED, do=[*_GONE, "finish"]),
    row("timeout", S.ABORTING, S.SESSION_STOP, "has_session", [*_GONE, "ask_session_stop"]),
    row("timeout", S.ABORTING, S.ENDED, do=[*_GONE, "finish"]),
    # the good case
    row("session_setup_res", S.SESSION_SETUP, S.SERVICE_DISCOVERY, do="ask_services"),
    row("service_discovery_res", S.SERVICE_DISCOVERY, S.PAYMENT_SELECTION, do="ask_payment"),
    row(
        "service_payment_selection_res",
        S.PAYMENT_SELECTION,
        S.AUTHORISATION,
        do="ask_authorisation",
    ),
    row("contract_authentication_res", S.AUTHORISATION, None, "is_ongoing", "ask_again"),
    row("contract_authentication_res", S.AUTHORISATION, S.PARAMETERS, do="ask_parameters"),
    row("charge_parameter_discovery_res", S.PARAMETERS, None, "is_ongoing", "ask_again"),
    row(
        "charge_parameter_discovery_res",
        S.PARAMETERS,
        S.CABLE_CHECK,
        do=["close_s2", "ask_cable_check"],
    ),
    row("cable_check_res", S.CABLE_CHECK, None, "is_unchecked", "ask_again"),
    row("cable_check_res", S.CABLE_CHECK, S.PRE_CHARGE, do="ask_pre_charge"),
    row("pre_charge_res", S.PRE_CHARGE, S.CLOSING, "is_voltage_equal", "close_contactors"),
    row("pre_charge_res", S.PRE_CHARGE, None, (), "ask_again"),
    row("closed", S.CLOSING, S.POWER_ON, do="ask_power_on"),
    row("power_delivery_res", S.POWER_ON, S.CHARGE, do="ask_first_current"),
    row("current_demand_res", S.CHARGE, S.POWER_OFF, "may_power_off", "ask_power_off"),
    row("current_demand_res", S.CHARGE, None, "is_stopping", "ask_zero"),
    row("current_demand_res", S.CHARGE, None, (), "ask_current_later"),
    row("stop_now", S.CHARGE, None, "is_idle", "ask_zero"),
    row("power_delivery_res", S.POWER_OFF, S.RAMP_DOWN, do="expect_nothing"),
    row("timeout", S.POWER_OFF, S.ABORTING, do=["latch_timeout", *_SAFE]),
    row("current_gone", S.RAMP_DOWN, S.OPENING, do=_GONE),
    row("timeout", S.RAMP_DOWN, S.OPENING, do=["latch_current", *_SAFE, *_GONE]),
    row("opened", S.OPENING, S.WELDING, do=[*_SAFE, "ask_welding"]),
    row("timeout", S.OPENING, S.WELDING, do=["latch_not_opened", *_SAFE, "ask_welding"]),
    row("welding_detection_res", S.WELDING, None, "is_voltage_left", "ask_welding_again"),
    row("welding_detection_res", S.WELDING, S.SESSION_STOP, do="ask_session_stop"),
    row("timeout", S.WELDING, S.SESSION_STOP, do="ask_session_stop"),
    row("session_stop_res", S.SESSION_STOP, S.ENDED, do="finish"),
    row("abort", S.SESSION_STOP, S.ENDED, do="finish"),
    row("timeout", S.SESSION_STOP, S.ENDED, do=_STOP_ENDED),
]

DEADLINE_S = {  # of a whole phase; each answer has its own, shorter time besides
    S.SESSION_SETUP: V2G_EVCC_COMMUNICATION_SETUP_S,
    S.SERVICE_DISCOVERY: V2G_EVCC_MSG_TIMEOUT_S,
    S.PAYMENT_SELECTION: V2G_EVCC_MSG_TIMEOUT_S,
    S.AUTHORISATION: V2G_EVCC_ONGOING_TIMEOUT_S,  # [V2G2-710]
    S.PARAMETERS: V2G_EVCC_ONGOING_TIMEOUT_S,  # [V2G2-712]
    S.CABLE_CHECK: V2G_EVCC_CABLE_CHECK_TIMEOUT_S,  # [V2G2-700]
    S.PRE_CHARGE: V2G_EVCC_PRE_CHARGE_TIMEOUT_S,  # [V2G2-704]
    S.CLOSING: CONTACTOR_CLOSE_TIMEOUT_S,
    S.POWER_ON: V2G_EVCC_MSG_TIMEOUT_S,
    S.POWER_OFF: V2G_EVCC_MSG_TIMEOUT_S,
    S.RAMP_DOWN: EVCC_STOP_CURRENT_TIMEOUT_S,
    S.OPENING: EVCC_CONTACTOR_OPEN_TIMEOUT_S,
    S.WELDING: (EVCC_WELDING_MAX_ROUNDS + 1) * (EVCC_WELDING_INTERVAL_S + V2G_EVCC_MSG_TIMEOUT_S),
    S.ABORTING: EVCC_ABORT_CURRENT_TIMEOUT_S,
    S.SESSION_STOP: V2G_EVCC_MSG_TIMEOUT_S,
}

TRIGGERS: dict[type[din.BodyElement], str] = {
    din.SessionSetupRes: "session_setup_res",
    din.ServiceDiscoveryRes: "service_discovery_res",
    din.ServicePaymentSelectionRes: "service_payment_selection_res",
    din.ContractAuthenticationRes: "contract_authentication_res",
    din.ChargeParameterDiscoveryRes: "charge_parameter_discovery_res",
    din.CableCheckRes: "cable_check_res",
    din.PreChargeRes: "pre_charge_res",
    din.PowerDeliveryRes: "power_delivery_res",
    din.CurrentDemandRes: "current_demand_res",
    din.WeldingDetectionRes: "welding_detection_res",
    din.SessionStopRes: "session_stop_res",
}
"""Response type -> its trigger."""

LEGAL = frozenset((state, str(r["trigger"])) for r in TABLE for state in r["source"])
