"""The times of the control pilot (core)."""

from __future__ import annotations

DEBOUNCE_S = 0.004
"""A level counts when two readings at least this far apart, and all between, agree.

With a 5 ms period these are two readings in a row (as chargebyte's firmware accepts a level): at
most 10 ms after the edge, of the 50 ms that EVerest's bring-up guide leaves for detection so that
the 100 ms of IEC 61851-1 Table A.6 sequence 8.1 (C to B: power off) hold. By time, not by count:
a 1 ms period takes five readings, so noise is not believed sooner."""

UNSTEADY_S = 0.025
"""A level that stays neither what it was nor anything else for this long is no longer believed:
the pilot leaves its state even so. A loose contact must not hold state C."""

DIODE_DEBOUNCE_S = 0.009
"""A missing negative half wave is a fault after this (two to three periods of 5 ms)."""

DIODE_SETTLE_S = 0.020
"""After a change of the driven duty the negative peak is not judged: the peak detector needs its
reset (1.5 ms), a settling time (2 ms) and a conversion, and drivers differ."""

F_SETTLE_S = 0.3
"""After steady -12 V was driven its level is not judged: a detector of positive peaks falls only as
fast as its capacitor is discharged (95 ms from +12 to -11 V with the board's 30 ms), passing
through everything between."""

START_SETTLE_S = 0.1
"""Own figure: after the first reading a wrong level withholds power, as always, but is not yet a
fault that holds until unplugging: supply and detectors may still be settling."""

# --- steps between duty cycles: ISO 15118-3 and IEC 61851-1 Table A.6, as EVerest runs them -------
T_STEP_X1_S = 3.0
"""X1 between 5 % and a duty that names a current (ISO 15118-3 figure 5)."""
T_STEP_EF_S = 4.0
"""Least time in F, so that a vehicle takes what follows for a new plug-in (ISO 15118-3)."""
T_HOLD_X1_S = 0.75
"""X1 after F, before the oscillator starts."""
T_REPLUG_S = T_STEP_EF_S
"""A charger without a switch in the pilot line simulates a replug by a step through F."""
DUTY_CHANGE_S = 5.0
"""Least time between two changes of the duty: a vehicle has 5 s to follow."""

# --- B-C-B toggles --------------------------------------------------------------------------------
BCB_SHORTEST_S, BCB_LONGEST_S = 0.15, 0.45
"""State C for 200 to 400 ms, +-50 ms (ISO 15118-3 T_vald_state_duration; EVerest's tolerance)."""
BCB_SERIES_S = 3.7
"""Toggles of one series: TT_EVSE_vald_toggle 3.5 s, +0.2 s."""

# --- IEC 61851-1 Table A.6, as EVerest and the CharIN design guide cite it ------------------------
T_OFF_AFTER_B_S = 0.1
"""Sequence 8.1: the vehicle leaves C or D (t_ACoff1): off within this."""
T_OFF_AFTER_A_S = 0.1
"""Sequence 2: unplugged; CharIN design guide, pilot lost: below 60 V within 100 ms."""
T_OFF_AFTER_E_S = 3.0
"""Sequence 12: short circuit of the pilot: off within this (here: at once)."""
T_ON_AFTER_C_S = 3.0
"""Sequence 4: the vehicle goes to C2 (t_ACon): AC power on within this."""
T_S2_AFTER_X1_S = 3.0
"""Sequence 10.1: the charger stops its oscillator; the vehicle opens S2 within this (t_ACoff2)."""
T_OFF_UNDER_LOAD_S = 6.0
"""Sequence 10.2: it does not: an AC charger opens under load after this."""
T_UNLOCK_S = 5.0
"""Sequences 2.1 and 2.2: unlocked within this after A."""

# --- a silent communication process ---------------------------------------------------------------
PILOT_SILENCE_S = 0.5
"""Own figure: with nothing closed a silent communication process may hang this long before the
oscillator stops; a hiccup shall not cost a plug-in. With something closed there is no patience."""
ABSENT_S = 10.0
"""Own figure: without a sign of life for this long the charger is not available (state F)."""
STEP_S = 0.001
"""A deadline for an age lies this much behind it: the age must be above the limit then."""

STAMP_TOLERANCE_S = 0.005
"""A sample stamped this much ahead of `now` was taken within the same period; more is nonsense."""

INLET_STALE_S = 0.1
"""Vehicle: S2 opens when no inlet sample came for this long (own figure: 20 periods)."""

PLUG_IN_S = 0.1
"""A plug is in when PP says one thing for this long: contacts bounce while it is pushed in."""
PLUG_OUT_S = 0.02
"""Whatever else PP says counts after this. SAE J1772 leaves 100 ms from the latch's button to the
end of the current, and the button comes well before the pins part."""

S2_SETTLE_S = 0.2
"""After S2 switched its effect is not judged: peak detector, charger's answer."""
S2_WRONG_S = 0.5
"""Own figure: the pilot's voltage contradicts S2 for this long, so S2 does not do what it should.
Longer than any B-C-B toggle."""

WAKE_C_S = 0.3
"""State C of a B-C-B toggle that wakes a charger: 200 to 400 ms (ISO 15118-3)."""
WAKE_PAUSE_S = 6.0
"""A charger that was woken is ready to talk within this (ISO 15118-3 T_conn_resume)."""
WAKE_AFTER_S = 10.0
"""A charger is ready to talk 8 s after the plug-in (ISO 15118-3 T_conn_max_comm); one that still
rests after this sleeps, or waits for its own user."""
WAKE_RETRY_S = 7.0
"""From one toggle to the next: WAKE_PAUSE_S, which realtime insists on, and some."""
WAKE_TRIES = 3
"""Toggles until the charger is left alone (own figure; a validation has at most three, too)."""
