"""The self-test of the external hardware interlock (core): what is proved before full voltage.

Theory of operation. `hw_docs/interlock.md` says what hardware must do; here it has to show it, each
time the process starts and whenever an operator resets without a vehicle. Nothing closes meanwhile:
the interlock's row "self-test" withholds every permit, and the coils are in series with a command
that nobody gives. The steps, each with a time-out and a reason:

1. At rest: before the first toggle the chain is open, the coils have no supply, the mirror contacts
   show open, both channels of the emergency stop say the same.
2. Toggling the watchdog closes the chain.
3. With the chain closed and no vehicle in C2 or D2 the coils still have no supply: that is the
   CP-loss part, which sits between the chain and the coils.
4. The toggling stops: the chain opens in time.
5. Toggling closes the chain again, and goes on for as long as the process works.

A period that came late proves nothing against the hardware: without edges a good chain opens, and
what opened meanwhile was not seen in time. All is begun anew then, LATE_TRIES times at most; what
was not seen is never taken for proved. Inputs that stop (a daemon that dies) are late, too.

It waits while the emergency stop is pressed (an open chain proves nothing then) or while the pilot
might be in C or D with the oscillator on. What fails is told with its reason, and leaves bench mode
(60 V) until the next test. Without an interlock (`charger.interlock = "none"`) that is so at once.

Times are those of the samples (when the pins were read), not of the calls: a late loop does not
make a good chain fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf

from controller.cp import limits
from controller.machine import TableMachine, row
from controller.signals import (
    ContactorReading,
    EvseInputs,
    InterlockTested,
    Output,
    PilotSample,
    SetWatchdog,
)

REST_S = 0.01
"""At rest for at least this long, by two readings: no contact that bounces."""
REST_TIMEOUT_S = 0.5
"""Own figure: contacts of a process before this one have opened (300 ms), the pump is empty."""
CLOSE_TIMEOUT_S = 0.1
"""The contract: closed within 100 ms of regular toggling."""
HOLD_S = 0.04
"""Longer than the CP-loss part may take (30 ms): a remainder of C2 would have run out."""
WATCHDOG_OPENS_S = 0.02
"""The contract: open 20 ms after the last edge."""
SAMPLING_S = 0.01
"""Two periods of 5 ms: the last edge came within the period before, the reading a period after."""
CHANNELS_AGREE_S = 0.5
"""Two contacts of one button: what safety relays allow as discrepancy."""
NO_INPUTS_S = 1.0
LATE_S = 0.011
"""Readings (and so edges) further apart may let a good watchdog open (`hw_docs/interlock.md`)."""
TRIES = 3
"""Of a chain that opened although nobody was late."""
LATE_TRIES = 20
"""Of steps in which a period came late: a busy machine gets some seconds to have a quiet moment."""
SHORT_CIRCUIT_V = 1.0
"""Own figure: below the lowest threshold (1.5 V) by which the CP-loss part knows state D."""

BENCH_MODE = (
    "BENCH MODE: output limited to 60 V (AC: no mains), for the desk only, never for a vehicle"
)
"""What everyone says who tells a person: command line, log, summary, web page."""
NOT_CONFIGURED = 'charger.interlock = "none"'


def bench_text(reason: str) -> str:
    """Say loudly that there is no hardware interlock, and why."""
    return f"{BENCH_MODE} ({reason})"


def coils_must_be_dead(pilot: PilotSample, *, oscillating: bool) -> bool:
    """Return whether the CP-loss part has to interrupt: certainly no C2 or D2 on the wire.

    In the gap between the bands of B and C the comparator may decide either way.
    """
    return not oscillating or pilot.high_v >= limits.LEVEL_B_V[0] or pilot.high_v < SHORT_CIRCUIT_V


@dataclass(frozen=True, slots=True)
class ChainInputs(Output):
    """What a test looks at, where that is not all of a charger's inputs."""

    contactors: ContactorReading
    chain_open: bool
    coils_live: bool | None = False
    stops_disagree: bool = False


Seen = EvseInputs | ChainInputs


