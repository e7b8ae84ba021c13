"""The simulated circuits: they keep every limit, agree with formulas, and can be run again."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from controller.cp import limits
from controller.cp.sim import PilotCircuit
from controller.interlock_chain import CP_LOSS_S
from controller.interlock_test import CLOSE_TIMEOUT_S, HOLD_S, WATCHDOG_OPENS_S
from controller.power import sim_interlock
from hw_docs import budget, frontend, generate
from hw_docs.parts import everything, value
from hw_docs.spice import run

HAS_NGSPICE = run.find_ngspice() is not None
needs_ngspice = pytest.mark.skipif(not HAS_NGSPICE, reason="ngspice is not installed")
RESULTS = budget.simulated()
LEVELS = RESULTS["levels"]


def cell(state: str, duty: float) -> str:
    return f"{state} {duty:.0%}"


# --- limits are kept ------------------------------------------------------------------------------


def test_every_state_and_duty_was_run_with_enough_boards() -> None:
    assert [(row["state"], row["duty"]) for row in LEVELS] == run.cells()
    assert RESULTS["samples"] == run.SAMPLES >= 30
    assert RESULTS["seed"] == run.SEED


@pytest.mark.parametrize("row", LEVELS, ids=lambda r: cell(r["state"], r["duty"]))
def test_every_level_keeps_clear_of_its_window(row: dict[str, Any]) -> None:
    window = generate.WINDOWS[str(row["state"])]
    assert generate.margin_v(row["high_min_v"], row["high_max_v"], window) > 0.3
    assert row["high_min_v"] <= row["high_v"] <= row["high_max_v"]


@pytest.mark.parametrize("row", LEVELS, ids=lambda r: cell(r["state"], r["duty"]))
def test_the_low_phase_keeps_clear_of_its_window(row: dict[str, Any]) -> None:
    if row["state"] in ("E", "F") or row["duty"] == 1.0:
        return
    window = limits.NEGATIVE_PEAK_V
    assert generate.margin_v(row["low_min_v"], row["low_max_v"], window) > 0.2


def test_a_margin_that_is_negative_is_told_loudly() -> None:
    assert generate.margin_v(7.9, 9.0, (8.0, 10.0)) < 0
    assert "NEGATIVE" in generate._margin(-0.1)


def test_edges_are_fast_enough() -> None:
    assert {row["state"] for row in RESULTS["edges"]} == set("ABCD")
    for row in RESULTS["edges"]:
        for which in ("rise", "fall"):
            limit = row[f"{which}_limit_us"]
            assert 0.0 < row[f"{which}_us"] < (limit or 20.0)
    assert max(row["total_pf"] for row in RESULTS["edges"]) == 5500


def test_the_watchdog_keeps_the_contract() -> None:
    for row in RESULTS["watchdog"]:
        assert row["opens_max_ms"] / 1e3 + budget.SWITCH_S < WATCHDOG_OPENS_S
        assert row["opens_min_ms"] > row["period_ms"]  # else it would open between two edges
        assert row["closes_edge_min"] >= 2  # one edge must not close it
        assert row["closes_edge_max"] * row["period_ms"] / 1e3 < CLOSE_TIMEOUT_S
        assert row["steady"]


def test_the_cp_loss_part_keeps_the_contract() -> None:
    assert [row["loss"] for row in RESULTS["cp_loss"]] == list(run.LOSSES)
    for row in RESULTS["cp_loss"]:
        assert row["rides_out"]
        assert row["stays_off"]
        assert row["off_max_ms"] / 1e3 < CP_LOSS_S - 0.03  # what the software calls stuck
        assert row["on_min_ms"] > 5.0
        assert row["on_max_ms"] / 1e3 < HOLD_S  # the self-test looks for longer than that


@pytest.mark.parametrize("line", budget.budgets(), ids=lambda b: b.what)
def test_every_budget_is_kept(line: budget.Budget) -> None:
    assert line.limit_s is None or line.total_s < line.limit_s


def test_over_voltage_trips_within_its_window() -> None:
    least_s, most_s = budget.over_voltage_s()
    assert 0.005 < least_s < most_s < budget.TABLE_103_S[0]
    for name, upto_v in (
        ("R51_550", 500.0),
        ("R51_825", 750.0),
        ("R51_935", 850.0),
        ("R51_1100", 1000.0),
        ("R51_1375", 1250.0),
    ):
        low_v, nominal_v, high_v = budget.over_voltage_trip_v(name)
        assert upto_v < low_v < nominal_v < high_v <= float(name.partition("_")[2])


def test_the_simulated_interlock_is_like_the_circuit() -> None:
    dog = {row["period_ms"]: row for row in RESULTS["watchdog"]}[5.0]
    assert dog["opens_min_ms"] <= sim_interlock.WATCHDOG_OPENS_S * 1e3 <= dog["opens_max_ms"]
    slowest = max(RESULTS["cp_loss"], key=lambda row: float(row["off_max_ms"]))
    assert slowest["off_min_ms"] <= sim_interlock.CP_LOST_S * 1e3 <= slowest["off_max_ms"] + 0.2
    on = [row["on_min_ms"] for row in RESULTS["cp_loss"]]
    assert pytest.approx(min(on), abs=1.5) == sim_interlock.CP_FOUND_S * 1e3


# --- independent checks ---------------------------------------------------------------------------


@pytest.mark.parametrize("row", LEVELS, ids=lambda r: cell(r["state"], r["duty"]))
def test_formulas_agree_with_spice(row: dict[str, Any]) -> None:
    high_v, low_v = frontend.levels(str(row["state"]), row["duty"])
    assert row["high_v"] == pytest.approx(high_v, abs=0.06)
    assert row["low_v"] == pytest.approx(low_v, abs=0.2 if row["duty"] == 0.96 else 0.06)


@pytest.mark.parametrize("state", "ABCD")
@pytest.mark.parametrize("duty", [0.05, 0.5, 1.0])
def test_the_simulated_pilot_agrees_with_spice(state: str, duty: float) -> None:
    circuit = PilotCircuit(ventilation=state == "D")
    circuit.plugged, circuit.s2_closed = state != "A", state in "CD"
    circuit.duty = duty
    high_v, low_v = circuit.peaks
    row = next(r for r in LEVELS if r["state"] == state and r["duty"] == duty)
    assert row["high_v"] == pytest.approx(high_v, abs=0.15)
    assert row["low_v"] == pytest.approx(low_v, abs=0.15)


def test_the_channels_of_the_board_fit_the_divider() -> None:
    for cp_v in (-12.0, 0.0, 6.0, 12.0):
        assert frontend.read_v(cp_v) == pytest.approx(cp_v, abs=0.05)
        assert 0.0 < frontend.divider_v(cp_v) < value("VREF")
    assert frontend.divider_v(13.0) < value("VREF")


# --- netlists -------------------------------------------------------------------------------------

NETLISTS = sorted(path.name for path in run.HERE.glob("*.cir"))
SUFFIX = {"meg": 1e6, "k": 1e3, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "": 1.0}


@pytest.mark.parametrize("name", NETLISTS)
def test_netlists_have_the_values_of_the_parts(name: str) -> None:
    text = (run.HERE / name).read_text(encoding="utf-8")
    found = 0
    for line in re.findall(r"^\.param (.+)$", text, re.MULTILINE):
        for key, number, suffix in re.findall(r"(\w+)=(-?[\d.]+)(meg|[kmunp]?)\b", line):
            part = everything().get(key)
            if part is not None:
                found += 1
                assert float(number) * SUFFIX[suffix] == pytest.approx(part.value), key
    assert found >= 8


# --- the program ----------------------------------------------------------------------------------


def test_without_ngspice_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "find_ngspice", lambda: None)
    assert run.main() == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "apt-get install ngspice" in told


def test_a_run_that_fails_is_not_a_result() -> None:
    with pytest.raises(RuntimeError, match="0 of 1"):
        run._measures("nothing", "x.cir", 1)
    with pytest.raises(RuntimeError, match="case 0"):
        run._measures("case 0\nTimestep too small; time = 1", "x.cir", 1)


@cache
def rerun(name: str) -> list[run.Measures]:
    """Run a handful of cases again: nominal ones of the committed results."""
    if name == "cp_frontend.cir":
        base = {n: value(n) for n in run._varied()} | run._NOMINAL
        return run.run(
            name,
            [
                run.Case(
                    base | run.drive(duty, value("V12P"), value("V12N")) | run.connect(state),
                    run._level_control(duty),
                )
                for state, duty in run.cells()
            ],
        )
    raise AssertionError


@needs_ngspice
def test_the_committed_levels_come_out_again() -> None:
    high, low = frontend.channel("cp_high"), frontend.channel("cp_low")
    for row, measured in zip(LEVELS, rerun("cp_frontend.cir"), strict=True):
        read = (measured["hmax"] + measured["hmin"]) / 2 * high.slope + high.offset_v
        assert row["high_v"] == pytest.approx(read, abs=0.02), cell(row["state"], row["duty"])
        read = (measured["lmax"] + measured["lmin"]) / 2 * low.slope + low.offset_v
        assert row["low_v"] == pytest.approx(read, abs=0.02), cell(row["state"], row["duty"])


@needs_ngspice
def test_the_committed_watchdog_and_edges_come_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SAMPLES", 1)
    for kept, row in zip(RESULTS["watchdog"], run.watchdog_rows(), strict=True):
        assert row["opens_ms"] == pytest.approx(kept["opens_ms"], abs=0.1)
    for kept, row in zip(RESULTS["edges"], run.edge_rows(), strict=True):
        assert row["rise_us"] == pytest.approx(kept["rise_us"], abs=0.1)


@needs_ngspice
@pytest.mark.parametrize("loss", run.LOSSES)
def test_a_loss_of_the_pilot_comes_out_again(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SLOW_SAMPLES", 0)
    monkeypatch.setattr(run, "LOSSES", (loss,))
    (row,) = run.cp_loss_rows()
    kept = next(r for r in RESULTS["cp_loss"] if r["loss"] == loss)
    assert float(str(row["off_max_ms"])) <= kept["off_max_ms"] + 0.2
    assert row["rides_out"]
    assert row["stays_off"]


@needs_ngspice
@pytest.mark.parametrize("name", NETLISTS)
def test_each_netlist_runs_alone(name: str) -> None:
    import subprocess

    done = subprocess.run(
        ["ngspice", "-b", str(run.HERE / name)], capture_output=True, text=True, check=False
    )
    found = re.findall(r"^\w+\s+=\s+-?[\d.]+e[+-]\d+", done.stdout + done.stderr, re.MULTILINE)
    assert len(found) >= 4, done.stderr
    assert "failed" not in done.stderr
