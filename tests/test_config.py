"""Configuration: every bound of every key, every kind of mistake as one line, the reference."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from controller.config import (
    CarConfig,
    ChargerConfig,
    load,
    parse,
    reference,
)
from controller.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from controller.config_keys import Key

FILES: list[type[Any]] = [ChargerConfig, CarConfig]


def write(section: str, key: str, value: object) -> str:
    """Return a file with one key."""
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    text = text or (f'"{value}"' if isinstance(value, str) else repr(value))
    return f"[{section}]\n{key} = {text}\n"


class Number(NamedTuple):
    """A key that holds a number, with its bounds."""

    cls: type[Any]
    section: str
    key: str
    low: float
    high: float


def numbers() -> list[Number]:
    """Return the bounds as the reference words them: the words and the check cannot differ."""
    found = []
    for cls in FILES:
        for section in dataclasses.fields(cls):
            for field in dataclasses.fields(getattr(cls(), section.name)):
                key: Key = field.metadata["key"]
                if key.allowed.startswith("a number from "):
                    low, high = key.allowed.removeprefix("a number from ").split(" to ")
                    found.append(Number(cls, section.name, field.name, float(low), float(high)))
    return found


NUMBERS = numbers()
KEYS = [
    (cls, section.name, field.name)
    for cls in FILES
    for section in dataclasses.fields(cls)
    for field in dataclasses.fields(getattr(cls(), section.name))
]


def name_of(item: Number) -> str:
    return f"{item.cls.__name__}.{item.section}.{item.key}"


# --- bounds --------------------------------------------------------------------------------------


def test_there_are_bounds_to_test() -> None:
    assert len(NUMBERS) > 15


@pytest.mark.parametrize("item", NUMBERS, ids=name_of)
@pytest.mark.parametrize("end", ["low", "high"])
def test_a_bound_itself_is_allowed(item: Number, end: str) -> None:
    value = getattr(item, end)
    complaint = ""
    try:
        config = parse(item.cls, write(item.section, item.key, value), "x.toml")
        assert getattr(getattr(config, item.section), item.key) == value
    except ConfigError as error:
        complaint = str(error)
    # Alone it may contradict the defaults of other keys, never its own bounds.
    assert " must " in complaint or complaint == ""


@pytest.mark.parametrize("item", NUMBERS, ids=name_of)
@pytest.mark.parametrize("by", [-1e-6, 1e-6])
def test_just_outside_is_refused(item: Number, by: float) -> None:
    end = item.low if by < 0 else item.high
    text = write(item.section, item.key, end + by * max(abs(end), 1.0))
    with pytest.raises(ConfigError) as caught:
        parse(item.cls, text, "x.toml")
    assert str(caught.value).startswith(f"x.toml: {item.section}.{item.key} = ")
    assert f"not allowed; a number from {item.low:g} to {item.high:g}" in str(caught.value)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1" + "0" * 400, '"5"', "true", "[5]"])
@pytest.mark.parametrize("item", NUMBERS[:2] + NUMBERS[-2:], ids=name_of)
def test_what_is_no_usable_number(item: Number, value: str) -> None:
    with pytest.raises(ConfigError, match="not allowed; a number from"):
        parse(item.cls, f"[{item.section}]\n{item.key} = {value}\n", "x.toml")


@pytest.mark.parametrize(("cls", "section", "key"), KEYS)
@pytest.mark.parametrize("value", ["{}", "[]", "2026-01-01", "[[1]]", "[[1, 2, 3], [2, 3, 4]]"])
def test_wrong_type(cls: type[Any], section: str, key: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(cls, f"[{section}]\n{key} = {value}\n", "x.toml")
    line = str(caught.value)
    assert line.startswith(f"x.toml: {section}.{key} = ")
    assert "not allowed; " in line
    assert "\n" not in line


# --- each mistake is one line that names file, key and what is allowed ---------------------------

CURVE = "[battery]\nvoltage_v = "


@pytest.mark.parametrize(
    ("cls", "text", "complaint"),
    [
        (
            CarConfig,
            "[boat]\n",
            "[boat]: unknown section; allowed: car, onboard, inlet, battery, plc, slac, realtime",
        ),
        (CarConfig, "[batery]\n", '[batery]: unknown section; did you mean "battery"? allowed'),
        (CarConfig, "soc_percent = 5\n", "soc_percent: belongs below the line [battery]"),
        (CarConfig, "[soc_percent]\n", "soc_percent: belongs below the line [battery]"),
        (ChargerConfig, "problem = 9\n", "[problem]: unknown section; "),
        (ChargerConfig, "maximum_current_a = 9\n", "belongs below the line [charger] or [ac]"),
        (CarConfig, "car = 3\n", "car: must be a section, written as [car]"),
        (CarConfig, "[[car]]\n", "car: must be a section, written as [car]"),
        (CarConfig, "[car]\nsoc = 3\n", "car.soc: unknown key; allowed: current_demand_interval_s"),
        (ChargerConfig, "[car]\n", "[car]: unknown section; "),
        (CarConfig, "[car\n", "not valid TOML: "),
        (CarConfig, "[car]\n[car]\n", "not valid TOML: "),
        (CarConfig, "a = " + "9" * 5000, "not valid TOML: "),
        (CarConfig, "a = " + "[" * 5000, "not valid TOML: nested too deeply"),
        (ChargerConfig, '[plc]\nmodem = "morse"\n', 'one of "homeplug", "none"'),
        (ChargerConfig, "[plc]\nmodem = 3\n", 'one of "homeplug", "none"'),
        (ChargerConfig, '[charger]\ninterlock = ""\n', 'one of "external", "none"'),
        (ChargerConfig, f'[charger]\nevse_id = "{"A" * 33}"\n', "text of at most 32 characters"),
        (ChargerConfig, '[charger]\nevse_id = "a\\u0007"\n', "printable text of at most 32"),
        (ChargerConfig, "[charger]\nevse_id = 5\n", "printable text of at most 32"),
        (CarConfig, CURVE + "[[0, 300]]\n", "2 to 100 points, soc rising in 0..100"),
        (CarConfig, CURVE + "[[0, 300], [0, 310]]\n", "soc rising"),
        (CarConfig, CURVE + "[[50, 300], [20, 310]]\n", "soc rising"),
        (CarConfig, CURVE + "[[0, 300], [101, 310]]\n", "0..100"),
        (CarConfig, CURVE + "[[-1, 300], [100, 310]]\n", "0..100"),
        (CarConfig, CURVE + "[[0, 19], [100, 310]]\n", "value 20..1000"),
        (CarConfig, CURVE + "[[0, 300], [100, 1001]]\n", "value 20..1000"),
        (CarConfig, CURVE + "[[0, nan], [100, nan]]\n", "value 20..1000"),
        (CarConfig, CURVE + '[["0", "300"], ["100", "310"]]\n', "value 20..1000"),
        (CarConfig, CURVE + "[[false, 300], [true, 310]]\n", "value 20..1000"),
        (CarConfig, CURVE + f"{[[i * 0.9, 300] for i in range(101)]}\n", "2 to 100 points"),
        (CarConfig, CURVE + "[[0, 1" + "0" * 400 + "], [100, 310]]\n", "value 20..1000"),
    ],
)
def test_mistakes(cls: type[Any], text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(cls, text, "my.toml")
    line = str(caught.value)
    assert line.startswith("my.toml: ")
    assert complaint in line
    assert "\n" not in line
    assert len(line) < 400


@pytest.mark.parametrize(
    ("cls", "text", "complaint"),
    [
        (
            ChargerConfig,
            "[charger]\nminimum_voltage_v = 500\nmaximum_voltage_v = 500\n",
            "charger: minimum_voltage_v must be below maximum_voltage_v",
        ),
        (
            ChargerConfig,
            "[charger]\nminimum_current_a = 10\nmaximum_current_a = 5\n",
            "charger: minimum_current_a must be below maximum_current_a",
        ),
        (
            ChargerConfig,
            '[charger]\nmode = "ac"\ninterlock = "none"\n',
            'charger: interlock must be "external" for AC: without it the mains is never switched',
        ),
        (ChargerConfig, "[ac]\nphases = 2\n", "ac: phases must be 1 or 3"),
        (
            ChargerConfig,
            "[ac]\nmaximum_current_a = 33\n",
            r"ac: maximum_current_a \(33\) must not exceed the rating of the fixed cable, "
            r"cable_current_a \(32\)",
        ),
        (
            ChargerConfig,
            '[ac]\nconnector = "socket"\nmaximum_current_a = 63.1\n',
            r"ac: maximum_current_a \(63.1\) must not exceed 63, the largest cable for a socket",
        ),
        (
            CarConfig,
            "[battery]\nmaximum_voltage_v = 408\n",
            "battery: voltage_v must stay below maximum_voltage_v",
        ),
    ],
)
def test_contradictions(cls: type[Any], text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=f"^my.toml: {complaint}$"):
        parse(cls, text, "my.toml")


@pytest.mark.parametrize(
    "text",
    [
        "maximum_current_a = 80\ncable_current_a = 80\n",
        'connector = "socket"\nmaximum_current_a = 63\n',
        "maximum_current_a = 6\ncable_current_a = 6\nphases = 1\n",
    ],
)
def test_ac_at_the_bounds_of_its_cable(text: str) -> None:
    assert parse(ChargerConfig, f"[ac]\n{text}", "my.toml").ac.maximum_current_a > 0


@pytest.mark.parametrize(
    ("text", "modem", "v2g"),
    [
        ("", True, True),
        ('[plc]\nmodem = "none"\n', False, True),
        ('[charger]\nmode = "ac"\n', False, False),
        ('[charger]\nmode = "ac"\n[ac]\ndigital_first = true\n', True, False),
        (
            '[charger]\nmode = "ac"\n[ac]\ndigital_first = true\n[plc]\nmodem = "none"\n',
            False,
            False,
        ),
    ],
)
def test_what_takes_part(text: str, modem: bool, v2g: bool) -> None:
    config = parse(ChargerConfig, text, "my.toml")
    assert (config.uses_modem, config.uses_v2g) == (modem, v2g)


@pytest.mark.parametrize(
    ("text", "modem"),
    [("", True), ("[car]\ndigital = false\n", False), ('[plc]\nmodem = "none"\n', False)],
)
def test_the_modem_of_a_car(text: str, modem: bool) -> None:
    assert parse(CarConfig, text, "my.toml").uses_modem is modem


def test_a_charger_is_dc_by_default() -> None:
    assert ChargerConfig().charger.mode == "dc"


# --- files ---------------------------------------------------------------------------------------


def test_no_file_gives_the_defaults() -> None:
    assert load(CarConfig, None) == CarConfig()


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("# nothing\n")
    assert load(ChargerConfig, tmp_path / "a.toml") == ChargerConfig()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("missing.toml", "cannot be read: No such file or directory"),
        (".", "cannot be read: Is a directory"),
        ("bytes.toml", "cannot be read: not UTF-8 text"),
    ],
)
def test_unreadable(name: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError) as caught:
        load(CarConfig, tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {complaint}"


# --- values --------------------------------------------------------------------------------------


def test_integers_become_numbers_and_lists_curves() -> None:
    car = parse(CarConfig, "[battery]\nsoc_percent = 5\nvoltage_v = [[0, 300], [100, 400]]\n", "x")
    assert type(car.battery.soc_percent) is float
    assert car.battery.voltage_v == ((0.0, 300.0), (100.0, 400.0))


def test_with_target() -> None:
    car = CarConfig().with_target(33.0)
    assert car.car.target_soc_percent == 33.0
    assert car.battery == CarConfig().battery


@pytest.mark.parametrize("cls", FILES)
def test_the_defaults_are_consistent_and_within_their_bounds(cls: type[Any]) -> None:
    assert parse(cls, reference(cls), "reference") == cls()


@pytest.mark.parametrize("cls", FILES)
def test_the_reference_names_every_key_with_its_meaning(cls: type[Any]) -> None:
    text = reference(cls)
    tables = tomllib.loads(text)
    for section in dataclasses.fields(cls):
        fields = dataclasses.fields(getattr(cls(), section.name))
        assert list(tables[section.name]) == [field.name for field in fields]
        for field in fields:
            key: Key = field.metadata["key"]
            assert f"# {key.meaning}: {key.allowed}\n{field.name} = " in text
            assert key.meaning


def test_the_reference_writes_what_differs_from_the_default_type(tmp_path: Path) -> None:
    """A number without a fraction is still read back as a number."""
    text = reference(ChargerConfig)
    assert "period_s = 0.005" in text
    assert 'modem = "homeplug"' in text


@pytest.mark.parametrize(
    ("key", "allowed"),
    [("edges", "pigpio gpiochip"), ("gpio", "pigpio lgpio"), ("adc", "ads1115 mcp3208")],
)
def test_who_does_what_in_a_car(key: str, allowed: str) -> None:
    for name in allowed.split():
        car = parse(CarConfig, write("hardware", key, name), "car.toml")
        assert getattr(car.hardware, key) == name
    with pytest.raises(ConfigError, match=f"hardware.{key} = 'x'"):
        parse(CarConfig, write("hardware", key, "x"), "car.toml")


def test_rest_and_site_of_a_car() -> None:
    hardware = CarConfig().hardware
    assert (hardware.rest_s, hardware.battery) == (0.0, "simulated")
    assert hardware.site != ChargerConfig().hardware.site
    assert parse(CarConfig, write("hardware", "rest_s", 0.2), "car.toml").hardware.rest_s == 0.2


def test_the_inlets_connector_and_waking() -> None:
    assert CarConfig().inlet.connector == "ccs2"
    assert CarConfig().car.wake_charger is False
    car = parse(CarConfig, write("inlet", "connector", "ccs1"), "car.toml")
    assert car.inlet.connector == "ccs1"
    assert parse(CarConfig, write("car", "wake_charger", True), "car.toml").car.wake_charger
    with pytest.raises(ConfigError, match=r'inlet.connector = .*"ccs1", "ccs2"'):
        parse(CarConfig, write("inlet", "connector", "chademo"), "car.toml")
