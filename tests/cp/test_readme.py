"""The package's page says what the constants say."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.cp import edges, limits, proximity, timing
from controller.cp.sequences import AC_SEQUENCES, Sequence
from controller.interlock_rules import HOLDING_FAULTS
from controller.realtime_base import HEARTBEAT_TIMEOUT_S
from controller.signals import PilotFault

README = (Path(__file__).parents[2] / "controller" / "cp" / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("letter", "band"),
    [
        ("A", limits.LEVEL_A_V),
        ("B", limits.LEVEL_B_V),
        ("C", limits.LEVEL_C_V),
        ("D", limits.LEVEL_D_V),
        ("E", limits.LEVEL_E_V),
        ("F", limits.LEVEL_F_V),
    ],
)
def test_levels(letter: str, band: tuple[float, float]) -> None:
    assert f"| {letter} | {band[0]:g} to {band[1]:g} V |" in README


@pytest.mark.parametrize(
    "text",
    [
        f">= {timing.DEBOUNCE_S * 1000:g} ms apart",
        f"when unsteady | {timing.UNSTEADY_S * 1000:g} ms",
        f"{limits.NEGATIVE_PEAK_V[0]:g} to {limits.NEGATIVE_PEAK_V[1]:g} V |",
        f"{timing.DIODE_DEBOUNCE_S * 1000:g} ms without it",
        f"judged {timing.DIODE_SETTLE_S * 1000:g} ms after",
        f"duty {limits.DIGITAL_DUTY[0]:.0%}".replace("%", ""),
        f">= {limits.INLET_PRESENT_V:g} V behind",
        f"no edge for {edges.STEADY_US / 1000:g} ms",
        f"shorter than {edges.GLITCH_US:g} us",
        f"outside {limits.FREQUENCY_HZ[0]:g} to {limits.FREQUENCY_HZ[1]:g} Hz",
        f"below {limits.S2_SPLIT_V:g} V) for {timing.S2_WRONG_S * 1000:g} ms",
        f"a plug is in | {timing.PLUG_IN_S * 1000:g} ms",
        f"or faulty | {timing.PLUG_OUT_S * 1000:g} ms",
        f"{timing.S2_SETTLE_S * 1000:g} ms after it switched",
        f"state C for {timing.WAKE_C_S * 1000:g} ms, {timing.WAKE_RETRY_S:g} s apart",
        f"s apart, {timing.WAKE_TRIES} times",
        f"T_conn_resume {timing.WAKE_PAUSE_S:g} s",
        f"S2 closed for {timing.WAKE_C_S * 1000:g} ms",
        f"`[car] wake_charger = true`, {timing.WAKE_AFTER_S:g} s after",
        f"without samples | {timing.INLET_STALE_S * 1000:g} ms",
        f"above {limits.F_LOST_V:g} V |",
        f"above {limits.RANGE_V[1]:g} V, below {limits.RANGE_V[0]:g} V",
        f"sum within {limits.MIRROR_V:g} V",
        f"first\n{timing.START_SETTLE_S * 1000:g} ms, and for {timing.DIODE_SETTLE_S * 1000:g} ms",
        f"but {timing.DUTY_CHANGE_S:g} s after the last start",
        f"{timing.DUTY_CHANGE_S:g} s after the last change",
        f"after {timing.T_STEP_X1_S:g} s (T_step_X1)",
        f"after {timing.T_STEP_EF_S:g} s (T_step_EF)",
        f"oscillator {timing.T_HOLD_X1_S * 1000:g} ms later",
        f"{timing.BCB_SHORTEST_S * 1000:g} to {timing.BCB_LONGEST_S * 1000:g} ms between two B",
        f"within {timing.BCB_SERIES_S:g} s",
        f"C has lasted {timing.BCB_LONGEST_S * 1000:g} ms",
        f"| {HEARTBEAT_TIMEOUT_S * 1000:g} ms with something closed",
        f"| {timing.PILOT_SILENCE_S * 1000:g} ms with nothing closed",
        f"| {timing.ABSENT_S:g} s | F,",
    ],
)
def test_figures(text: str) -> None:
    assert text in README


@pytest.mark.parametrize("row", AC_SEQUENCES, ids=lambda row: row.number)
def test_sequences(row: Sequence) -> None:
    assert f"| {row.number} | {row.what} | {row.limit_s:g} s |" in README


def test_every_fault_has_its_line() -> None:
    section = README.split("## What is wrong with a pilot")[1].split("##")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(set(PilotFault)) - 1
    holding = [row for row in rows if "holds" in row.split("|")[3]]
    assert len(holding) == len(HOLDING_FAULTS)


@pytest.mark.parametrize("connector", list(proximity.Connector))
def test_bands_of_plugs(connector: proximity.Connector) -> None:
    rows = [line.split("|") for line in README.splitlines() if line.startswith("|")]
    column = list(proximity.Connector).index(connector) + 2
    told = [row[column] for row in rows if len(row) == 5 and "Ohm" in row[column]]
    bands = proximity.CODINGS[connector]
    for low, high, plug in bands:
        if plug is proximity.UNPLUGGED:
            text = f"unplugged: {low:g} Ohm or more"
        elif low == 0.0:
            text = f"fault: up to {high:g} Ohm"
        elif plug is proximity.FAULT:
            continue
        else:
            text = f"{low:g} to {high:g} Ohm"
        assert any(text in cell for cell in told), text
