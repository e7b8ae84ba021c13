"""What runs in the middle of a period: when, how often, and who is to blame."""

from __future__ import annotations

import pytest

from controller.period import HALFWAY, PeriodLoop

PERIOD_S = 0.005
PERIOD_NS = 5_000_000


class Clock:
    """Time that passes by sleeping and by work alone."""

    def __init__(self) -> None:
        self.ns = 1_000_000_000
        self.refuse = False
        self.late_ms = 0.0
        """How late the next wake-up after the sections is."""

    def now_ns(self) -> int:
        return self.ns

    def sleep_until(self, at_ns: int) -> bool:
        if self.refuse:
            return False
        self.ns = max(self.ns, at_ns)
        if self.late_ms and at_ns % PERIOD_NS:
            self.work(self.late_ms)
        return True

    def work(self, ms: float) -> None:
        self.ns += round(ms * 1e6)


class Rig:
    def __init__(self) -> None:
        self.clock = Clock()
        self.section_ms, self.halfway_ms = 0.4, 0.1
        self.ran: list[tuple[str, float]] = []
        self.loop = PeriodLoop(
            PERIOD_S, [("sections", self._section)], self.clock, halfway=self._halfway
        )
        self.loop.start()
        self.origin_s = self.clock.ns / 1e9

    def _section(self, now: float) -> None:
        self.ran.append(("sections", now - self.origin_s))
        self.clock.work(self.section_ms)

    def _halfway(self, now: float) -> None:
        self.ran.append(("halfway", now - self.origin_s))
        self.clock.work(self.halfway_ms)


def test_it_runs_half_a_period_after_each_instant() -> None:
    rig = Rig()
    for _ in range(3):
        assert rig.loop.turn()
    assert [name for name, _ in rig.ran] == ["sections", "halfway"] * 3
    assert [at for _, at in rig.ran] == pytest.approx([n * PERIOD_S / 2 for n in range(2, 8)])
    assert rig.loop.overruns == 0


def test_after_long_sections_it_runs_at_once_and_costs_no_period() -> None:
    rig = Rig()
    rig.section_ms = 4.0
    for _ in range(2):
        rig.loop.turn()
    assert [at for _, at in rig.ran] == pytest.approx([0.005, 0.009, 0.010, 0.014])
    assert rig.loop.overruns == 0


def test_when_it_takes_too_long_it_is_to_blame() -> None:
    rig = Rig()
    rig.halfway_ms = 7.0
    rig.loop.turn()
    assert rig.loop.overruns == 1
    assert rig.loop.skipped == 1
    assert rig.loop.culprit.startswith(HALFWAY)


def test_a_signal_in_between_skips_it_and_nothing_else() -> None:
    rig = Rig()
    section = rig._section

    def interrupted(now: float) -> None:
        section(now)
        rig.clock.refuse = True

    rig.loop._sections = (("sections", interrupted),)
    assert rig.loop.turn()
    assert [name for name, _ in rig.ran] == ["sections"]
    assert rig.loop.periods == 1


def test_when_the_machine_is_late_there_it_is_to_blame() -> None:
    rig = Rig()
    rig.clock.late_ms = 8.0
    rig.loop.turn()
    assert rig.loop.culprit == "the machine, which woke it late (8.0 ms)"
    assert rig.loop.skipped == 2
