"""The charger's control pilot (core): what it drives, what it reads, which state that is.

Theory of operation. The letter of a state comes from the voltage of the high phase (`levels`), the
digit from what this core drives: 2 with a duty cycle between 0 and 1, else 1. So a state changes
either by a debounced reading or at once by what is driven. It is not a table machine, because no
state remembers anything: only the reading and the drive count, and every period runs through here.

What is driven is wished for by `DutyRequest`; `duty` knows which steps a vehicle needs between two
wishes. Stronger than any wish, in this order:

- An emergency latched by the interlock, and a hold, keep the oscillator off (X1). A hold lasts
  until the vehicle is unplugged, and wishes that come meanwhile are void: after a short circuit
  (IEC 61851-1 Table A.6: E leads to X1), and after the communication process fell silent in a
  session with 5 % (CharIN design guide: once from B2 to B1, stay there until unplugged). A duty
  that names a current may come back: AC charging is paused like that all the time.
- Without a communication process the charger is not available (F). A vehicle that is held keeps
  it in X1 all the same: at -12 V nobody could see it being unplugged.

The diode. While the oscillator runs and a vehicle is there, the low phase must reach -12 V. That
has to be seen before `diode_ok` is true (IEC 61851-1 Table A.4 note: at least once before power),
and its absence is a fault that holds until the vehicle is unplugged (state A).

An input that was seen before (same `taken_at`), or that is older, is no reading: the interlock
sees the age of the last one.
"""

from __future__ import annotations

from math import inf

from controller.cp import faults, levels, limits, timing
from controller.cp.current import is_digital
from controller.cp.duty import DutySteps, meaningful
from controller.cp.levels import POWER_LEVELS, VEHICLE_LEVELS, Debounce, Level
from controller.cp.low_phase import LowPhase
from controller.cp.toggles import BcbWatch
from controller.signals import (
    DUTY_STEADY_HIGH,
    DUTY_STEADY_LOW,
    ControlPilotState,
    DutyCycle,
    DutyRequest,
    InterlockReport,
    Output,
    PilotChanged,
    PilotFault,
    PilotSample,
    SetDuty,
)

_STEADY_STATE = {
    Level.A: ControlPilotState.A1,
    Level.B: ControlPilotState.B1,
    Level.C: ControlPilotState.C1,
    Level.D: ControlPilotState.D1,
    Level.E: ControlPilotState.E,
    Level.F: ControlPilotState.F,
}
_OSCILLATING_STATE = _STEADY_STATE | {
    Level.A: ControlPilotState.A2,
    Level.B: ControlPilotState.B2,
    Level.C: ControlPilotState.C2,
    Level.D: ControlPilotState.D2,
}
SILENT = "the communication process fell silent with a vehicle connected"


