"""The READMEs of the modem and SLAC packages show the tables and timers as they are.

`python -m tests.slac.test_readme` writes them anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import controller
from controller.machine import TableMachine, mermaid
from controller.plc import manage, modem, spi
from controller.plc.manage import Manager
from controller.plc.modem import Modem
from controller.plc.spi import QcaSpi
from controller.slac import timing
from controller.slac.amp_map import AmplitudeMap
from controller.slac.evse import EvseSlac
from controller.slac.evse_run import EvseRun
from controller.slac.pev import PevSlac

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(controller.__file__).parent
MACHINES: dict[str, list[type[TableMachine]]] = {
    "plc/README.md": [Modem, Manager, QcaSpi],
    "slac/README.md": [EvseSlac, EvseRun, PevSlac, AmplitudeMap],
}
TIMERS: dict[str, dict[str, ModuleType]] = {
    "plc/README.md": {"timing": modem, "timing manage": manage, "timing spi": spi},
    "slac/README.md": {"timing": timing},
}


def timer_table(source: Path) -> str:
    """Turn the module's constants and the strings below them into a table."""
    found = re.findall(
        r'^([A-Z]\w+) = ([\d.]+)\n(?:"""(.*?)""")?', source.read_text(), re.MULTILINE | re.DOTALL
    )
    lines = ["| name | value | meaning |", "|---|---|---|"]
    for name, value, meaning in found:
        unit = " s" if name.endswith("_S") else ""
        lines.append(f"| {name} | {float(value):g}{unit} | {' '.join(meaning.split())} |")
    return "\n".join(lines) + "\n"


def generated(name: str) -> dict[str, str]:
    parts = {
        f"diagram {cls.__name__}": f"```mermaid\n{mermaid(cls)}```\n" for cls in MACHINES[name]
    }
    for part, module in TIMERS[name].items():
        parts[part] = timer_table(Path(str(module.__file__)))
    return parts


def renewed(text: str, parts: dict[str, str]) -> str:
    """Replace what is between the marks of each part."""
    for part, body in parts.items():
        begin, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->"
        assert begin in text, f"no mark {begin.strip()}"
        before, rest = text.split(begin, 1)
        text = before + begin + body + end + rest.split(end, 1)[1]
    return text


@pytest.mark.parametrize("name", MACHINES)
def test_readme_is_up_to_date(name: str) -> None:
    text = (ROOT / name).read_text()
    assert renewed(text, generated(name)) == text, "run: python -m tests.slac.test_readme"


if __name__ == "__main__":
    for each in MACHINES:
        path = ROOT / each
        path.write_text(renewed(path.read_text(), generated(each)))
