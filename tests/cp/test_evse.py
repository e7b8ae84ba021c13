"""The charger's pilot core against the simulated circuit and against made-up samples."""

from __future__ import annotations

import random
from math import nan
from timeit import repeat

import pytest

from controller.cp import timing
from controller.cp.evse import EvsePilot
from controller.cp.sim import Diode, PilotCircuit
from controller.signals import (
    ControlPilotState,
    DutyRequest,
    InterlockReport,
    Output,
    PilotChanged,
    PilotFault,
    PilotSample,
    SetDuty,
)

PERIOD_S = 0.005
S = ControlPilotState


class Bench:
    """An EvsePilot that drives and reads a circuit."""

    def __init__(self, period_s: float = PERIOD_S, noisy: bool = True) -> None:
        self.circuit = PilotCircuit(random.Random(7).randbytes if noisy else None)
        self.pilot = EvsePilot()
        self.period_s = period_s
        self.now = 10.0
        self.out: list[Output] = []

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / self.period_s)):
            self.now += self.period_s
            sample = self.circuit.pilot_sample(self.now)
            self.obey(self.pilot.receive_sample(sample, self.now))
            due = self.pilot.next_timer()
            if due is not None and due <= self.now:
                self.obey(self.pilot.handle_timer(self.now))

    def ask(self, duty: float) -> None:
        self.obey(self.pilot.receive_signal(DutyRequest(duty), self.now))

    def obey(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, SetDuty):
                self.circuit.duty = output.duty
        self.out += outputs

    def states(self) -> list[ControlPilotState]:
        return [o.state for o in self.out if isinstance(o, PilotChanged)]

    def faults(self) -> list[PilotFault]:
        return [o.fault for o in self.out if isinstance(o, PilotChanged)]

    def to_c2(self) -> None:
        self.run(0.05)
        self.circuit.plugged = True
        self.run(0.05)
        self.ask(0.05)
        self.run(0.05)
        self.circuit.s2_closed = True
        self.run(0.05)


@pytest.mark.parametrize("period_s", [0.001, 0.005, 0.020])
def test_a_whole_session(period_s: float) -> None:
    bench = Bench(period_s)
    bench.to_c2()
    assert (bench.pilot.state, bench.pilot.diode_ok) == (S.C2, True)
    bench.circuit.s2_closed = False
    bench.run(0.05)
    bench.ask(1.0)
    bench.circuit.plugged = False
    bench.run(0.05)
    assert bench.states() == [S.A1, S.B1, S.B2, S.B2, S.C2, S.B2, S.B1, S.A1]
    assert bench.pilot.glitches == 0


def test_levels_are_believed_within_ten_milliseconds() -> None:
    bench = Bench()
    bench.to_c2()
    bench.circuit.s2_closed = False
    bench.run(PERIOD_S)
    assert bench.states()[-1] is S.C2
    bench.run(PERIOD_S)
    assert bench.states()[-1] is S.B2


def test_nothing_is_known_at_the_start() -> None:
    pilot = EvsePilot()
    assert pilot.state is S.E
    assert pilot.is_pending
    assert pilot.next_timer() is None
    assert pilot.handle_timer(99.0) == []
    assert pilot.receive_signal(DutyRequest(0.05), 1.0) == [SetDuty(0.05)]


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ({"short_ohm": 80.0}, S.E),
        ({"short_ohm": 1.0}, S.E),
        ({"supply_v": 0.0}, S.E),
        ({"wire_open": True}, S.A2),
        ({"supply_v": 16.0, "plugged": False}, S.E),
        ({"plugged": False}, S.A2),
        ({"r3_ohm": 270.0}, S.D2),
        ({"diode": Diode.OPEN}, S.A2),
    ],
)
def test_faults_of_the_circuit(fault: dict[str, object], state: ControlPilotState) -> None:
    bench = Bench()
    bench.to_c2()
    for name, value in fault.items():
        setattr(bench.circuit, name, value)
    bench.run(0.02)
    assert bench.pilot.state is state


def test_a_shorted_diode_is_latched_until_unplugged() -> None:
    bench = Bench()
    bench.circuit.diode = Diode.SHORTED
    bench.to_c2()
    assert bench.pilot.diode_fault
    assert not bench.pilot.diode_ok
    bench.circuit.diode = Diode.GOOD
    bench.run(0.1)
    bench.circuit.s2_closed = False
    bench.run(0.1)
    bench.circuit.s2_closed = True
    bench.run(0.1)
    bench.ask(0.1)
    bench.run(0.1)
    assert bench.pilot.diode_fault
    assert not bench.pilot.diode_ok
    assert not bench.pilot.is_pending
    bench.circuit.plugged = False
    bench.run(0.02)
    bench.circuit.plugged = True
    bench.run(0.05)
    assert not bench.pilot.diode_fault
    assert bench.pilot.diode_ok


def test_a_diode_that_fails_during_charge_is_reported() -> None:
    bench = Bench()
    bench.to_c2()
    bench.out.clear()
    bench.circuit.negative_supply_v = -9.0  # -12 V missing
    bench.run(0.02)
    changed = [o for o in bench.out if isinstance(o, PilotChanged)]
    assert [(o.state, o.diode_ok) for o in changed] == [(S.C2, False)]


def test_one_bad_negative_peak_is_no_fault() -> None:
    bench = Bench()
    bench.to_c2()
    bench.circuit.negative_supply_v = -9.0
    bench.run(PERIOD_S)
    bench.circuit.negative_supply_v = -12.0
    bench.run(0.05)
    assert bench.pilot.diode_ok