class S(Enum):
    """Where the test is."""

    WAITING = "waiting"
    AT_REST = "at rest"
    CLOSING = "closing"
    HOLDING = "holding"
    OPENING = "opening"
    CLOSING_AGAIN = "closing again"
    PASSED = "passed"
    FAILED = "failed"


TESTING = [S.AT_REST, S.CLOSING, S.HOLDING, S.OPENING, S.CLOSING_AGAIN]

TABLE = [
    row("restart", list(S), S.WAITING, (), "begin_anew"),
    row("wrong", [S.WAITING, *TESTING], S.FAILED, (), "fail"),
    row("not_now", TESTING, S.WAITING, (), "stop_toggling"),  # emergency stop pressed, or C or D
    row("uncertain", TESTING, S.WAITING, "may_try_again", "try_again"),
    row("uncertain", TESTING, S.FAILED, (), "fail"),
    row("ready", S.WAITING, S.AT_REST),
    row("rested", S.AT_REST, S.CLOSING, (), ("tell_rest", "toggle")),
    row("chain_closed", S.CLOSING, S.HOLDING, (), "tell_closing"),
    row("held", S.HOLDING, S.OPENING, (), ("tell_cp_loss", "stop_toggling")),
    row("chain_opened", S.OPENING, S.CLOSING_AGAIN, (), ("tell_opening", "toggle")),
    row("chain_closed", S.CLOSING_AGAIN, S.PASSED, (), "conclude"),
    row("timeout", TESTING, S.WAITING, "may_try_again", "try_again"),
    row("timeout", TESTING, S.FAILED, (), "fail_blind"),
]

DEADLINE_S: dict[S, float] = dict.fromkeys(TESTING, NO_INPUTS_S)


