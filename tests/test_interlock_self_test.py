"""The self-test of the interlock: each part proved, each defect named, nothing closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.cp.sim import PilotCircuit
from controller.interlock_test import (
    BENCH_MODE,
    CHANNELS_AGREE_S,
    CLOSE_TIMEOUT_S,
    LATE_S,
    LATE_TRIES,
    NO_INPUTS_S,
    REST_TIMEOUT_S,
    TABLE,
    TRIES,
    InterlockTest,
    S,
    bench_text,
    coils_must_be_dead,
)
from controller.machine import lint_table
from controller.power.sim_interlock import SimInterlock
from controller.signals import (
    ContactorReading,
    EvseInputs,
    InterlockTested,
    IsolationReading,
    Output,
    OutputReading,
    PilotSample,
    PowerEnvelope,
    SetWatchdog,
)

PERIOD_S = 0.005
NO_READING = EvseInputs(
    PilotSample(12.0, 12.0, 0.0),
    OutputReading(0.0, 0.0, 0.0),
    ContactorReading(False, 0.0),
    IsolationReading(0.0, False, 0.0, valid=False),
    PowerEnvelope(0.0, 0.0, 0.0, 0.0, 0.0),
)


class Bench:
    """A test, a simulated chain, and periods of any length between them."""

    def __init__(self, *, configured: bool = True) -> None:
        self.pilot = PilotCircuit()
        self.chain = SimInterlock(self.pilot)
        self.chain.fitted = configured
        self.test = InterlockTest(configured=configured)
        self.now = 50.0
        self.out: list[Output] = []
        self.closed = False
        self.feedback_valid = True
        self.no_read_back = False
        self.states: list[S] = []

    def period(self, length_s: float = PERIOD_S) -> None:
        self.now += length_s
        due = self.test.next_timer()
        if due is not None and due <= self.now:
            self.obey(self.test.handle_timer(self.now))
        self.chain.touch()
        self.chain.advance(self.now)
        self.look()

    def stand_still(self, seconds: float) -> None:
        """Nothing runs, so no edge reaches the watchdog, either."""
        toggling = self.chain.watchdog.toggling
        self.chain.watchdog.toggle(False, self.now)
        self.chain.touch()
        self.chain.advance(self.now + seconds - 1e-6)
        self.chain.watchdog.toggle(toggling, self.now + seconds - 1e-6)
        self.period(seconds)

    def look(self) -> None:
        inputs = replace(
            NO_READING,
            pilot=self.pilot.pilot_sample(self.now),
            contactors=ContactorReading(self.closed, self.now, valid=self.feedback_valid),
            emergency_stop=self.chain.stop_a or self.chain.stop_b,
            chain_open=not self.chain.chain_closed,
            coils_live=None if self.no_read_back else self.chain.coils_live,
            stops_disagree=self.chain.stop_a is not self.chain.stop_b,
        )
        oscillating = 0.0 < self.pilot.duty < 1.0
        self.obey(self.test.receive_inputs(inputs, self.now, oscillating=oscillating))

    def obey(self, out: list[Output]) -> None:
        self.out += out
        for item in out:
            if isinstance(item, SetWatchdog):
                self.chain.watchdog.toggle(item.toggling, self.now)
        if not self.states or self.states[-1] is not self.test.state:
            self.states.append(self.test.state)

    def run(self, seconds: float = 1.0) -> None:
        until = self.now + seconds
        while self.now < until and not self.test.is_finished:
            self.period()

    def until(self, state: S) -> None:
        while self.test.state is not state:
            assert not self.test.is_finished, self.told()
            self.period()

    def told(self) -> list[InterlockTested]:
        return [item for item in self.out if isinstance(item, InterlockTested)]


def test_the_table_is_clean() -> None:
    assert lint_table(InterlockTest) == []
    assert len(TABLE) > 10


def test_a_good_interlock_is_proved_part_by_part_in_a_tenth_of_a_second() -> None:
    bench = Bench()
    began = bench.now
    bench.run()
    assert bench.test.has_passed
    assert bench.now - began < 0.15
    parts = [
        "at rest",
        "feedback",
        "emergency stop",
        "watchdog closes",
        "CP loss",
        "watchdog opens",
    ]
    assert [t.part for t in bench.told()] == [*parts, "interlock"]
    assert all(t.ok for t in bench.told())
    assert bench.test.result == bench.told()[-1]
    assert bench.chain.watchdog.toggling
    assert bench.states[-6:] == [
        S.AT_REST,
        S.CLOSING,
        S.HOLDING,
        S.OPENING,
        S.CLOSING_AGAIN,
        S.PASSED,
    ]


@pytest.mark.parametrize("period_s", [0.001, 0.002, 0.005, 0.01])
def test_with_any_period_that_can_feed_the_watchdog(period_s: float) -> None:
    bench = Bench()
    for _ in range(1000):
        bench.period(period_s)
    assert bench.test.has_passed


def test_nothing_closes_and_nothing_is_toggled_before_rest_is_proved() -> None:
    bench = Bench()
    bench.run()
    kinds = {type(item) for item in bench.out}
    assert kinds == {SetWatchdog, InterlockTested}
    first_toggle = bench.out.index(SetWatchdog(toggling=True))
    assert any(isinstance(o, InterlockTested) and o.part == "at rest" for o in bench.out)
    assert all(not isinstance(o, SetWatchdog) for o in bench.out[:first_toggle])


# --- defects -------------------------------------------------------------------------------------


def put(**values: Any) -> Any:  # noqa: ANN401
    def act(bench: Bench) -> None:
        for name, value in values.items():
            owner: Any = bench
            *path, last = name.split("__")
            for part in path:
                owner = getattr(owner, part)
            setattr(owner, last, value)

    return act


DEFECTS = {
    "chain bridged": (put(chain__chain_bridged=True), "watchdog", "although nothing toggles it"),
    "watchdog welded": (put(chain__watchdog__stuck=True), "watchdog", "although nothing toggles"),
    "watchdog dead": (put(chain__watchdog__stuck=False), "watchdog", "did not close within 100 ms"),
    "watchdog slow": (put(chain__watchdog__opens_s=0.05), "watchdog", "stayed closed 20 ms after"),
    "watchdog deaf": (put(chain__watchdog__opens_s=1e9), "watchdog", "stayed closed 20 ms after"),
    "over-voltage part tripped": (put(chain__over_voltage=True), "watchdog", "did not close"),
    "CP-loss part bridged": (put(chain__cp_bridged=True), "CP loss", "without a vehicle in C2"),
    "supply read-back stuck": (put(chain__coils_stuck=True), "coil supply", "with the chain open"),
    "no supply read-back": (put(no_read_back=True), "coil supply", "does not read it back"),
    "feedback closed": (put(closed=True), "feedback", "shows closed"),
    "feedback missing": (put(feedback_valid=False), "feedback", "missing"),
    "one stop channel stuck": (put(chain__stop_a=True), "emergency stop", "channels disagree"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_found_and_named(defect: str) -> None:
    act, part, reason = DEFECTS[defect]
    bench = Bench()
    act(bench)
    bench.run(3.0)
    assert bench.test.state is S.FAILED
    found, result = bench.told()[-2:]
    assert (found.part, found.ok) == (part, False)
    assert reason in found.detail
    assert (result.part, result.ok) == ("interlock", False)
    assert result.detail.startswith(BENCH_MODE)
    assert reason in result.detail
    assert bench.test.result == result


@pytest.mark.parametrize(
    ("state", "act", "part"),
    [
        (S.HOLDING, put(closed=True), "feedback"),
        (S.HOLDING, put(feedback_valid=False), "feedback"),
        (S.HOLDING, put(chain__cp_bridged=True), "CP loss"),
        (S.HOLDING, put(chain__coils_stuck=True), "CP loss"),
        (S.OPENING, put(chain__watchdog__stuck=True), "watchdog"),
        (S.CLOSING_AGAIN, put(chain__watchdog__stuck=False), "watchdog"),
    ],
)
def test_a_defect_that_comes_in_the_middle(state: S, act: Any, part: str) -> None:  # noqa: ANN401
    bench = Bench()
    bench.until(state)
    act(bench)
    bench.run(2.0)
    assert bench.test.state is S.FAILED
    assert bench.told()[-2].part == part


def test_what_failed_is_toggled_so_that_bench_mode_has_a_closed_chain() -> None:
    bench = Bench()
    bench.chain.cp_bridged = True
    bench.run()
    assert bench.chain.watchdog.toggling
    bench.chain.touch()
    bench.chain.advance(bench.now + 0.1)
    assert bench.chain.chain_closed


def test_inputs_that_stop_begin_it_anew_when_they_are_back() -> None:
    """As when the pigpio daemon dies just then: that is no defect of the interlock."""
    bench = Bench()
    bench.until(S.CLOSING)
    due = bench.test.next_timer()
    assert due is not None
    assert due <= bench.now + NO_INPUTS_S
    bench.now = due
    bench.obey(bench.test.handle_timer(due))
    assert bench.test.state is S.WAITING
    assert not bench.chain.watchdog.toggling
    assert bench.test.next_timer() is None
    bench.now += 60.0
    bench.run()
    assert bench.test.has_passed


def test_inputs_that_stop_every_time_fail_it_in_words() -> None:
    bench = Bench()
    for _ in range(LATE_TRIES):
        bench.until(S.CLOSING)
        bench.now = bench.test.next_timer() or 0.0
        bench.obey(bench.test.handle_timer(bench.now))
    assert bench.test.state is S.FAILED
    assert "none for 1 s" in bench.told()[-1].detail


# --- waiting -------------------------------------------------------------------------------------


def test_it_waits_for_the_emergency_stop_however_long() -> None:
    bench = Bench()
    bench.chain.stop_a = bench.chain.stop_b = True
    bench.run(60.0)
    assert bench.test.state is S.WAITING
    assert bench.test.is_settled
    assert bench.told() == []
    bench.chain.stop_a = bench.chain.stop_b = False
    bench.run()
    assert bench.test.has_passed


@pytest.mark.parametrize("state", [S.AT_REST, S.CLOSING, S.HOLDING, S.OPENING, S.CLOSING_AGAIN])
def test_a_button_pressed_in_the_middle_is_no_defect(state: S) -> None:
    bench = Bench()
    bench.until(state)
    bench.chain.stop_a = bench.chain.stop_b = True
    bench.run(1.0)
    assert bench.test.state is S.WAITING
    assert not bench.chain.watchdog.toggling
    bench.chain.stop_a = bench.chain.stop_b = False
    bench.run()
    assert bench.test.has_passed


def test_channels_that_disagree_for_a_moment_are_no_defect() -> None:
    bench = Bench()
    bench.until(S.HOLDING)
    bench.chain.stop_a = True
    bench.run(CHANNELS_AGREE_S - 0.05)
    bench.chain.stop_b = True
    bench.run(1.0)
    bench.chain.stop_b = False
    bench.run(CHANNELS_AGREE_S - 0.05)
    bench.chain.stop_a = False
    bench.run()
    assert bench.test.has_passed


def test_contacts_that_open_late_are_waited_for() -> None:
    bench = Bench()
    bench.closed = True
    bench.run(REST_TIMEOUT_S - 0.1)
    assert not bench.test.is_finished
    bench.closed = False
    bench.run()
    assert bench.test.has_passed


@pytest.mark.parametrize("state", [S.WAITING, S.CLOSING, S.HOLDING])
def test_a_vehicle_that_asks_for_power_is_waited_for(state: S) -> None:
    bench = Bench()
    bench.until(state) if state is not S.WAITING else None
    bench.pilot.plugged = bench.pilot.s2_closed = True
    bench.pilot.duty = 0.05
    bench.run(5.0)
    assert bench.test.state is S.WAITING
    assert all(t.ok for t in bench.told())
    bench.pilot.s2_closed = False  # B2: the oscillator runs, the coils must have no supply
    bench.run()
    assert bench.test.has_passed


@pytest.mark.parametrize(
    ("high_v", "oscillating", "dead"),
    [
        (12.0, True, True),
        (9.0, True, True),
        (8.0, True, True),
        (7.9, True, False),
        (6.0, True, False),
        (6.0, False, True),
        (3.0, True, False),
        (1.0, True, False),
        (0.9, True, True),
        (-12.0, True, True),
        (float("nan"), True, False),
    ],
)
def test_where_the_cp_loss_part_must_interrupt(
    high_v: float, oscillating: bool, dead: bool
) -> None:
    assert coils_must_be_dead(PilotSample(high_v, -12.0, 0.0), oscillating=oscillating) is dead


# --- a loop that is late -------------------------------------------------------------------------


@pytest.mark.parametrize("late_s", [LATE_S + 0.005, 0.02, 0.06, 0.101, 0.3, 3.0])
@pytest.mark.parametrize("state", [S.AT_REST, S.CLOSING, S.HOLDING, S.OPENING, S.CLOSING_AGAIN])
def test_a_period_that_is_late_in_any_step_fails_nothing(state: S, late_s: float) -> None:
    bench = Bench()
    bench.until(state)
    bench.stand_still(late_s)
    bench.run()
    assert bench.test.has_passed, bench.told()
    assert all(t.ok for t in bench.told())


@pytest.mark.parametrize("state", [S.CLOSING, S.OPENING, S.CLOSING_AGAIN])
def test_what_a_late_period_did_not_show_is_not_taken_for_proved(state: S) -> None:
    bench = Bench()
    bench.until(state)
    before = len([t for t in bench.told() if t.part == "watchdog opens"])
    bench.stand_still(CLOSE_TIMEOUT_S + 0.001)
    assert bench.test.state is S.WAITING
    bench.run()
    assert bench.test.has_passed
    told = [t.part for t in bench.told()]
    assert told[-7:-1] == [
        "at rest",
        "feedback",
        "emergency stop",
        "watchdog closes",
        "CP loss",
        "watchdog opens",
    ]
    assert told.count("watchdog opens") == before + 1


@pytest.mark.parametrize("state", [S.CLOSING, S.HOLDING, S.OPENING])
def test_a_loop_that_is_always_late_is_told_so(state: S) -> None:
    bench = Bench()
    for _ in range(LATE_TRIES):
        bench.until(state)
        bench.stand_still(0.12)
    assert bench.test.state is S.FAILED
    assert "too late to measure" in bench.told()[-1].detail


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_found_on_a_busy_machine_too(defect: str) -> None:
    """Each hundredth period comes late: some steps are repeated, and nothing bad passes."""
    act, part, _ = DEFECTS[defect]
    bench = Bench()
    act(bench)
    for count in range(6000):
        if bench.test.is_finished:
            break
        bench.stand_still(0.09) if count % 100 == 37 else bench.period()
    assert bench.test.state is S.FAILED
    assert bench.told()[-2].part == part


def test_a_chain_that_flickers_is_found_out() -> None:
    bench = Bench()
    for _ in range(TRIES):
        bench.until(S.HOLDING)
        bench.chain.watchdog.stuck = False
        bench.period()
        bench.chain.watchdog.stuck = None
    assert bench.test.state is S.FAILED
    assert "opened while" in bench.told()[-1].detail


def test_inputs_that_were_seen_before_prove_nothing() -> None:
    bench = Bench()
    bench.period()
    for _ in range(100):
        bench.look()
    assert bench.test.state is S.AT_REST


# --- again, and none -----------------------------------------------------------------------------


@pytest.mark.parametrize("good_first", [True, False])
def test_it_is_repeated_and_its_last_result_counts(good_first: bool) -> None:
    bench = Bench()
    bench.chain.cp_bridged = not good_first
    bench.run()
    assert bench.test.has_passed is good_first
    bench.chain.cp_bridged = good_first
    bench.obey(bench.test.begin_again(bench.now))
    assert not bench.test.is_finished
    assert bench.test.result is None
    assert not bench.chain.watchdog.toggling
    bench.run()
    assert bench.test.has_passed is not good_first


def test_without_an_interlock_it_is_bench_mode_at_once() -> None:
    bench = Bench(configured=False)
    bench.period()
    assert bench.test.state is S.FAILED
    assert bench.told() == [
        InterlockTested("interlock", False, bench_text('charger.interlock = "none"'))
    ]
    assert not any(isinstance(item, SetWatchdog) for item in bench.out)
    bench.obey(bench.test.begin_again(bench.now))
    assert bench.test.state is S.FAILED
