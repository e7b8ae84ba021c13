"""Pins by name: every input's level in both senses, ages, and boards that lack something."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller import board
from controller.errors import ConfigError
from controller.power.pins import (
    CHAIN_STALE_S,
    NEEDED,
    NEEDED_FOR_AC,
    EvsePins,
    check_board,
    inputs,
    outputs,
)
from controller.signals import NO_CABLE_OHM

SIDE = board.load().evse
PINS = EvsePins(SIDE.pins)
LEVELS = st.integers(0, 2**32 - 1)


@given(LEVELS)
def test_a_name_is_active_at_one_of_the_two_levels(levels: int) -> None:
    for name, pin in SIDE.pins.items():
        assert PINS.is_active(name, levels) is not PINS.is_active(name, levels ^ 1 << pin.gpio)
        high = levels | 1 << pin.gpio
        assert PINS.is_active(name, high) is (pin.active == "high")


def pulled() -> int:
    """All wires broken: every input at its pull."""
    return sum(1 << pin.gpio for pin in inputs(SIDE.pins) if pin.pull == "up")


def test_with_every_wire_broken_nothing_is_permitted() -> None:
    said = PINS.switches(pulled(), 1.0, 1.0)
    assert said.contactors.closed  # not known to be open
    assert said.emergency_stop
    assert said.chain_open
    assert said.coils_live is False
    ac = PINS.ac(pulled(), 1.0, inf, 0.0)
    assert ac.rcd_tripped
    assert ac.live_behind
    assert ac.phases == 0
    assert ac.cable_ohm == NO_CABLE_OHM


@given(LEVELS, st.floats(0.0, 10.0))
def test_old_pins_say_that_the_chain_is_open_and_nothing_else_new(
    levels: int, age_s: float
) -> None:
    fresh = PINS.switches(levels, 5.0, 5.0)
    old = PINS.switches(levels, 5.0, 5.0 + age_s)
    assert old.chain_open is (fresh.chain_open or 5.0 + age_s - 5.0 > CHAIN_STALE_S)
    assert old.emergency_stop is fresh.emergency_stop
    is_old = 5.0 + age_s - 5.0 > CHAIN_STALE_S
    assert old.stops_disagree is (
        fresh.stops_disagree and not is_old
    )  # may differ as it is pressed
    assert old.contactors == fresh.contactors


def test_pins_never_read_are_old() -> None:
    said = PINS.switches(0xFFFFFFFF, -inf, 1.0)
    assert said.chain_open
    assert said.coils_live is False


@pytest.mark.parametrize(
    ("age_s", "valid"), [(0.0, True), (0.99, True), (1.1, False), (inf, False)]
)
def test_an_old_cable_reading_is_not_valid(age_s: float, valid: bool) -> None:
    assert PINS.ac(0, 1.0, 220.0, age_s).valid is valid
    assert not PINS.ac(0, 1.0, nan, nan).valid


@given(st.sets(st.sampled_from(["mains_l1", "mains_l2", "mains_l3"])))
def test_phases_are_counted(there: set[str]) -> None:
    levels = 0xFFFFFFFF
    for name in there:
        levels &= ~(1 << SIDE.pins[name].gpio)
    assert PINS.ac(levels, 1.0, 220.0, 0.0).phases == len(there)


def test_the_projects_own_board_has_everything() -> None:
    check_board(SIDE, ac=True, name="board.toml")
    assert {pin.gpio for pin in outputs(SIDE.pins, ["contactors", "watchdog"])} == {23, 4}


@pytest.mark.parametrize("name", [*NEEDED, *NEEDED_FOR_AC])
def test_every_needed_pin_is_asked_for(name: str) -> None:
    without = {key: pin for key, pin in SIDE.pins.items() if key != name}
    with pytest.raises(ConfigError, match=rf"b: evse\.pins\.{name} is missing"):
        check_board(replace(SIDE, pins=without), ac=True, name="b")
    if name in NEEDED_FOR_AC:
        check_board(replace(SIDE, pins=without), ac=False, name="b")
    turned = dict(SIDE.pins)
    turned[name] = replace(
        turned[name], direction={"in": "out", "out": "in"}[turned[name].direction]
    )
    with pytest.raises(ConfigError, match=f"{name}: direction must be"):
        check_board(replace(SIDE, pins=turned), ac=True, name="b")


@pytest.mark.parametrize("name", ["cp_high", "cp_low", "proximity"])
def test_every_needed_channel_is_asked_for(name: str) -> None:
    without = {key: c for key, c in SIDE.channels.items() if key != name}
    with pytest.raises(ConfigError, match=f"{name} is missing"):
        check_board(replace(SIDE, channels=without), ac=True, name="b")
