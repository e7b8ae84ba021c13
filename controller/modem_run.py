"""Carries out management plans on real interfaces: one core an interface, all in one loop.

Ctrl-C ends at once and says what is left in the modem; only while the modem writes its flash memory
the first Ctrl-C waits for it, because that is the one moment in which going away does harm.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.errors import ConfigError, PortError
from controller.loop import Loop, Node, utc_stamp
from controller.plc import driver_interface, pib
from controller.plc import manage_plans as plans
from controller.plc.driver_af_packet import AfPacketLink
from controller.plc.manage import (
    KeepParameters,
    ManageDone,
    ManageFailed,
    Manager,
    Plan,
    Progress,
    Stage,
)
from controller.signals import Output, SendFrame

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from controller.plc.manage_plans import ModemInfo
    from controller.plc.port import FrameLink


class InterruptedPlanError(PortError):
    """Ctrl-C; the text says what is left in the modem."""


# --- running plans -------------------------------------------------------------------------------


class Runner:
    """Carries out one plan an interface; all links share a loop."""

    def __init__(self, backup: Path | None = None) -> None:
        self.loop = Loop()
        self.results: dict[str, Any] = {}
        self.failures: dict[str, str] = {}
        self.kept: Path | None = None
        self._backup = backup
        self._managers: dict[str, Manager] = {}
        self._links: list[FrameLink] = []
        self._interrupted = False
        self._bell, self._button = socket.socketpair()

    def add(self, name: str, link: FrameLink, plan: Plan) -> None:
        """Carry out `plan` on a link, under the name of its interface."""
        manager = Manager(link.mac, plan)
        node = Node(name, manager, lambda output, now: self._carry_out(name, link, output))
        self._managers[name] = manager
        self._links.append(link)

        def readable(now: float) -> None:
            try:
                while (frame := link.receive()) is not None:
                    node.finish(manager.receive_frame(frame, now), now)
            except PortError as error:
                self._failed(name, str(error))

        self.loop.watch(link.fileno(), readable)
        self.loop.add(node)

    def run(self) -> None:
        """Run until every plan has ended. Raises InterruptedPlanError after Ctrl-C."""
        if not self._managers:
            return
        self.loop.watch(self._bell.fileno(), self._rung)
        before = signal.signal(signal.SIGINT, lambda *_: self._button.send(b"!"))
        try:
            self.loop.run()
        finally:
            signal.signal(signal.SIGINT, before)
            self.close()
        if self._interrupted and self.failures:
            raise InterruptedPlanError("; ".join(self.failures.values()))

    def close(self) -> None:
        """Release every link."""
        for link in self._links:
            link.close()
        self._bell.close()
        self._button.close()
        self.loop.close()

    def _carry_out(self, name: str, link: FrameLink, output: Output) -> None:
        if isinstance(output, SendFrame):
            try:
                link.send(output.frame)
            except PortError as error:
                self._failed(name, str(error))
        elif isinstance(output, KeepParameters):
            self._keep(output)
        elif isinstance(output, Progress):
            note(f"{name}: {output.text}")
        elif isinstance(output, ManageFailed):
            self._failed(name, f"{name}: {output.reason}")
        elif isinstance(output, ManageDone):
            self.results[name] = output.result
            self._look_whether_all_ended()

    def _keep(self, output: KeepParameters) -> None:
        default = Path(f"modem-{output.mac.hex()}-{utc_stamp()}.pib")
        self.kept = self._backup or default
        write_new(self.kept, output.data)
        note(f"backup of its parameters: {self.kept}")

    def _failed(self, name: str, reason: str) -> None:
        if name not in self.failures:
            hint = f" (backup: {self.kept})" if self.kept and "backup" in reason else ""
            self.failures[name] = reason + hint
        self._managers[name].interrupt()
        self._look_whether_all_ended()

    def _look_whether_all_ended(self) -> None:
        if set(self._managers) <= set(self.results) | set(self.failures):
            self.loop.stop()

    def _rung(self, now: float) -> None:
        self._bell.recv(64)
        committing = [m for m in self._managers.values() if m.stage is Stage.COMMITTING]
        if committing and not self._interrupted:
            self._interrupted = True
            note("the modem writes its flash memory: waiting for it (Ctrl-C again: leave it)")
            return
        self._interrupted = True
        for name, manager in self._managers.items():
            for output in manager.interrupt():
                if isinstance(output, ManageFailed):
                    self._failed(name, f"{name}: {output.reason}")


def note(line: str) -> None:
    """Say what is going on, beside the answer."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, for this user alone (it holds keys), to the disk.

    Raises PortError.
    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise PortError(f"{path}: cannot be written ({error.strerror})") from None


def read_file(path: Path) -> bytes:
    """Read a parameter or firmware file whole. Raises PortError."""
    try:
        with path.open("rb") as file:
            data = file.read(pib.LONGEST_FILE + 1)
    except OSError as error:
        raise PortError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > pib.LONGEST_FILE:
        raise ConfigError(f"{path}: has more than {pib.LONGEST_FILE} bytes: no parameter file")
    return data


# --- which interface -----------------------------------------------------------------------------


def open_links(args: argparse.Namespace) -> dict[str, FrameLink]:
    """Open the named interface, or all on which frames can be sent. Raises PortError."""
    if args.interface:
        if not driver_interface.is_up(args.interface):
            driver_interface.read_facts(args.interface)  # no such interface: says so
            raise PortError(
                f"{args.interface}: the interface is down: ip link set {args.interface} up"
            )
        return {args.interface: AfPacketLink(args.interface)}
    names = [n for n in driver_interface.interfaces() if driver_interface.is_up(n)]
    if not names:
        raise PortError("no Ethernet interface is up: plug the modem in, or name one with -i")
    links: dict[str, FrameLink] = {}
    try:
        for name in names:
            links[name] = AfPacketLink(name)
    except PortError:
        for link in links.values():
            link.close()
        raise
    return links


def survey(args: argparse.Namespace) -> dict[str, list[ModemInfo]]:
    """Ask on every interface; those without a modem are left out. Raises PortError."""
    links = open_links(args)
    runner = Runner()
    for name, link in links.items():
        runner.add(name, link, plans.survey(args.modem))
    runner.run()
    found = {name: told for name, told in runner.results.items() if told}
    for reason in runner.failures.values():
        if not found:
            raise PortError(reason)
        note(reason)
    if not found:
        raise PortError(
            f"no modem answers on {', '.join(links)}: is it powered, is it connected, "
            "is it in its boot loader (ccs-pilot modem boot)?"
        )
    return found


def carry_out(args: argparse.Namespace, plan: Callable[[], Plan]) -> tuple[str, Any, Runner]:
    """Carry out a plan on the one interface that is meant. Raises PortError."""
    if not args.interface:
        found = survey(args)
        if len(found) > 1:
            raise PortError(f"modems answer on {', '.join(found)}: choose one with -i")
        (args.interface,) = found
    links = open_links(args)
    runner = Runner(getattr(args, "backup_to", None))
    for name, link in links.items():
        runner.add(name, link, plan())
    runner.run()
    for reason in runner.failures.values():
        raise PortError(reason)
    return args.interface, runner.results[args.interface], runner