class InterlockTest(TableMachine):
    """Turns the hardware's inputs into `SetWatchdog` and `InterlockTested`.

    `receive_inputs` once a period until it `is_finished`; `restart` begins anew. Its last
    `InterlockTested` has the part "interlock": the result, kept in `result`.
    """

    TABLE = TABLE
    INITIAL = S.WAITING
    DEADLINE_S = DEADLINE_S
    ENDLESS = (S.WAITING, S.PASSED, S.FAILED)

    state: S

    def __init__(self, *, configured: bool) -> None:
        super().__init__()
        self.configured = configured
        self.is_finished = False
        """Whether there is a result: nothing more to do with inputs."""
        self.is_settled = True
        """Whether the next inputs matter only if they differ."""
        self.has_passed = False
        """Whether the hardware interlock is there, and proved."""
        self.result: InterlockTested | None = None
        self._part, self._reason = "interlock", NOT_CONFIGURED
        self._tries = self._late_tries = 0
        self._was_late = False
        """A reading came late in the present step."""
        self._at = -inf
        self._began_at = 0.0
        self._since = inf
        """Since when the present step is as it should be, or (waiting) the channels disagree."""
        self._entered_at = -inf
        self._seen_closed_at = -inf

    # --- triggers (replaced by the table) -------------------------------------------------------

    def restart(self) -> bool:
        """Someone wants a new proof."""
        return False

    def wrong(self) -> bool:
        """Hardware that does not do what it must."""
        return False

    def not_now(self) -> bool:
        """Someone pressed the emergency stop, or a vehicle asks for power."""
        return False

    def uncertain(self) -> bool:
        """Something that a late loop, or a button pressed at this moment, may have caused."""
        return False

    def ready(self) -> bool:
        """Nothing is in the way."""
        return False

    def rested(self) -> bool:
        """All is open, and was for long enough."""
        return False

    def chain_closed(self) -> bool:
        """The chain shows closed."""
        return False

    def held(self) -> bool:
        """The chain stayed closed, the coils without supply."""
        return False

    def chain_opened(self) -> bool:
        """The chain shows open, in time."""
        return False

    # --- verbs ----------------------------------------------------------------------------------

    def receive_inputs(self, inputs: EvseInputs, now: float, *, oscillating: bool) -> list[Output]:
        """Take what the hardware tells; `oscillating`: the pilot is driven so that the CP-loss part
        may feed the coils at all (AC: always)."""
        if not self._is_news(inputs, now):
            return []
        if not self.configured:
            self.wrong()
            return self.drain()
        dead = coils_must_be_dead(inputs.pilot, oscillating=oscillating)
        return self._judge(inputs, waits=inputs.emergency_stop or not dead)

    def begin_again(self, now: float) -> list[Output]:
        """Prove it once more: at an operator's reset, with nothing plugged in."""
        self.now = now
        if self.configured:
            self.restart()
        return self.drain()

    # --- judging --------------------------------------------------------------------------------

    def _is_news(self, inputs: Seen, now: float) -> bool:
        """Take note of inputs; whether there is something to do with them."""
        at = inputs.contactors.taken_at
        if self.is_finished or not at > self._at:
            return False  # done, or seen before
        self._was_late = self._was_late or at - self._at > LATE_S
        self._at, self.now, self.rx = at, now, inputs
        return True

    def _judge(self, inputs: Seen, *, waits: bool) -> list[Output]:
        if waits or inputs.stops_disagree:
            self._hold_off(inputs)
        else:
            self._go_on(inputs)
        return self.drain()

    def _hold_off(self, inputs: Seen) -> None:
        if self.state is not S.WAITING:
            self._since = inf
            self.not_now()
        if not inputs.stops_disagree:
            self._since = inf
        elif self._lasted(CHANNELS_AGREE_S):
            self._find("emergency stop", "its two channels disagree")

    def _go_on(self, inputs: Seen) -> None:
        if self.state is S.WAITING:
            self._enter(self.ready)
        if self.state is S.AT_REST:
            self._judge_rest(inputs)
        elif self.state is S.HOLDING:
            self._judge_holding(inputs)
        elif self.state is S.OPENING:
            self._judge_opening(inputs)
        else:
            self._judge_closing(inputs)

    def _judge_rest(self, inputs: Seen) -> None:
        found = _rest_problem(inputs)
        if found is None:
            if self._lasted(REST_S):
                self._enter(self.rested)
            return
        self._since = inf
        if self._at - self._entered_at >= REST_TIMEOUT_S:
            self._find(*found)

    def _judge_closing(self, inputs: Seen) -> None:
        if not inputs.chain_open:
            self._enter(self.chain_closed)
        elif self._at - self._entered_at >= CLOSE_TIMEOUT_S:
            ms = CLOSE_TIMEOUT_S * 1000
            reason = f"the chain did not close within {ms:.0f} ms of toggling"
            if self._was_late:
                self._doubt("watchdog", reason)
            else:
                self._find("watchdog", reason)

    def _judge_holding(self, inputs: Seen) -> None:
        if inputs.contactors.closed or not inputs.contactors.valid:
            self._find("feedback", "does not show open, although nothing is commanded")
        elif inputs.coils_live:
            self._find("CP loss", "the coils have their supply without a vehicle in C2")
        elif inputs.chain_open:
            self._doubt("watchdog", "the chain opened while the watchdog was toggled")
        elif self._at - self._entered_at >= HOLD_S:
            self._seen_closed_at = self._at
            self._enter(self.held)

    def _judge_opening(self, inputs: Seen) -> None:
        limit_s = WATCHDOG_OPENS_S + SAMPLING_S
        after_s = self._at - self._entered_at
        if not inputs.chain_open:
            self._seen_closed_at = self._at
            if after_s > limit_s:
                ms = WATCHDOG_OPENS_S * 1000
                self._find("watchdog", f"the chain stayed closed {ms:.0f} ms after the last edge")
        elif after_s <= limit_s:
            self._enter(self.chain_opened)
        else:
            self._doubt("watchdog", "no reading in time after the last edge")

    def _lasted(self, seconds: float) -> bool:
        self._since = min(self._since, self._at)
        return self._at - self._since >= seconds

    def _enter(self, trigger: object) -> None:
        assert callable(trigger)
        trigger()
        self._entered_at, self._since = self.now, inf
        self._was_late = False

    def _find(self, part: str, reason: str) -> None:
        self._part, self._reason = part, reason
        self.wrong()

    def _doubt(self, part: str, reason: str) -> None:
        late = ": the loop is too late to measure it"
        self._part, self._reason = part, reason + late * self._was_late
        self.uncertain()

    def _arm_deadline(self) -> None:
        super()._arm_deadline()
        self.has_passed = self.state is S.PASSED
        self.is_finished = self.has_passed or self.state is S.FAILED
        self.is_settled = self.is_finished or self.state is S.WAITING

    # --- guards and actions ---------------------------------------------------------------------

    @property
    def _is_late(self) -> bool:
        """Readings came late in this step, or not at all for as long as one may take."""
        return self._was_late or self.rx is None

    def may_try_again(self) -> bool:
        """Whether there is a try left."""
        if self._is_late:
            return self._late_tries + 1 < LATE_TRIES
        return self._tries + 1 < TRIES

    def begin_anew(self) -> None:
        """Forget everything."""
        self._tries = self._late_tries = 0
        self.result = None
        self._since = inf
        self.stop_toggling()

    def try_again(self) -> None:
        """Count, and begin at rest once more."""
        if self._is_late:
            self._late_tries += 1
        else:
            self._tries += 1
        self._since = inf
        self.stop_toggling()

    def toggle(self) -> None:
        """Let the loop toggle the watchdog after each complete period."""
        self.out.append(SetWatchdog(toggling=True))

    def stop_toggling(self) -> None:
        """Let the watchdog run out."""
        self.out.append(SetWatchdog(toggling=False))

    def tell_rest(self) -> None:
        """Three parts are proved by looking."""
        self._began_at = self._entered_at
        self._pass("at rest", "chain open, coils without supply")
        self._pass("feedback", "shows open")
        self._pass("emergency stop", "both channels closed")

    def tell_closing(self) -> None:
        """Say how long it took."""
        took_ms = (self._at - self._entered_at) * 1000
        self._pass("watchdog closes", f"{took_ms:.0f} ms after the first edge")

    def tell_cp_loss(self) -> None:
        """Tell the part that only a closed chain can prove."""
        self._pass("CP loss", "with the chain closed the coils have no supply without C2")

    def tell_opening(self) -> None:
        """Say between which readings it opened."""
        first_ms = (self._seen_closed_at - self._entered_at) * 1000
        last_ms = (self._at - self._entered_at) * 1000
        self._pass("watchdog opens", f"{max(0, first_ms):.0f} to {last_ms:.0f} ms after the stop")

    def conclude(self) -> None:
        """All parts are proved."""
        took_ms = (self._at - self._began_at) * 1000
        self._finish(ok=True, detail=f"proved in {took_ms:.0f} ms")

    def fail_blind(self) -> None:
        """Give up: the inputs have stopped."""
        self._part, self._reason = "inputs", f"none for {NO_INPUTS_S:.0f} s during the self-test"
        self.fail()

    def fail(self) -> None:
        """Tell what failed; in bench mode the watchdog is toggled, else its chain would be open."""
        if self.configured:
            self.out.append(InterlockTested(self._part, ok=False, detail=self._reason))
            self._reason = f"the interlock's self-test failed: {self._part}: {self._reason}"
            self.toggle()
        self._finish(ok=False, detail=bench_text(self._reason))

    def _pass(self, part: str, detail: str) -> None:
        self.out.append(InterlockTested(part, ok=True, detail=detail))

    def _finish(self, *, ok: bool, detail: str) -> None:
        self.result = InterlockTested("interlock", ok, detail)
        self.out.append(self.result)


def _rest_problem(inputs: Seen) -> tuple[str, str] | None:
    """Return what is not as it must be before the first toggle: part and reason."""
    if not inputs.contactors.valid:
        return "feedback", "is missing"
    if inputs.contactors.closed:
        return "feedback", "shows closed although nothing is commanded"
    if not inputs.chain_open:
        return "watchdog", "the chain is closed although nothing toggles it"
    if inputs.coils_live is None:
        return "coil supply", "the board does not read it back"
    if inputs.coils_live:
        return "coil supply", "is there with the chain open"
    return None
