"""The calibration: what is fitted, what is refused, and the file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cp import levels
from controller.cp.calibration import (
    LOADS,
    NOMINAL,
    Calibration,
    Correction,
    Point,
    fit,
    load,
    parse,
    render,
    steady_problem,
)
from controller.cp.levels import Level
from controller.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def points(high: Correction = NOMINAL, low: Correction = NOMINAL) -> list[Point]:
    """What a board shows whose detectors are off by these."""
    made = []
    for each in LOADS:
        actual = each.expected_v(diode=False)
        made.append(Point(each.name, actual, undo(high, actual), undo(low, actual)))
    return made


def undo(correction: Correction, actual: float) -> float:
    return (actual - correction.offset_v) / correction.gain


GAINS = st.floats(0.91, 1.09)
OFFSETS = st.floats(-0.9, 0.9)


@given(GAINS, OFFSETS, GAINS, OFFSETS)
def test_the_correction_of_any_board_is_found(
    gain: float, offset_v: float, low_gain: float, low_offset_v: float
) -> None:
    wanted_high, wanted_low = Correction(gain, offset_v), Correction(low_gain, low_offset_v)
    found = fit(points(wanted_high, wanted_low), "ads1115", "now")
    assert found.high.gain == pytest.approx(gain)
    assert found.high.offset_v == pytest.approx(offset_v, abs=1e-6)
    assert found.low.gain == pytest.approx(low_gain)
    assert found.low.offset_v == pytest.approx(low_offset_v, abs=1e-6)
    assert found.residual_v < 1e-6


@given(GAINS, OFFSETS)
def test_a_file_comes_back_as_it_was_written(gain: float, offset_v: float) -> None:
    found = fit(points(Correction(gain, offset_v)), "mcp3208", "2026-01-02T03-04-05Z")
    again = parse(render(found), "file")
    assert again.high.gain == pytest.approx(found.high.gain, abs=1e-6)
    assert again.high.offset_v == pytest.approx(found.high.offset_v, abs=1e-4)
    assert (again.made, again.converter) == (found.made, found.converter)
    assert [p.load for p in again.points] == [p.load for p in found.points]
    assert render(again) == render(parse(render(again), "file"))


@pytest.mark.parametrize(
    ("high", "words"),
    [
        (Correction(1.2), "cp_high: gain 1.200 is not plausible"),
        (Correction(0.8), "cp_high: gain 0.800 is not plausible"),
        (Correction(1.0, 1.5), r"cp_high: offset \+1.50 V"),
        (Correction(1.0, -1.5), "cp_high: offset -1.50 V"),
    ],
)
def test_what_is_not_plausible_is_refused(high: Correction, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        fit(points(high), "ads1115", "now")
    with pytest.raises(ConfigError, match=words.replace("cp_high", "cp_low")):
        fit(points(NOMINAL, high), "ads1115", "now")


def test_a_point_beside_the_line_is_refused() -> None:
    bent = points()
    bent[2] = replace(bent[2], high_v=bent[2].high_v + 0.8)
    with pytest.raises(ConfigError, match="beside the line"):
        fit(bent, "ads1115", "now")


def test_too_few_points_and_dead_detectors_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 3 points"):
        fit(points()[:2], "ads1115", "now")
    with pytest.raises(ConfigError, match="at least 3 points over 12 V"):
        fit(points()[1:4], "ads1115", "now")
    with pytest.raises(ConfigError, match="same voltage whatever is connected"):
        fit([replace(p, low_v=-16.0) for p in points()], "ads1115", "now")


def test_the_loads_are_the_states_of_the_standard() -> None:
    expected = [Level.A, Level.B, Level.C, Level.D, Level.E, Level.F]
    for diode in (False, True):
        volts = [each.expected_v(diode) for each in LOADS]
        assert [levels.classify(v, None) for v in volts] == expected
    assert [round(each.expected_v(diode=True), 2) for each in LOADS] == [
        12.0,
        8.98,
        5.99,
        2.93,
        0.0,
        -12.0,
    ]


GOOD = render(fit(points(Correction(1.01, 0.1)), "ads1115", "now"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[cp_high]", "[cp_hihg]", "cp_hihg: unknown"),
        ('made = "now"\n', "", "made is missing"),
        ("gain = 1.010000", "gain = 1.5", "gain 1.500 is not plausible"),
        ("gain = 1.010000", "gain = nan", "must be a number"),
        ("gain = 1.010000", "gain = true", "must be a number"),
        ("gain = 1.010000", 'gain = "1"', "must be a number"),
        ("gain = 1.010000", "", "gain is missing"),
        ("gain = 1.010000", "gain = ", "not valid TOML"),
        ("residual_v = 0.0000", "residual_v = 0.9", "beside the line"),
        ("residual_v = 0.0000", "residual_v = -1", "beside the line"),
        ('load = "open"', 'laod = "open"', "point 1: laod: unknown"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line_with_what_to_do(
    old: str, new: str, words: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        parse(GOOD.replace(old, new, 1), "calibration.toml")
    text = str(caught.value)
    assert words in text
    assert text.startswith("calibration.toml")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("before", "after"),
    [("gain = 1.010000", "gain = 1.090000"), ("actual_v = 12.0000", "actual_v = 11.0000")],
)
def test_a_file_that_was_changed_by_hand_is_refused(before: str, after: str) -> None:
    assert before in GOOD
    with pytest.raises(ConfigError, match=r"beside its own line.*ccs-pilot calibrate"):
        parse(GOOD.replace(before, after, 1), "file")


def test_parts_of_the_wrong_kind_are_refused() -> None:
    for source in ("cp_high = 1", "point = 1"):
        with pytest.raises(ConfigError):
            parse(GOOD.partition("[cp_high]")[0] + source, "file")


def test_loading(tmp_path: Path) -> None:
    path = tmp_path / "calibration.toml"
    assert load(None, "ads1115") == Calibration()
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(path, "ads1115")
    path.write_text(GOOD)
    assert load(path, "ads1115").high.gain == pytest.approx(1.01)
    with pytest.raises(ConfigError, match=r"made with the converter ads1115.*mcp3208"):
        load(path, "mcp3208")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(path, "ads1115")


def test_steady_levels_are_compared_with_what_is_driven() -> None:
    assert steady_problem(12.0, 12.4, 11.7) == ""
    assert steady_problem(-12.0, -12.9, -11.1) == ""
    assert "cp_high shows +10.90 V" in steady_problem(12.0, 10.9, 12.0)
    assert "cp_low shows -16.00 V" in steady_problem(-12.0, -12.0, -16.0)
    assert "cp_high" in steady_problem(12.0, float("nan"), 12.0)
