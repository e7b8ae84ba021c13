"""The pin map: the project's own is sound, and each mistake of another one gets one clear line."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from controller import board
from controller.board import BUSES, DEFAULT_FILE, OUTPUTS, SAFE_WHEN_BROKEN, load, parse
from controller.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

OWN = DEFAULT_FILE.read_text(encoding="utf-8")


def line(name: str, text: str = OWN) -> str:
    """Return the first line that declares this."""
    return next(one for one in text.splitlines() if one.startswith(f"{name} ="))


def changed(name: str, pattern: str, replacement: str) -> str:
    """Return the own file with one line changed."""
    old = line(name)
    new = re.sub(pattern, replacement, old)
    assert new != old
    return OWN.replace(old, new, 1)


def one_pin(name: str, gpio: int, direction: str) -> str:
    """Return a file with a single pin."""
    values = f'gpio = {gpio}, direction = "{direction}", active = "high", meaning = "x"'
    return f"[evse.pins]\n{name} = {{ {values} }}"


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "x.toml")
    message = str(caught.value)
    assert message.startswith("x.toml: ")
    assert "\n" not in message
    return message


def test_the_own_map_is_sound_and_complete() -> None:
    own = load()
    assert own == load(None) == load(DEFAULT_FILE)
    assert {name for name in OUTPUTS if name != "s2"} <= set(own.evse.pins)
    assert set(SAFE_WHEN_BROKEN) <= set(own.evse.pins)
    assert {"watchdog", "chain_closed", "contactors", "contactors_open", "s2"} <= set(own.pev.pins)
    assert {"cp_high", "cp_low"} <= set(own.evse.channels)
    for side in (own.evse, own.pev):
        assert all(pin.meaning for pin in side.pins.values())


def test_values_are_kept() -> None:
    own = load()
    assert own.evse.pins["pilot_pwm"].gpio == 18
    assert own.evse.pins["emergency_stop_a"].is_active_high
    assert not own.evse.pins["contactors_open"].is_active_high
    assert own.evse.channels["cp_high"].offset_v == -16.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[evse", "not valid TOML"),
        ("[other]\n", "other: unknown; allowed: evse, pev"),
        ("[evse.other]\n", "other: unknown; allowed: pins, channels"),
        ("evse = 3\n", "must be a table"),
        ("[evse]\npins = 3\n", "must be a table"),
        ("[evse.pins]\nx = 3\n", "must be a table"),
        (
            '[evse.pins]\nx = { gpio = 4, direction = "in", active = "high" }\n',
            "meaning is missing",
        ),
        (changed("watchdog", "gpio = 4", "gpio = 28"), "a whole number from 0 to 27"),
        (changed("watchdog", "gpio = 4", "gpio = true"), "a whole number"),
        (changed("watchdog", "gpio = 4", 'gpio = "4"'), "a whole number"),
        (changed("watchdog", '"out"', '"output"'), "one of in, out"),
        (changed("watchdog", '"high"', '"on"'), "one of high, low"),
        (changed("chain_closed", '"down"', '"weak"'), "one of up, down, none"),
        (changed("watchdog", "meaning", "colour = 1, meaning"), "colour: unknown"),
        (changed("watchdog", "gpio = 4", "gpio = 27"), "both use GPIO 27"),
        (changed("cp_low", "channel = 1", "channel = 0"), "both use channel 0"),
        (changed("cp_low", "channel = 1", "channel = 8"), "from 0 to 7"),
        (changed("cp_low", "slope = 9.58", "slope = 0"), "slope: must not be 0"),
        (changed("cp_low", "slope = 9.58", "slope = nan"), "a number within +-1000"),
        (changed("cp_low", "offset_v = -16.0", "offset_v = 1e9"), "a number within +-1000"),
        ("buses = 3\n", "a list of id, i2c, spi"),
        ('buses = ["can"]\n', "a list of id, i2c, spi"),
        ("buses = [1]\n", "a list of id, i2c, spi"),
        ('buses = [["i2c"]]\n', "a list of id, i2c, spi"),
    ],
)
def test_each_mistake_is_named(text: str, says: str) -> None:
    assert says in complaint(text)


@pytest.mark.parametrize("gpio", [0, 1, 4, 5, 16, 17, 20, 27])
def test_the_pilot_needs_hardware_pwm(gpio: int) -> None:
    assert f"GPIO {gpio} " in complaint(one_pin("pilot_pwm", gpio, "out"))


@pytest.mark.parametrize("gpio", board.PWM_GPIOS)
def test_where_the_pilot_may_be(gpio: int) -> None:
    assert parse(one_pin("pilot_pwm", gpio, "out"), "x").evse.pins["pilot_pwm"].gpio == gpio


@pytest.mark.parametrize("bus", BUSES)
def test_pins_of_a_bus_are_refused_unless_the_board_has_none(bus: str) -> None:
    for gpio in BUSES[bus]:
        pin = one_pin("x", gpio, "in")
        assert f"GPIO {gpio} belongs to {bus}" in complaint(pin)
        if bus == "id":
            assert "belongs to id" in complaint("buses = []\n" + pin)
        else:
            assert parse("buses = []\n" + pin, "x").evse.pins["x"].gpio == gpio


@pytest.mark.parametrize("name", SAFE_WHEN_BROKEN)
def test_a_broken_wire_has_to_be_safe(name: str) -> None:
    pull = tomllib.loads(OWN)["evse"]["pins"][name]["pull"]
    other = "down" if pull == "up" else "up"
    for wrong in (other, "none"):
        assert "a broken wire is safe" in complaint(changed(name, f'"{pull}"', f'"{wrong}"'))


@pytest.mark.parametrize("name", [*SAFE_WHEN_BROKEN, "watchdog", "contactors", "module_enable"])
def test_a_direction_that_cannot_be_is_refused(name: str) -> None:
    now = tomllib.loads(OWN)["evse"]["pins"][name]["direction"]
    other = "in" if now == "out" else "out"
    assert "direction" in complaint(changed(name, f'direction = "{now}"', f'direction = "{other}"'))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "b.toml")


def test_an_empty_map_is_a_board_without_pins() -> None:
    assert parse("", "x").evse.pins == {}
