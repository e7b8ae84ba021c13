"""The table of the DC output (core data): states, transitions, deadlines, and what they are called.

`stage` holds the behaviour; this is what it may do and in which order.
"""

from __future__ import annotations

from enum import Enum

from controller.machine import TableMachine, row
from controller.power import limits
from controller.signals import Phase


class S(Enum):
    """What the power stage is doing."""

    OFF = "off"
    DISCHARGE = "cable check: output below 60 V"
    CLOSE = "cable check: contactors"
    RAISE = "cable check: test voltage"
    MEASURE = "cable check: insulation"
    LOWER = "cable check: output down"
    READY = "cable check passed"
    PRE_CHARGE = "pre-charge"
    CHARGE = "charge"
    STOPPING = "ramp down"
    OPENING = "open contactors"
    ABORTED = "aborted"


CHECKING = [S.DISCHARGE, S.CLOSE, S.RAISE, S.MEASURE, S.LOWER]
TESTING = [S.RAISE, S.MEASURE]
POWERED = [S.PRE_CHARGE, S.CHARGE]
ENERGISED = [*TESTING, *POWERED, S.STOPPING]
BUSY = [s for s in S if s is not S.OFF]

TABLE = [  # trigger            source                    dest          when   do
    row("release", BUSY, S.OFF, (), ("forget_check", "open_up")),  # idle, connected, fault
    row("permit_lost", ENERGISED, S.ABORTED, (), "abort"),
    row("contactors_lost", [*TESTING, S.LOWER, S.READY, *POWERED], S.ABORTED, (), "abort"),
    row("check", S.OFF, S.DISCHARGE, (), "start_check"),  # IEC 61851-23 CC.4.1.2
    row("voltage_low", S.DISCHARGE, S.CLOSE, (), "close_contactors"),
    row("may_energise", S.CLOSE, S.RAISE),
    row("voltage_reached", S.RAISE, S.MEASURE, (), "start_isolation_test"),
    row("insulation_good", S.MEASURE, S.LOWER),
    row("check_failed", CHECKING, S.ABORTED, (), "abort"),
    row("voltage_low", S.LOWER, S.READY, (), "pass_check"),
    row("timeout", CHECKING, S.ABORTED, (), ("name_timeout", "abort")),
    row("pre_charge", S.READY, S.PRE_CHARGE),
    row("charge", S.PRE_CHARGE, S.CHARGE),
    row("pre_charge", S.OFF, None, (), "refuse"),
    row("charge", [S.OFF, S.READY], None, (), "refuse"),
    row("stop", CHECKING, S.ABORTED, (), ("name_stop", "abort")),
    row("stop", POWERED, S.STOPPING),  # CharIN design guide t12: ramp, < 1 A, off
    row("stop", S.READY, S.OPENING, (), "open_up"),
    row("current_gone", S.STOPPING, S.OPENING, (), "open_up"),
    row("contactors_lost", S.STOPPING, S.OPENING, (), "open_up"),
    row("timeout", S.STOPPING, S.OPENING, (), "open_up"),
    row("opened", S.OPENING, S.OFF, (), "forget_check"),
    row("timeout", S.OPENING, S.ABORTED, (), ("name_timeout", "abort")),
]

TRIGGER = {
    Phase.CABLE_CHECK: "check",
    Phase.PRE_CHARGE: "pre_charge",
    Phase.CHARGE: "charge",
    Phase.STOPPING: "stop",
    Phase.IDLE: "release",
    Phase.CONNECTED: "release",
    Phase.FAULT: "release",
}
TIMEOUT_REASON = {
    S.DISCHARGE: "output did not fall below 60 V",
    S.CLOSE: "contactors did not close, or no permit to energise",
    S.RAISE: "test voltage was not reached",
    S.MEASURE: "isolation monitor gave no result",
    S.LOWER: "output did not fall below 60 V after the test",
    S.OPENING: "contactors did not open",
}

DEADLINE_S: dict[S, float] = {
    S.DISCHARGE: limits.CABLE_CHECK_DISCHARGE_S,
    S.CLOSE: limits.CABLE_CHECK_CLOSE_S,
    S.RAISE: limits.CABLE_CHECK_RAISE_S,
    S.MEASURE: limits.CABLE_CHECK_MEASURE_S,
    S.LOWER: limits.CABLE_CHECK_DISCHARGE_S,
    S.STOPPING: limits.STOPPING_S,
    S.OPENING: limits.OPENING_S,
}


class StageTriggers(TableMachine):
    """The triggers of the table, which replaces them."""

    __slots__ = ()

    def release(self) -> bool:
        """The session is in a phase without power."""
        return False

    def permit_lost(self) -> bool:
        """The interlock no longer lets the output be energised."""
        return False

    def contactors_lost(self) -> bool:
        """The contactors are open though they ought to be closed."""
        return False

    def check(self) -> bool:
        """Run the cable check."""
        return False

    def voltage_low(self) -> bool:
        """The output is below 60 V."""
        return False

    def may_energise(self) -> bool:
        """Contactors are closed and the interlock permits energy."""
        return False

    def voltage_reached(self) -> bool:
        """The test voltage stands."""
        return False

    def insulation_good(self) -> bool:
        """Self-test and all samples are good."""
        return False

    def check_failed(self) -> bool:
        """The cable check found a fault (`failure`)."""
        return False

    def pre_charge(self) -> bool:
        """Follow the vehicle's voltage with little current."""
        return False

    def charge(self) -> bool:
        """Follow the vehicle's targets."""
        return False

    def stop(self) -> bool:
        """Ramp down, then off, then open."""
        return False

    def current_gone(self) -> bool:
        """The ramp is at its end and less than 1 A flows."""
        return False

    def opened(self) -> bool:
        """The contactors are open."""
        return False
