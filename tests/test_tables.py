"""Every state table of the package, found by itself, and the map of who may import whom.

`make check` runs this file: a table that `transitions` would only find wrong when it fires, a
diagram in a README that shows another machine, a module that no import rule knows.
"""

from __future__ import annotations

import configparser
import importlib
import pkgutil
import re
from enum import Enum
from pathlib import Path
from typing import ClassVar

import pytest

import controller
from controller.machine import TableMachine, lint_table, mermaid, row

PACKAGE = Path(controller.__file__).parent
ROOT = Path(__file__).parents[1]
MODULES = sorted(m.name for m in pkgutil.walk_packages(controller.__path__, "controller."))
NOT_IMPORTABLE = {"controller.plc.driver_tap"}
"""Need something that not every machine has (python-pytun); they hold no tables."""


def machines() -> list[type[TableMachine]]:
    """Return every class with a table of its own, wherever it is."""
    for name in MODULES:
        if name not in NOT_IMPORTABLE:
            importlib.import_module(name)
    found: set[type[TableMachine]] = set()
    waiting: list[type[TableMachine]] = [TableMachine]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            waiting.append(cls)
            if "TABLE" in vars(cls) and cls.__module__.startswith("controller."):
                found.add(cls)
    return sorted(found, key=lambda cls: (cls.__module__, cls.__name__))


MACHINES = machines()


def test_the_tables_are_found() -> None:
    names = {cls.__name__ for cls in MACHINES}
    assert names >= {"EvseStation", "PevStation", "Contactors", "PowerStage", "Modem"}
    assert names >= {"EvseSlac", "EvseRun", "PevSlac", "DinSecc", "DinEvcc"}


@pytest.mark.parametrize("cls", MACHINES, ids=lambda cls: cls.__name__)
def test_table_is_clean(cls: type[TableMachine]) -> None:
    assert lint_table(cls) == []


# --- the lint itself -----------------------------------------------------------------------------


class S(Enum):
    REST = 1
    WORK = 2
    LOST = 3


class Broken(TableMachine):
    TABLE: ClassVar = [
        row("go", S.REST, S.WORK, "wants", "act"),
        row("unheard_of", S.WORK, S.WORK),
        row("timeout", S.LOST, S.REST, "may_timeout", "is_REST"),
    ]
    INITIAL = S.REST
    DEADLINE_S: ClassVar = {S.WORK: 1.0, S.LOST: 1.0}
    ENDLESS = (S.WORK,)

    def go(self) -> bool:
        return False

    def may_timeout(self) -> bool:
        return True

    def is_REST(self) -> None:  # noqa: N802
        pass


@pytest.mark.parametrize(
    "finding",
    [
        "Broken: go from ['REST']: 'wants' is not a method of the class",
        "Broken: go from ['REST']: 'act' is not a method of the class",
        "Broken: unheard_of from ['WORK']: 'unheard_of' is not a method of the class",
        "Broken: timeout from ['LOST']: 'may_timeout' is a name that transitions gives away",
        "Broken: timeout from ['LOST']: 'is_REST' is a name that transitions gives away",
        "Broken: state LOST is never reached",
        "Broken: state WORK has no exit",
        "Broken: state REST waits without a deadline",
        "Broken: state WORK has a deadline and is called endless",
    ],
)
def test_lint_finds(finding: str) -> None:
    assert finding in lint_table(Broken)
    assert len(lint_table(Broken)) == 9


# --- the diagrams --------------------------------------------------------------------------------


def readme_of(cls: type[TableMachine]) -> Path | None:
    folder = PACKAGE.joinpath(*cls.__module__.split(".")[1:-1])
    return None if folder == PACKAGE else folder / "README.md"


@pytest.mark.parametrize(
    "cls", [cls for cls in MACHINES if readme_of(cls)], ids=lambda cls: cls.__name__
)
def test_the_packages_page_draws_the_table(cls: type[TableMachine]) -> None:
    """Exactly the table, or a part of it without the triggers that the page says are everywhere."""
    page = readme_of(cls)
    assert page is not None
    text = page.read_text("utf-8")
    diagrams = [
        set(body.splitlines()) for body in re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)
    ]
    table = set(mermaid(cls).splitlines())
    best = max(diagrams, key=lambda lines: len(lines & table), default=set())
    assert best <= table, f"{page}: lines that {cls.__name__} does not have: {best - table}"
    ends = [end for line in best if "-->" in line for end in line.split(":")[0].split("-->")]
    drawn = {end.strip() for end in ends} - {"[*]"}
    assert drawn == {s.name for s in type(cls.INITIAL)}


# --- the import rules ----------------------------------------------------------------------------


def rules(contract: str, key: str) -> set[str]:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return set(parser[f"importlinter:contract:{contract}"][key].split())


MACHINE = {
    "controller.calibrate",
    "controller.check_tool",
    "controller.child",
    "controller.ending",
    "controller.exi_tool",
    "controller.hardware",
    "controller.hardware_parts",
    "controller.hardware_pev",
    "controller.ipc",
    "controller.ipc_door",
    "controller.listen",
    "controller.listener",
    "controller.listener.capture",
    "controller.loop",
    "controller.main",
    "controller.modem_run",
    "controller.modem_tool",
    "controller.netns",
    "controller.pib_tool",
    "controller.pigpio_link",
    "controller.pigpiod_tool",
    "controller.process",
    "controller.process_communication",
    "controller.process_site",
    "controller.scene",
    "controller.service",
    "controller.service_communication",
    "controller.service_link",
    "controller.service_realtime",
    "controller.service_trace",
    "controller.session_capture",
    "controller.session_folder",
    "controller.sim",
    "controller.sim_bench",
    "controller.sim_nodes",
    "controller.sim_parts",
    "controller.site",
    "controller.site_link",
    "controller.trace",
    "controller.view",
}
"""Modules that may touch the machine (files, clock, sockets, terminal), besides drivers."""


def is_driver(module: str) -> bool:
    return module.rpartition(".")[2].startswith("driver_")


def is_simulator(module: str) -> bool:
    last = module.rpartition(".")[2]
    return last == "sim" or last.startswith("sim_")


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_a_core_a_driver_or_named(module: str) -> None:
    cores = rules("cores", "source_modules")
    parents = {module.rsplit(".", n)[0] for n in range(module.count("."))}
    if is_driver(module):
        assert not cores & parents, "a driver within what is called a core"
        assert module in rules("drivers", "protected_modules")
        return
    if is_simulator(module):
        assert module in rules("simulators", "protected_modules")
    is_package = (PACKAGE.parent / module.replace(".", "/")).is_dir()
    if not is_package:
        assert bool(cores & parents) != (module in MACHINE), "name it in .importlinter, or above"


def test_no_rule_names_a_module_that_is_gone() -> None:
    named = rules("cores", "source_modules") | rules("drivers", "protected_modules")
    assert named | rules("simulators", "protected_modules") | MACHINE <= set(MODULES)
