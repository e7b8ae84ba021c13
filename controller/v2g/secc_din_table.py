"""DIN 70121, charger: the table - which request is legal when, and how long silence may last.

The theory of operation is in `secc_din`, which fills this table with life. `timeout` rows belong to
the times in `DEADLINE_S`, which run from entering a state; an answered request enters anew.
"""

from enum import Enum

from controller.machine import row
from controller.v2g.timing import (
    SECC_DISCONNECT_WAIT_S,
    SECC_EMPTYING_S,
    SECC_ENERGISED_SILENCE_S,
    SECC_FAILED_LINGER_S,
    V2G_SECC_MSG_PERFORMANCE_S,
    V2G_SECC_SEQUENCE_TIMEOUT_S,
)


class S(Enum):
    """What is expected next."""

    IDLE = "idle"
    SESSION_SETUP = "session setup"
    SERVICE_DISCOVERY = "service discovery"
    PAYMENT_SELECTION = "payment selection"
    AUTHORISATION = "authorisation"
    PARAMETERS = "parameters"
    CABLE_CHECK = "cable check"
    CABLE_CHECKED = "cable checked"
    PRE_CHARGE = "pre-charge"
    CHARGE = "charge"
    RAMP_DOWN = "ramp down"  # PowerDelivery(false) is not answered yet
    STOPPED = "stopped"
    WAIT_STATE_B = "wait for state B"  # WeldingDetection is not answered yet
    FAILED = "failed"
    DISCONNECT = "disconnect"
    EMPTYING = "emptying"  # the connection is gone, the current not yet
    ENDED = "ended"

    __hash__ = object.__hash__  # by identity: states are looked up with every message


BEFORE_POWER = [
    S.SESSION_SETUP,
    S.SERVICE_DISCOVERY,
    S.PAYMENT_SELECTION,
    S.AUTHORISATION,
    S.PARAMETERS,
]
ENERGISED = [S.CABLE_CHECK, S.CABLE_CHECKED, S.PRE_CHARGE, S.CHARGE]
HOLDING = [S.RAMP_DOWN, S.WAIT_STATE_B]
WORKING = [*BEFORE_POWER, *ENERGISED, *HOLDING, S.STOPPED]
CLOSING = [S.FAILED, S.DISCONNECT]

_SILENT_END = ["latch_silence", "switch_off", "close", "end"]
_POWER_OFF = ["latch_vehicle_stop", "power_down"]

TABLE = [  # trigger                    source               dest                 when          do
    row("start", [S.IDLE, S.ENDED], S.SESSION_SETUP),
    # what wins everywhere
    row("give_up", WORKING, S.ENDED, "is_off", ["switch_off", "close", "end"]),  # unreadable, late
    row("give_up", WORKING, S.EMPTYING, do=["switch_off", "close"]),
    row("give_up", CLOSING, S.ENDED, "is_off", ["close", "end"]),
    row("give_up", CLOSING, S.EMPTYING, do="close"),
    row("lost", WORKING, S.ENDED, "is_off", ["switch_off", "end"]),  # the peer closed, or it broke
    row("lost", WORKING, S.EMPTYING, do="switch_off"),
    row("lost", CLOSING, S.ENDED, "is_off", "end"),
    row("lost", CLOSING, S.EMPTYING),
    row("current_gone", S.EMPTYING, S.ENDED, do="end"),
    row("timeout", S.EMPTYING, S.ENDED, do="end"),
    row("give_up", S.EMPTYING, S.ENDED, do="end"),
    row("session_stop_req", WORKING, S.DISCONNECT, do=["latch_session_stop", "power_down"]),
    row("session_stop_req", S.FAILED, S.DISCONNECT),
    row("session_stop_req", S.DISCONNECT, None),
    row("refused", WORKING, S.FAILED, do="switch_off"),
    row("refused", CLOSING, None),  # answered, but the end does not move
    # the good case
    row("session_setup_req", S.SESSION_SETUP, S.SERVICE_DISCOVERY),
    row("service_discovery_req", S.SERVICE_DISCOVERY, S.PAYMENT_SELECTION),
    row("service_detail_req", S.PAYMENT_SELECTION, "="),
    row("service_payment_selection_req", S.PAYMENT_SELECTION, S.AUTHORISATION),
    row("contract_authentication_req", S.AUTHORISATION, "=", "is_ongoing"),
    row("contract_authentication_req", S.AUTHORISATION, S.PARAMETERS),
    row("charge_parameter_discovery_req", S.PARAMETERS, "=", "is_ongoing"),
    row("charge_parameter_discovery_req", S.PARAMETERS, S.CABLE_CHECK, do="keep_parameters"),
    row("cable_check_req", S.CABLE_CHECK, "=", "is_ongoing"),
    row("cable_check_req", S.CABLE_CHECK, S.CABLE_CHECKED),
    row("pre_charge_req", [S.CABLE_CHECKED, S.PRE_CHARGE], S.PRE_CHARGE),
    row("power_on_req", S.PRE_CHARGE, S.CHARGE),
    row("current_demand_req", S.CHARGE, "="),
    row("power_off_req", ENERGISED, S.RAMP_DOWN, do=_POWER_OFF),
    row("power_off_req", S.STOPPED, "="),  # said again: harmless
    row("current_gone", S.RAMP_DOWN, S.STOPPED, do="answer_held"),
    row("timeout", S.RAMP_DOWN, S.STOPPED, do="answer_held"),  # the vehicle waits 2 s, no longer
    row("welding_detection_req", S.STOPPED, "=", "is_state_b"),
    row("welding_detection_req", S.STOPPED, S.WAIT_STATE_B),  # [V2G2-920]
    row("state_b", S.WAIT_STATE_B, S.STOPPED, do="answer_held"),
    row("timeout", S.WAIT_STATE_B, S.FAILED, do=["latch_no_state_b", "answer_held", "switch_off"]),
    # silence
    row("timeout", ENERGISED, S.FAILED, do=["latch_silence", "switch_off"]),
    row("timeout", [*BEFORE_POWER, S.STOPPED], S.ENDED, do=_SILENT_END),
    row("timeout", CLOSING, S.ENDED, "is_off", ["close", "end"]),
    row("timeout", CLOSING, S.EMPTYING, do="close"),
]

DEADLINE_S = {
    **dict.fromkeys([*BEFORE_POWER, S.STOPPED], V2G_SECC_SEQUENCE_TIMEOUT_S),  # [V2G2-443]
    **dict.fromkeys(ENERGISED, SECC_ENERGISED_SILENCE_S),
    **dict.fromkeys(HOLDING, V2G_SECC_MSG_PERFORMANCE_S),
    S.FAILED: SECC_FAILED_LINGER_S,
    S.DISCONNECT: SECC_DISCONNECT_WAIT_S,
    S.EMPTYING: SECC_EMPTYING_S,
}

LEGAL = frozenset((state, str(r["trigger"])) for r in TABLE for state in r["source"])
"""(state, request trigger) pairs that have a row; all else is FAILED_SequenceError."""
