"""The page about AC says what the constants and the table say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controller.config import ChargerConfig, parse
from controller.cp import cable
from controller.cp.timing import BCB_LONGEST_S
from controller.interlock_ac import (
    LEAST_OFFER_A,
    OVER_CURRENT_MARGIN_A,
    OVER_CURRENT_RATIO,
    OVER_CURRENT_S,
    PHASE_LOST_S,
    STOP_GRACE_S,
)
from controller.interlock_rules import CONTACTOR_DISAGREE_S
from controller.machine import mermaid
from controller.onboard import RAMP_DOWN_S
from controller.power.contactors import MAINS_RECLOSE_S
from controller.realtime_ac import OFFER_AGAIN_S
from controller.realtime_base import HEARTBEAT_TIMEOUT_S
from controller.site_pace import QUIET_STEP_S
from controller.slac.timing import T_STEP_EF_S, T_STEP_X1_S, TT_EVSE_SLAC_INIT_S
from controller.station_ac import FINISHED_S, NO_SESSION, SHOW_FAULT_S, AcState, AcStation

PAGE = (Path(__file__).parents[1] / "docs" / "ac.md").read_text("utf-8")


@pytest.mark.parametrize(
    "text",
    [
        f"more than (offer + {OVER_CURRENT_MARGIN_A:g} A) * {OVER_CURRENT_RATIO:g} "
        f"for {OVER_CURRENT_S:g} s",
        f"after {STOP_GRACE_S:g} s under load",
        f"for {STOP_GRACE_S:g} s | open |",
        f"a phase is missing for {PHASE_LOST_S:g} s",
        f"voltage behind the open contactor for {CONTACTOR_DISAGREE_S:g} s",
        f"at the earliest {MAINS_RECLOSE_S:g} s later",
        f"silent for {HEARTBEAT_TIMEOUT_S * 1000:g} ms",
        f"comes back {OFFER_AGAIN_S:g} s later",
        f"an offer of at least {LEAST_OFFER_A:g} A",
        f"for {BCB_LONGEST_S * 1000:g} ms",
        f"believed after {cable.STEADY_S:g} s",
        f"below {cable.LOWEST_OHM:g}, above {cable.HIGHEST_OHM:g} Ohm",
        f"has not drawn for {FINISHED_S:g} s",
        f"state F for {SHOW_FAULT_S:g} s, then X1",
        f"TT_EVSE_SLAC_init ({TT_EVSE_SLAC_INIT_S:g} s)",
        f"through state F for {T_STEP_EF_S:g} s",
        f"through X1 for {T_STEP_X1_S:g} s",
        f"S2 opens {RAMP_DOWN_S:g} s later",
        f"steps of {QUIET_STEP_S * 1000:g} ms",
        NO_SESSION.split(":")[0],
    ],
)
def test_figures(text: str) -> None:
    assert text in PAGE.replace("\n", " ")


@pytest.mark.parametrize("line", re.findall(r"\| (\d+) to (\d+) Ohm \| (\d+) A \|", PAGE))
def test_cables(line: tuple[str, str, str]) -> None:
    low, high, rated = map(float, line)
    assert cable.rated_current_a(low) == cable.rated_current_a(high) == rated
    assert len(cable.RATINGS) == 4


def test_the_diagram_is_the_table() -> None:
    (diagram,) = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
    drawn, table = set(diagram.splitlines()), set(mermaid(AcStation).splitlines())
    assert drawn <= table
    words = set(re.findall(r"[A-Z_]{4,}", diagram))
    assert words == {state.name for state in AcState}


def test_the_file_is_a_charger_file() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    config = parse(ChargerConfig, text, "ac.toml")
    assert config.charger.mode == "ac"
    assert config.ac.connector == "socket"
