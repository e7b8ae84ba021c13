"""States and table of the vehicle's matching: what may follow what (see `pev`)."""

from __future__ import annotations

from enum import Enum

from controller.machine import row
from controller.slac import timing


class PevSlacState(Enum):
    """Where matching stands."""

    IDLE = "idle"
    WAIT_PARM_CNF = "looking for a charger"
    STARTING = "announcing sounds"
    SOUNDING = "sounding"
    COLLECTING = "collecting attenuations"
    WAIT_READY = "asking for validation"
    TOGGLING = "toggling the pilot"
    WAIT_VALIDATED = "waiting for the toggles to be counted"
    WAIT_MATCH_CNF = "asking for the network"
    WAIT_KEY = "waiting for the own modem"
    MATCHED = "matched"
    PAUSED = "pause before the next try"
    FAILED = "failed"
    LEAVING = "leaving the network"


S = PevSlacState
ANY = list(S)
HEARD = [S.STARTING, S.SOUNDING, S.COLLECTING]

ASKED = [S.WAIT_READY, S.TOGGLING, S.WAIT_VALIDATED, S.WAIT_MATCH_CNF]
REFUSED = [S.WAIT_READY, S.WAIT_VALIDATED]
NEXT = ["take_next", "send_validate_req"]

TABLE = [
    row("stop", S.LEAVING, None),
    row("stop", ANY, S.LEAVING, when="is_in_network", do="open_s2"),
    row("stop", ANY, S.IDLE, do="open_s2"),
    row("timeout", S.LEAVING, S.IDLE, do="leave"),  # TP_match_leave
    row("start", ANY, S.WAIT_PARM_CNF, do=["begin_all", "begin_try", "send_parm_req"]),
    row("parm_cnf", S.WAIT_PARM_CNF, S.STARTING, when="is_own_run", do="note_parameters"),
    row("timeout", S.WAIT_PARM_CNF, "=", when="has_retries_left", do="repeat_parm_req"),
    row("timeout", S.WAIT_PARM_CNF, S.PAUSED, "may_try_again", "note_no_charger"),
    row("timeout", S.WAIT_PARM_CNF, S.FAILED, do=["note_no_charger", "report_failure"]),
    row("timeout", S.STARTING, "=", when="has_starts_left", do="send_start"),
    row("timeout", S.STARTING, S.SOUNDING, do="send_sound"),
    row("timeout", S.SOUNDING, "=", when="has_sounds_left", do="send_sound"),
    row("timeout", S.SOUNDING, S.COLLECTING, do="arm_results"),
    row("atten_char", HEARD, None, when="is_report_valid", do=["note_result", "send_atten_rsp"]),
    row("atten_char", ASKED, None, when="is_report_valid", do="send_atten_rsp"),
    row("timeout", S.COLLECTING, S.WAIT_MATCH_CNF, "is_found", ["choose", "send_match_req"]),
    row("timeout", S.COLLECTING, S.WAIT_READY, "has_choice", ["choose", "send_validate_req"]),
    row("timeout", S.COLLECTING, S.PAUSED, when="may_try_again", do="note_unheard"),
    row("timeout", S.COLLECTING, S.FAILED, do=["note_unheard", "report_failure"]),
    row("validate_cnf", S.WAIT_READY, S.WAIT_MATCH_CNF, "is_not_required", "ask_for_match"),
    row("validate_cnf", S.WAIT_READY, S.TOGGLING, "is_ready", "announce_toggles"),
    row("timeout", S.WAIT_READY, "=", when="has_retries_left", do="repeat_validate_req"),
    row("timeout", S.WAIT_READY, S.WAIT_MATCH_CNF, "may_skip_validation", "ask_for_match"),
    row("timeout", S.TOGGLING, "=", when="has_toggles_left", do="toggle_s2"),
    row("timeout", S.TOGGLING, S.WAIT_VALIDATED, do="arm_validated"),
    row("validate_cnf", S.WAIT_VALIDATED, S.WAIT_MATCH_CNF, "is_validated", "ask_for_match"),
    row("refused", REFUSED, S.WAIT_READY, when="has_next", do=NEXT),
    row("timeout", REFUSED, S.WAIT_READY, when="has_next", do=NEXT),
    row("refused", REFUSED, S.PAUSED, when="may_try_again", do="note_not_validated"),
    row("timeout", REFUSED, S.PAUSED, when="may_try_again", do="note_not_validated"),
    row("refused", REFUSED, S.FAILED, do=["note_not_validated", "report_failure"]),
    row("timeout", REFUSED, S.FAILED, do=["note_not_validated", "report_failure"]),
    row("match_cnf", S.WAIT_MATCH_CNF, S.WAIT_KEY, when="is_from_chosen", do="set_modem_key"),
    row("timeout", S.WAIT_MATCH_CNF, "=", when="has_retries_left", do="repeat_match_req"),
    row("timeout", S.WAIT_MATCH_CNF, S.PAUSED, when="may_try_again", do="note_no_match"),
    row("timeout", S.WAIT_MATCH_CNF, S.FAILED, do=["note_no_match", "report_failure"]),
    row("timeout", S.PAUSED, S.WAIT_PARM_CNF, do=["begin_try", "send_parm_req"]),
    row("key_set", S.WAIT_KEY, S.MATCHED, do="report_match"),
    row("key_failed", S.WAIT_KEY, S.FAILED, do="report_failure"),
    row("timeout", S.WAIT_KEY, S.FAILED, do=["note_no_key", "report_failure"]),
]

DEADLINE_S = {
    S.WAIT_PARM_CNF: timing.TT_MATCH_RESPONSE_S,
    S.STARTING: timing.TP_EV_BATCH_MSG_INTERVAL_S,
    S.SOUNDING: timing.TP_EV_BATCH_MSG_INTERVAL_S,
    S.COLLECTING: timing.TT_EV_ATTEN_RESULTS_S,  # counted from the first START
    S.WAIT_READY: timing.TT_MATCH_RESPONSE_S,
    S.TOGGLING: timing.TP_EV_VALD_STATE_DURATION_S,
    S.WAIT_VALIDATED: timing.TT_MATCH_RESPONSE_S,  # after the time that we announced
    S.WAIT_MATCH_CNF: timing.TT_MATCH_RESPONSE_S,
    S.WAIT_KEY: timing.PEV_WAIT_KEY_S,
    S.PAUSED: timing.TT_MATCHING_RATE_S,
    S.LEAVING: timing.PEV_LEAVE_S,
}
