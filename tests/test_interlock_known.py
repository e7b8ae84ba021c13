"""What is known of the rows changes nothing but the work: the same permits as from asking all."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, fields, replace
from enum import Enum
from math import inf, nan
from types import UnionType
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller import interlock, interlock_ac, interlock_vehicle, onboard
from controller.interlock_known import AFTER, Known, fields_read
from controller.interlock_rules import InterlockConfig, Judge, Rule, Severity
from controller.signals import Phase
from tests import test_interlock, test_interlock_ac, test_interlock_vehicle

CONFIG = InterlockConfig()
TABLES: dict[str, tuple[tuple[Rule[Any], ...], Any]] = {
    "charger": (interlock.RULES, test_interlock.CHARGING),
    "AC charger": (interlock_ac.RULES, test_interlock_ac.CHARGING),
    "vehicle": (interlock_vehicle.VEHICLE_RULES, test_interlock_vehicle.CHARGING),
    "vehicle on AC": (
        onboard.ONBOARD_RULES,
        replace(test_interlock_vehicle.CHARGING, digital=True, s2_closed=True, offered_a=16.0),
    ),
}
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.02, 0.06, 0.2, 3.0, 16.0, 59.0, 61.0, 389.0, 431.0, inf, nan)


def values_of(kind: Any) -> list[object]:  # noqa: ANN401
    """Return values to try for a field of this type."""
    if isinstance(kind, UnionType):
        return [value for part in get_args(kind) for value in values_of(part)]
    if kind is type(None):
        return [None]
    if kind is bool:
        return [False, True]
    if kind is float:
        return list(NUMBERS)
    if kind is int:
        return [0, 1, 3]
    if kind is str:
        return ["", "welded"]
    assert issubclass(kind, Enum), f"{kind} may change and yet be equal"
    return list(kind)


class AskAll(Known[Any, InterlockConfig]):
    """Knows nothing."""

    def all_right(self, seen: object) -> bool:
        return False


def judges(rules: tuple[Rule[Any], ...]) -> tuple[Judge[Any], Judge[Any]]:
    one, other = Judge[Any](rules, CONFIG), Judge[Any](rules, CONFIG)
    other._known = AskAll((), CONFIG)
    return one, other


@pytest.mark.parametrize("table", TABLES)
def test_values_of_a_snapshot_do_not_change_in_place(table: str) -> None:
    kinds = get_type_hints(type(TABLES[table][1]))
    for field in fields(TABLES[table][1]):
        assert values_of(kinds[field.name])


@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_permits_are_those_of_asking_every_row(table: str, data: st.DataObject) -> None:
    rules, good = TABLES[table]
    one, other = judges(rules)
    kinds = get_type_hints(type(good))
    names = [field.name for field in fields(good) if field.name != "now"]
    now, seen = 1000.0, good
    for _ in range(data.draw(st.integers(1, 5))):
        for number in range(data.draw(st.sampled_from([1, 2, AFTER + 2, 2 * AFTER + 3]))):
            now += 0.005
            moves = {"heartbeat_age_s": number % 3 * 0.01} if seen is good else {}
            shown = replace(seen, now=now, **moves)
            assert one.judge(shown) == other.judge(shown)
            assert one.report == other.report
        changed = data.draw(st.lists(st.sampled_from(names), max_size=3))
        seen = replace(
            good, **{name: data.draw(st.sampled_from(values_of(kinds[name]))) for name in changed}
        )
        if not changed:
            seen = good


@pytest.mark.parametrize("table", TABLES)
def test_each_field_alone_is_noticed_at_once(table: str) -> None:
    rules, good = TABLES[table]
    kinds = get_type_hints(type(good))
    withheld = 0
    for field in fields(good):
        if field.name == "now":
            continue
        for value in values_of(kinds[field.name]):
            one, other = judges(rules)
            for judge in (one, other):
                for number in range(AFTER + 2):
                    judge.judge(replace(good, now=1000.0 + number))
            bad = replace(good, now=2000.0, **{field.name: value})
            permits = one.judge(bad)
            assert permits == other.judge(bad)
            withheld += not permits.energise
    assert withheld >= 10


@dataclass(slots=True)
class Small:
    now: float = 0.0
    a: bool = False
    b: bool = False
    x: float = 0.0
    phase: Phase = Phase.IDLE


class Counting:
    """A row that counts how often it is asked."""

    def __init__(self, is_wrong: Any) -> None:  # noqa: ANN401
        self.asked = 0
        self.is_wrong = is_wrong

    def __call__(self, seen: Any, config: object) -> bool:  # noqa: ANN401
        self.asked += 1
        return bool(self.is_wrong(seen))


def test_rows_whose_fields_stand_still_are_not_asked() -> None:
    still = Counting(lambda s: s.a or s.phase is Phase.FAULT)
    moving = Counting(lambda s: s.x > 100.0)
    either = Counting(lambda s: s.b and s.x > 50.0)  # b decides: x is not read
    judge = Judge[Any](
        [Rule(str(n), row, "no") for n, row in enumerate((still, moving, either))], CONFIG
    )
    for number in range(AFTER):
        judge.judge(Small(x=float(number)))
    asked = [row.asked for row in (still, moving, either)]
    for number in range(10):
        assert judge.judge(Small(x=float(number))).energise
    assert [row.asked for row in (still, moving, either)] == [asked[0], asked[1] + 10, asked[2]]
    assert judge.judge(Small(x=60.0)).energise
    assert not judge.judge(Small(x=60.0, b=True)).energise
    assert not judge.judge(Small(x=101.0)).energise
    assert judge.judge(Small(x=60.0)).energise
    assert not judge.judge(Small(a=True)).energise


def test_a_latched_row_holds_though_all_is_right_again() -> None:
    rows: list[Rule[Any]] = [
        Rule("a", lambda s, _: s.a, "a", Severity.ERROR),
        Rule("b", lambda s, _: s.b, "b"),
    ]
    judge = Judge[Any](rows, CONFIG, lambda s: s.x < 0.0)  # unplugged
    for _ in range(AFTER + 2):
        assert judge.judge(Small()).energise
    assert not judge.judge(Small(a=True)).energise
    for _ in range(2 * AFTER):
        assert judge.judge(Small()).reasons == ("a",)
    assert judge.judge(Small(x=-1.0)).energise


def test_fields_read_are_those_on_the_way_to_the_answer() -> None:
    assert fields_read(lambda s: s.a and s.b, Small()) == {"a"}
    assert fields_read(lambda s: s.a and s.b, Small(a=True)) == {"a", "b"}
    assert fields_read(lambda s: dataclasses.is_dataclass(s) or s.x, Small()) >= {"x"}
