"""The vehicle wakes a charger that sleeps (core): when to ask for a B-C-B toggle, and how often.

Theory of operation. A charger may rest with its oscillator off (X1): it saves power, waits for a
cheaper hour, or is done. A vehicle that wants to charge says so by closing S2 for 200 to 400 ms
(ISO 15118-3); realtime does that (`pev`), this core says when. It asks when the driver does
(`ChargeRequest`), and, if the car file wants that, when a charger has been resting since the
plug-in for longer than it may take to be ready. One toggle each `WAKE_RETRY_S`, `WAKE_TRIES` of
them, then the charger is left alone until the driver asks again or the pilot changes. A session
that has ended, or a wish to stop, ends the wish to charge.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from controller.cp import timing
from controller.machine import TableMachine, row
from controller.signals import (
    DUTY_STEADY_HIGH,
    DUTY_STEADY_LOW,
    ChargeRequest,
    InletPilotChanged,
    Output,
    SessionEnded,
    StopRequest,
    WakeFailed,
    WakeRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class WakeState(Enum):
    """What there is to wake."""

    NOTHING = "no charger that sleeps"
    ASLEEP = "charger sleeps, nobody minds"
    WAITING = "charger sleeps, perhaps not for long"
    TOGGLED = "waiting for its oscillator"
    GIVEN_UP = "does not wake up"


S = WakeState


class WakeUp(TableMachine):
    """`automatic`: wake a charger that stays asleep after the plug-in without being asked to."""

    TABLE: ClassVar = [
        row("changed", list(S), S.NOTHING),
        row("sleeps", S.NOTHING, S.TOGGLED, "is_asked_to", ["forget_tries", "toggle"]),
        row("sleeps", S.NOTHING, S.WAITING, "wants_to_charge", "forget_tries"),
        row("sleeps", S.NOTHING, S.ASLEEP),
        row("wanted", [S.ASLEEP, S.WAITING, S.GIVEN_UP], S.TOGGLED, do=["forget_tries", "toggle"]),
        row("content", [S.WAITING, S.TOGGLED], S.ASLEEP),
        row("timeout", S.WAITING, S.TOGGLED, do="toggle"),
        row("timeout", S.TOGGLED, "=", "has_tries_left", "toggle"),
        row("timeout", S.TOGGLED, S.GIVEN_UP, do="give_up"),
    ]
    INITIAL = S.NOTHING
    DEADLINE_S: ClassVar = {S.WAITING: timing.WAKE_AFTER_S, S.TOGGLED: timing.WAKE_RETRY_S}
    ENDLESS: ClassVar = [S.NOTHING, S.ASLEEP, S.GIVEN_UP]

    def __init__(self, *, automatic: bool = False) -> None:
        super().__init__()
        self.tries = 0
        self._automatic = automatic
        self._wants = automatic
        self._asked = False
        self._plugged = False

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        """Take the pilot, the driver's wishes, the end of a session."""
        self.now, self.rx = now, signal
        match signal:
            case InletPilotChanged():
                self._take_pilot(signal)
            case ChargeRequest():
                self._wants = self._asked = True
                self.wanted()
            case SessionEnded() | StopRequest():
                self._wants = self._asked = False
                self.content()
            case _:
                pass
        return self.drain()

    def _take_pilot(self, pilot: InletPilotChanged) -> None:
        if not pilot.plugged or (not self._plugged and not self._asked):
            self._wants, self._asked = self._automatic, False
        self._plugged = pilot.plugged
        sleeps = pilot.plugged and pilot.duty == DUTY_STEADY_HIGH
        if not sleeps and pilot.duty > DUTY_STEADY_LOW:
            self._asked = False  # the charger is awake: that was the wish
        trigger: Callable[[], bool] = self.changed
        if sleeps and not pilot.button and not pilot.fault:
            trigger = self.sleeps
        trigger()

    # triggers

    def changed(self) -> bool:
        """Nothing is plugged in, the oscillator runs, or nobody can tell."""
        return False

    def sleeps(self) -> bool:
        """The charger is there, its oscillator is off."""
        return False

    def wanted(self) -> bool:
        """The driver wants to charge."""
        return False

    def content(self) -> bool:
        """Nobody wants to charge any more."""
        return False

    # guards

    def is_asked_to(self) -> bool:
        """Did the driver ask, and not just the car file?"""
        return self._asked

    def wants_to_charge(self) -> bool:
        """Does the car wake chargers by itself?"""
        return self._wants

    def has_tries_left(self) -> bool:
        """Is another toggle allowed?"""
        return self.tries < timing.WAKE_TRIES

    # actions

    def forget_tries(self) -> None:
        """Begin to count anew."""
        self.tries = 0

    def toggle(self) -> None:
        """Ask for one B-C-B."""
        self.tries += 1
        self.out.append(WakeRequest())

    def give_up(self) -> None:
        """Leave the charger alone."""
        self._wants = self._asked = False
        self.out.append(WakeFailed(self.tries))