def test_the_diode_is_not_judged_while_the_detector_settles() -> None:
    bench = Bench(noisy=False)
    bench.circuit.plugged = True
    bench.run(0.02)
    bench.ask(0.05)
    bench.circuit.duty = 1.0  # the driver is slow
    bench.run(timing.DIODE_SETTLE_S - PERIOD_S)
    bench.circuit.duty = 0.05
    bench.run(0.1)
    assert bench.pilot.diode_ok


def test_without_oscillator_the_diode_is_unknown() -> None:
    bench = Bench()
    bench.circuit.plugged = True
    bench.run(0.1)
    assert bench.pilot.state is S.B1
    assert not bench.pilot.diode_ok
    assert not bench.pilot.is_pending


def test_minus_twelve_volts_is_state_f() -> None:
    bench = Bench()
    bench.ask(0.0)
    bench.run(0.02)
    assert bench.pilot.state is S.F


@pytest.mark.parametrize("duty", [nan, -0.1, 1.1, float("inf")])
def test_nonsense_stops_the_oscillator(duty: float) -> None:
    bench = Bench()
    bench.to_c2()
    bench.ask(duty)
    assert (bench.pilot.duty, bench.pilot.state) == (1.0, S.C1)


def test_a_repeated_request_changes_nothing() -> None:
    bench = Bench()
    bench.to_c2()
    assert bench.pilot.receive_signal(DutyRequest(0.05), bench.now) == []


def test_an_emergency_holds_the_oscillator() -> None:
    bench = Bench()
    bench.to_c2()
    report = InterlockReport(False, False, ("x",), "x", True)
    bench.obey(bench.pilot.receive_signal(report, bench.now))
    assert bench.pilot.state is S.C1
    bench.ask(0.10)
    assert bench.pilot.duty == 1.0
    cleared = InterlockReport(False, False, (), "", False)
    bench.obey(bench.pilot.receive_signal(cleared, bench.now))
    assert bench.pilot.duty == 1.0  # from 5 % to a current it takes 3 s in X1
    bench.run(timing.DUTY_CHANGE_S)
    assert bench.pilot.duty == 0.10


@pytest.mark.parametrize("taken_at", [10.0, 9.0, 10.2, nan])
def test_a_stale_or_future_sample_is_no_sample(taken_at: float) -> None:
    pilot = EvsePilot()
    pilot.receive_sample(PilotSample(12.0, 12.0, 10.0), 10.0)
    assert pilot.receive_sample(PilotSample(12.0, 12.0, taken_at), 10.1) == []
    assert pilot.sample_at == 10.0


def test_the_timer_ends_an_unsettled_c() -> None:
    bench = Bench(noisy=False)
    bench.to_c2()
    bench.circuit.s2_closed = False
    bench.run(PERIOD_S)
    due = bench.pilot.next_timer()
    assert due is not None
    assert due == pytest.approx(bench.now + timing.UNSTEADY_S)
    assert bench.pilot.handle_timer(due - 0.001) == []
    (changed,) = bench.pilot.handle_timer(due)
    assert isinstance(changed, PilotChanged)
    assert changed.state is S.B2
    assert bench.pilot.next_timer() is None


def test_no_timer_waits_for_a_c_that_would_be_more_than_there_was() -> None:
    """From D a single C and then silence: nothing to give up to, so nothing may be due for ever."""
    bench = Bench(noisy=False)
    bench.circuit.r3_ohm = 270.0
    bench.to_c2()
    assert bench.pilot.state is S.D2
    bench.circuit.r3_ohm = 1300.0
    bench.run(PERIOD_S)
    assert bench.pilot.is_pending
    assert bench.pilot.next_timer() is None
    bench.run(PERIOD_S)
    assert bench.states()[-1] is S.C2


def test_noise_alone_changes_nothing() -> None:
    bench = Bench()
    bench.circuit._noise_v = 0.5
    bench.to_c2()
    bench.out.clear()
    bench.run(5.0)
    assert bench.out == []


def test_random_traces_never_show_c_without_two_equal_readings() -> None:
    rng = random.Random(3)
    pilot = EvsePilot()
    pilot.receive_signal(DutyRequest(0.05), 0.0)
    volts, previous = 9.0, 9.0
    for i in range(1, 20_000):
        volts = rng.choice([volts, volts, 12.0, 9.0, 6.0, 3.0, 0.0, -12.0, rng.uniform(-14, 14)])
        before = pilot.state.letter
        pilot.receive_sample(PilotSample(volts, -12.0, i * PERIOD_S), i * PERIOD_S)
        if pilot.state.letter == "C" != before:
            assert 4.0 < previous < 8.0
            assert 4.0 < volts < 8.0
        previous = volts


def test_an_unchanged_sample_is_cheap() -> None:
    """Budget 1 us; failing at ten times that, because machines differ and are shared."""
    bench = Bench(noisy=False)
    bench.to_c2()
    samples = [bench.circuit.pilot_sample(100.0 + i * PERIOD_S) for i in range(1000)]

    def feed() -> None:
        bench.pilot._taken_at = 0.0
        for sample in samples:
            bench.pilot.receive_sample(sample, sample.taken_at)

    assert min(repeat(feed, number=1, repeat=5)) / len(samples) < 10e-6
