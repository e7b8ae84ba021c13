"""The package's page says what the constants say."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.cp import limits, timing

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
        f"without samples | {timing.INLET_STALE_S * 1000:g} ms",
    ],
)
def test_figures(text: str) -> None:
    assert text in README
