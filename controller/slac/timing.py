"""Times and counts of SLAC: ISO 15118-3 Tables 3 and A.1 under their own names, in seconds.

TP_* is what we must keep, TT_* how long we wait for the other side. Where real cars or chargers
need more than the table gives, the number used is a separate constant that says who needs it.
"""

# --- Table A.1: matching -----------------------------------------------------------------------

C_EV_START_ATTEN_CHAR_INDS = 3
"""Announcements of the sounds (Debian's pev sends one)."""
C_EV_MATCH_MNBC = 10
"""Sounds of one run."""
C_EV_MATCH_RETRY = 2
"""Repeats of a request after TT_match_response."""
C_EV_MATCH_SIGNALATTN_DIRECT_DB = 10.0
"""A charger that hears the vehicle with at most this mean attenuation is found."""
C_EV_MATCH_SIGNALATTN_INDIRECT_DB = 20.0
"""Up to this it is perhaps found: to be validated. Real chargers report 8 to 41 dB of their own
vehicle, so a vehicle that keeps to it finds few of them."""
C_EV_VALD_NB_TOGGLES = 3
"""B-C-B toggles of a validation: 1 to 3."""
C_CONN_MAX_MATCH = 3
"""Tries of the whole matching process."""
C_SEQU_RETRY = 2
"""Tries of the charger behind a step through state E or F, after the first."""
C_EVSE_MATCH_PARALLEL = 5
"""Vehicles that an EVSE must be able to match with at once (crosstalk between outlets)."""

TP_EV_SLAC_INIT_S = 10.0
"""State B to the first CM_SLAC_PARM.REQ, at most."""
TT_EVSE_SLAC_INIT_S = 50.0
"""The EVSE waits for CM_SLAC_PARM.REQ: 20 to 50 s allowed."""
TP_MATCH_RESPONSE_S = 0.1
"""A request is answered within this."""
TT_MATCH_RESPONSE_S = 0.2
"""Wait for an answer before repeating the request."""
TP_MATCH_SEQUENCE_S = 0.1
"""The next request follows an answer within this (Superchargers and Compleo insist on it)."""
TT_MATCH_SEQUENCE_S = 0.4
"""Wait for the next request."""
TP_EV_BATCH_MSG_INTERVAL_S = 0.03
"""Between START_ATTEN and SOUND frames: 20 to 50 ms allowed."""
TT_EVSE_MATCH_MNBC_S = 0.6
"""The EVSE collects sounds for this long from the first CM_START_ATTEN_CHAR.IND."""
TP_EVSE_AVG_ATTEN_CALC_S = 0.1
"""CM_ATTEN_CHAR.IND follows within this (so at the latest 0.7 s after the first START)."""
TT_EV_ATTEN_RESULTS_S = 1.2
"""The vehicle collects CM_ATTEN_CHAR.IND for this long from its first CM_START_ATTEN_CHAR.IND."""
TP_EV_MATCH_SESSION_S = 0.5
"""CM_ATTEN_CHAR.RSP to CM_SLAC_MATCH.REQ; cars take 2 to 930 ms."""
TT_EVSE_MATCH_SESSION_S = 10.0
"""The EVSE waits for CM_SLAC_MATCH.REQ or CM_VALIDATE.REQ."""
TT_MATCH_JOIN_S = 12.0
"""CM_SLAC_MATCH.CNF to the powerline link; modems need 3 to 7 s (they restart with the key)."""
TP_LINK_READY_NOTIFICATION_S = 0.2
"""The powerline link is told to the higher layers: 0.2 to 1 s (`plc.modem` polls as often)."""
TP_MATCH_LEAVE_S = 1.0
"""Leave the network within this when the vehicle is unplugged, or after D-LINK_TERMINATE."""
TP_AMP_MAP_EXCHANGE_S = 0.1
"""An amplitude map is confirmed within this."""
TT_AMP_MAP_EXCHANGE_S = 0.2
"""Wait for CM_AMP_MAP.CNF before repeating the request."""
TT_MATCHING_RATE_S = 0.4
"""Pause before a failed matching process is tried again."""
TT_MATCHING_REPETITION_S = 10.0
"""Window of such tries."""

T_VALD_DETECT_TIME_S = 0.2
"""The charger takes at most this to notice an edge of the pilot."""
TP_EV_VALD_STATE_DURATION_S = 0.3
"""Each B and C of a toggle: 0.2 to 0.4 s allowed."""
TP_EV_VALD_STATE_SHORTEST_S = 0.2
"""Shortest C of a toggle."""
TP_EV_VALD_STATE_LONGEST_S = 0.4
"""Longest C of a toggle."""
TP_EV_VALD_TOGGLE_S = 0.6
"""Shortest time for all toggles that a vehicle announces; 3.5 s is the longest."""
TT_EVSE_VALD_TOGGLE_S = 3.5
"""The charger counts toggles no longer than this."""

# --- Table 3: connection -----------------------------------------------------------------------

T_STEP_EF_S = 4.0
"""State E or F between two tries lasts this long at least, so that the vehicle begins anew."""
T_STEP_X1_S = 3.0
"""Oscillator off between two tries lasts this long at least."""
T_CONN_INIT_HLC_S = 0.2
"""State B after F, before the vehicle may be asked to talk: at least this."""
T_CONN_RESUME_S = 6.0
"""Ready to talk again after a wake-up."""
T_CONN_MAX_COMM_S = 8.0
"""Ready to talk after the plug-in."""
T_CONN_RESETUP_S = 15.0
"""A lost connection is set up again within this."""

# --- what the field needs ----------------------------------------------------------------------

EVSE_START_ATTEN_WAIT_S = 1.0
"""CM_SLAC_PARM.CNF to the first START: TT_match_sequence is 0.4 s, a test system took 0.31 s of
it on a quiet machine, and waiting longer costs nothing."""
EVSE_WAIT_KEY_S = 20.0
"""For the own modem to take its key: it may be restarting with the one before (3 to 5 s)."""
EVSE_LAST_SESSION_S = 14.0
"""A run that began in time may end after TT_EVSE_SLAC_init: 1.0 + 0.6 + 0.6 + 10 s and some."""
PEV_WAIT_KEY_S = 10.0
"""For the own modem to take the charger's key; `plc.modem` reports a failure before."""
PEV_LEAVE_S = 0.8
"""The vehicle leaves the network so long after its end: the last TCP segments need the link, and
TP_match_leave allows 1 s."""
PEV_CLEAR_LEAD_DB = 5.0
"""Ahead of the next charger by this, the nearest one is found without validation: where two
chargers were captured answering one car, the right one was 5.5 and 20.7 dB ahead."""
EVSE_VALD_EARLY_S = 0.05
"""A toggle may be this much shorter than allowed: samples and debouncing of the pilot."""
EVSE_VALD_LATE_S = 0.2
"""And this much longer: T_vald_detect_time."""
