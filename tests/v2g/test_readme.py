"""The package's page shows the tables and times as the code has them.

When a table changed on purpose: CCS_PILOT_UPDATE_README=1 python -m pytest tests/v2g/test_readme.py
"""

import os
from pathlib import Path

import pytest

from controller.machine import TableMachine, mermaid
from controller.v2g import timing as t
from controller.v2g.evcc_din import DinEvcc
from controller.v2g.secc_din import DinSecc

PATH = Path(__file__).parents[2] / "controller" / "v2g" / "README.md"
EVERYWHERE = {
    "secc_din": ("session_stop_req", "refused", "give_up", "lost", "start"),
    "evcc_din": ("abort", "unplugged", "start"),
}


def drawn(name: str, cls: type[TableMachine]) -> str:
    lines = [
        line
        for line in mermaid(cls).splitlines()
        if not any(f": {trigger}" in line for trigger in EVERYWHERE[name])
    ]
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


@pytest.mark.parametrize(("name", "cls"), [("secc_din", DinSecc), ("evcc_din", DinEvcc)])
def test_diagram_is_up_to_date(name: str, cls: type[TableMachine]) -> None:
    page = PATH.read_text("utf-8")
    before, rest = page.split(f"<!-- {name} -->\n")
    present, after = rest.split("<!-- end -->", 1)
    diagram = drawn(name, cls)
    if os.environ.get("CCS_PILOT_UPDATE_README"):
        PATH.write_text(f"{before}<!-- {name} -->\n{diagram}<!-- end -->{after}", "utf-8")
        return
    assert present == diagram, "set CCS_PILOT_UPDATE_README=1 to draw it anew"


@pytest.mark.parametrize(
    "text",
    [
        f"| {t.SDP_REQUEST_INTERVAL_S:g} s, {t.SDP_MAX_REQUESTS} times |",
        f"| TCP connect | | {t.TCP_CONNECT_TIMEOUT_S:g} s |",
        f"| {t.V2G_SECC_COMMUNICATION_SETUP_S:g} s | {t.V2G_EVCC_COMMUNICATION_SETUP_S:g} s |",
        f"| {t.V2G_SECC_MSG_PERFORMANCE_S:g} s | {t.V2G_EVCC_MSG_TIMEOUT_S:g} s |",
        f"| {t.V2G_SECC_MSG_PERFORMANCE_CURRENT_DEMAND_S:g} s "
        f"| {t.V2G_EVCC_MSG_TIMEOUT_CURRENT_DEMAND_S:g} s |",
        f"| {t.V2G_SECC_SEQUENCE_TIMEOUT_S:g} s, with power on {t.SECC_ENERGISED_SILENCE_S:g} s |",
        f"| {t.V2G_SECC_ONGOING_PERFORMANCE_S:g} s | {t.V2G_EVCC_ONGOING_TIMEOUT_S:g} s |",
        f"| {t.V2G_SECC_CABLE_CHECK_PERFORMANCE_S:g} s | {t.V2G_EVCC_CABLE_CHECK_TIMEOUT_S:g} s |",
        f"| {t.V2G_SECC_PRE_CHARGE_PERFORMANCE_S:g} s | {t.V2G_EVCC_PRE_CHARGE_TIMEOUT_S:g} s |",
        f"CableCheckReq | {t.V2G_SECC_CP_STATE_TIMEOUT_S:g} s |",
        f"SessionSetup | | {t.V2G_EVCC_READY_TO_CHARGE_TIMEOUT_S:g} s |",
        f"power is cut | {t.SECC_STOP_PATIENCE_S:g} s |",
        f"we close | {t.SECC_FAILED_LINGER_S:g} s |",
        f"before PowerDelivery(stop) | | {t.EVCC_RAMP_DOWN_S:g} s |",
        f"after {t.V2G_SECC_MSG_PERFORMANCE_S:g} s | {t.EVCC_STOP_CURRENT_TIMEOUT_S:g} s |",
        f"by a fault | | {t.EVCC_ABORT_CURRENT_TIMEOUT_S:g} s |",
    ],
)
def test_times(text: str) -> None:
    assert text in PATH.read_text("utf-8")