class EvsePilot:
    """Turns pilot samples and duty requests into `SetDuty`, `PilotChanged` and `BcbToggled`.

    `state` is E until the first level is believed: nothing known, no power.
    """

    def __init__(self, *, ventilation: bool = False) -> None:
        self.state = ControlPilotState.E
        self.duty: DutyCycle = DUTY_STEADY_HIGH
        self.is_oscillating = False
        """Whether this core drives the 1 kHz signal."""
        self.fault = PilotFault.NONE
        self.held = ""
        """Why the oscillator stays off until the vehicle is unplugged; or empty."""
        self.is_abandoned = False
        """No communication process: not available (F)."""
        self._is_unheard = False
        """Communication is silent: what still comes from it is void."""
        self.is_listening = True
        """Neither of both: the communication process counts as alive."""
        self.sample: PilotSample | None = None
        self._ventilation = ventilation
        self._requested: DutyCycle = DUTY_STEADY_HIGH
        self._emergency = False
        self._steps = DutySteps()
        self._step_at: float | None = None
        self._was_digital = False
        """The present vehicle was asked for digital communication."""
        self._toggles = BcbWatch()
        self._debounce = Debounce()
        self._low = LowPhase()
        self._latched = PilotFault.NONE
        self._passing = PilotFault.NONE
        self._was_f = False
        """-12 V was reached since it is driven."""
        self._f_lost_since: float | None = None
        self._keep_low = self._keep_high = 0.0
        self._quiet = False
        self.sample_at = -inf
        """When the last sample was taken; minus infinity before the first."""
        self._began_at: float | None = None
        self._settled_at = self._level_at = -inf
        """When the drive has settled, and when the level was last believed anew."""
        self._wrong_since: float | None = None
        """Since when a level from before the drive changed contradicts it."""
        self._told: PilotChanged | None = None

    # --- what is known ----------------------------------------------------------------------------

    @property
    def glitches(self) -> int:
        """Number of readings that disagreed with those around them."""
        return self._debounce.glitches

    @property
    def power_since(self) -> float:
        """Since when the vehicle is in C or D; infinite while it is not."""
        return self._toggles.power_since

    @property
    def is_wanted(self) -> bool:
        """Whether the 1 kHz signal is driven, or will be when its time has come."""
        return self.is_oscillating or DUTY_STEADY_LOW < self._requested < DUTY_STEADY_HIGH

    @property
    def diode_ok(self) -> bool:
        """Whether the low phase reached -12 V with the present vehicle."""
        return self._low.diode_ok

    @property
    def diode_fault(self) -> bool:
        """Whether it did not; holds until the vehicle is unplugged."""
        return self._low.fault is not PilotFault.NONE

    @property
    def was_digital(self) -> bool:
        """Whether the present vehicle was asked for digital communication."""
        return self._was_digital

    @property
    def is_pending(self) -> bool:
        """Whether the next sample matters even if it equals the last one."""
        return not self._quiet or (not self._low.seen and self._must_judge_low())

    # --- verbs ------------------------------------------------------------------------------------

    def next_timer(self) -> float | None:
        """When an unsettled C or D ends without a further sample, or a step may be taken."""
        give_up_at, step_at = self._debounce.give_up_at, self._step_at
        if give_up_at is None or (step_at is not None and step_at < give_up_at):
            return step_at
        return give_up_at

    def handle_timer(self, now: float) -> list[Output]:
        """Leave C or D when the last reading disagreed and none came to settle it; go on a step."""
        before, at = self._debounce.level, self._debounce.give_up_at
        toggled: list[Output] = []
        if at is not None and now >= at and self._debounce.expire(now):
            toggled = self._level_changed(before, now)
        elif self._step_at is None or now < self._step_at:
            return []
        return self._conclude(now) + toggled

    def receive_sample(self, sample: PilotSample, now: float) -> list[Output]:
        """Take one reading of the pilot."""
        taken_at = sample.taken_at
        if not self.sample_at < taken_at <= now + timing.STAMP_TOLERANCE_S:
            return []  # seen before, from the future, or not a number: it only grows older
        self.sample_at = taken_at
        self.sample = sample
        if (
            self._quiet
            and self._keep_low < sample.high_v < self._keep_high
            and self._negative_is_as_before(sample.low_v)
        ):
            return []
        return self._take(sample, taken_at)

    def receive_signal(self, signal: DutyRequest | InterlockReport, now: float) -> list[Output]:
        """Take a wish for another duty cycle, or the interlock's view (an emergency holds X1)."""
        if isinstance(signal, DutyRequest):
            void = self.held or self._is_unheard
            self._requested = DUTY_STEADY_HIGH if void else meaningful(signal.duty)
        else:
            self._emergency = signal.emergency
        return self._conclude(now)

    def communication_silent(self, now: float) -> list[Output]:
        """Act on a silent communication process: what it wanted is void, what ran is over."""
        self._requested = DUTY_STEADY_HIGH
        self._note_listening(unheard=True, abandoned=self.is_abandoned)
        if self._was_digital and not self.held:
            self.held = SILENT
        return self._conclude(now)

    def listen(self) -> None:
        """Take wishes of the communication process, though it has not beaten yet."""
        self._note_listening(unheard=False, abandoned=self.is_abandoned)

    def communication_heard(self, now: float) -> list[Output]:
        """Be available: the communication process beats."""
        self._note_listening(unheard=False, abandoned=False)
        return self._conclude(now)

    def communication_absent(self, now: float) -> list[Output]:
        """Take notice that there is no communication process any more."""
        self._note_listening(unheard=self._is_unheard, abandoned=True)
        return self._conclude(now)

    def _note_listening(self, *, unheard: bool, abandoned: bool) -> None:
        self._is_unheard, self.is_abandoned = unheard, abandoned
        self.is_listening = not (unheard or abandoned)

    def report(self) -> list[Output]:
        """Return the present state once more, for someone who has just come; nothing if unknown."""
        return [] if self._told is None else [self._changed()]

    # --- readings ---------------------------------------------------------------------------------

    def _negative_is_as_before(self, low_v: float) -> bool:
        if self._low.seen and self.is_oscillating:
            return levels.negative_peak_ok(low_v)
        return not self._must_judge_low()

    def _must_judge_low(self) -> bool:
        return self.is_oscillating and self._low.must_judge(self._debounce.level)

    def _take(self, sample: PilotSample, at: float) -> list[Output]:
        if self._began_at is None:
            self._began_at = at
        before = self._debounce.level
        reading = levels.classify(sample.high_v, before)
        toggled: list[Output] = []
        if self._debounce.put(reading, at):
            toggled = self._level_changed(before, at)
        if self.is_oscillating and at >= self._settled_at:
            self._low.take(sample, reading, self._debounce.level, at)
        self._judge_level(sample, at)
        unsettled = self._debounce.is_pending or self._low.is_failing
        self._quiet = not (unsettled or self._is_unjudged())
        return self._conclude(at) + toggled

    def _level_changed(self, before: Level | None, at: float) -> list[Output]:
        level = self._debounce.level
        assert level is not None
        self._level_at = at
        self._keep_low, self._keep_high = levels.keep_band(level)
        if level is Level.F:  # far above -12 V it stays F, but something is wrong
            self._keep_high = limits.F_LOST_V
        self._quiet = False
        self._low.restart()
        self._passing = PilotFault.NONE
        if level is Level.A:
            self._unplugged()
            if before in POWER_LEVELS:
                self._passing = PilotFault.OPEN
        elif level in VEHICLE_LEVELS:
            self._steps.vehicle_came()
            if level is Level.D and not self._ventilation:
                self._passing = PilotFault.VENTILATION
        self._note_digital()
        toggled = self._toggles.level_changed(before, level, at)
        return [] if toggled is None else [toggled]

    def _unplugged(self) -> None:
        self._was_digital = False
        self._latched = PilotFault.NONE
        self.held = ""
        self._low.unplugged()
        self._steps.vehicle_left()

    def _note_digital(self) -> None:
        if is_digital(self.duty) and self._debounce.level in VEHICLE_LEVELS:
            self._was_digital = True

    # --- what is wrong ----------------------------------------------------------------------------

    def _judge_level(self, sample: PilotSample, at: float) -> None:
        """Name the fault behind a level that contradicts what is driven, once that has settled."""
        level, began_at = self._debounce.level, self._began_at
        if level is None or began_at is None or self._debounce.is_pending:
            return
        if at < self._settled_at or at < began_at + timing.START_SETTLE_S:
            return
        if level is Level.F and self.duty <= DUTY_STEADY_LOW:
            self._was_f, self._low.missing = True, False
            self._judge_f(sample, at)
        elif (
            faults.is_wrong_level(level, self.duty)
            and self._latched is PilotFault.NONE
            and self._is_confirmed(at)
        ):
            fault = faults.of_level(level, sample, self.duty, was_f=self._was_f)
            if fault is PilotFault.NEGATIVE_SUPPLY:
                self._low.missing = True
            else:
                self._latch(fault)

    def _is_confirmed(self, at: float) -> bool:
        """Say whether the level still stands: one reading after the drive changed may be late."""
        if self._level_at >= self._settled_at:
            return True
        if self._wrong_since is None:
            self._wrong_since = at
        return at - self._wrong_since >= timing.DEBOUNCE_S

    def _judge_f(self, sample: PilotSample, at: float) -> None:
        """Notice a short circuit of F that is too weak to make it E."""
        if not sample.high_v > limits.F_LOST_V:
            self._f_lost_since = None
        elif self._f_lost_since is None:
            self._f_lost_since = at
        elif at - self._f_lost_since >= timing.DEBOUNCE_S and self._latched is PilotFault.NONE:
            self._latch(PilotFault.SHORT)

    def _latch(self, fault: PilotFault) -> None:
        self._latched = fault
        self.held = self.held or fault.value
        self._requested = DUTY_STEADY_HIGH

    def _is_unjudged(self) -> bool:
        level = self._debounce.level
        if level is None or self._latched is not PilotFault.NONE:
            return False
        if self.duty <= DUTY_STEADY_LOW:
            judged = self._was_f and self._f_lost_since is None
            return not (judged if level is Level.F else self._low.missing)
        return faults.is_wrong_level(level, self.duty)

    def _name_fault(self) -> PilotFault:
        if self._latched is not PilotFault.NONE:
            return self._latched
        if self.diode_fault:
            return self._low.fault
        if self._low.missing and self._debounce.level not in VEHICLE_LEVELS:
            return PilotFault.NEGATIVE_SUPPLY
        return self._passing

    # --- what follows -----------------------------------------------------------------------------

    def _conclude(self, now: float) -> list[Output]:
        """Drive what is to be driven now, and tell what has changed."""
        out = self._drive(now)
        level, told = self._debounce.level, self._told
        if level is None:
            return out
        self.state = (_OSCILLATING_STATE if self.is_oscillating else _STEADY_STATE)[level]
        self.fault = self._name_fault()
        same = (
            told is not None
            and told.state is self.state
            and told.diode_ok is self.diode_ok
            and told.fault is self.fault
            and told.held == self.held
            and (told.duty == self.duty or not self.is_oscillating)
        )
        if not same:
            self._told = self._changed()
            out.append(self._told)
        return out

    def _drive(self, now: float) -> list[Output]:
        duty = self._steps.want(self._wanted(), now)
        self._step_at = self._steps.next_timer()
        if duty == self.duty:
            return []
        self.duty = duty
        self.is_oscillating = DUTY_STEADY_LOW < duty < DUTY_STEADY_HIGH
        to_low = duty <= DUTY_STEADY_LOW
        self._settled_at = now + (timing.F_SETTLE_S if to_low else timing.DIODE_SETTLE_S)
        self._low.restart()
        self._quiet = self._was_f = False
        self._f_lost_since = self._wrong_since = None
        self._note_digital()
        return [SetDuty(duty)]

    def _wanted(self) -> DutyCycle:
        if self._emergency or self.held:
            return DUTY_STEADY_HIGH
        return DUTY_STEADY_LOW if self.is_abandoned else self._requested

    def _changed(self) -> PilotChanged:
        sample = self.sample
        assert sample is not None
        return PilotChanged(
            self.state,
            sample.high_v,
            sample.low_v,
            self.duty,
            self.diode_ok,
            self.fault,
            self.held,
        )
