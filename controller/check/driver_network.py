"""The modem's interface, and whether a modem answers there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import PortError
from controller.modem_run import Runner
from controller.plc import driver_interface
from controller.plc import manage_plans as plans
from controller.plc.driver_af_packet import AfPacketLink

if TYPE_CHECKING:
    from controller.plc.interface import InterfaceFacts

USUAL_NAME = "plc0"
"""What boot/10-ccs-plc.link calls it."""


def choose(wanted: str) -> tuple[InterfaceFacts | None, list[str]]:
    """Facts of the modem's interface (None: which is it?), and the names of all."""
    names = driver_interface.interfaces()
    name = wanted or (USUAL_NAME if USUAL_NAME in names else names[0] if len(names) == 1 else "")
    if not name:
        return None, names
    try:
        return driver_interface.read_facts(name), names
    except PortError:
        return None, names


def ask_modem(interface: str) -> tuple[list[str], str]:
    """Who answers on an interface, and why nobody could be asked; takes a second or two."""
    if not driver_interface.is_up(interface):
        return [], f"{interface} is down: nobody can be asked"
    try:
        link = AfPacketLink(interface)
    except PortError as error:
        return [], str(error)
    runner = Runner()
    runner.add(interface, link, plans.survey(None))
    try:
        runner.loop.run()
    finally:
        runner.close()
    if interface in runner.failures:
        return [], runner.failures[interface]
    modems = runner.results.get(interface, [])
    return [f"{m.mac.hex(':')} {m.chip.name} {m.firmware}".strip() for m in modems], ""
