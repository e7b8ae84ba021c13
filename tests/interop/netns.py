"""Two network namespaces joined by a veth pair, with IPv6 link-local addresses and nothing else.

Their names carry our process number, so several runs on one machine do not meet, and the
leavings of a run that was killed are recognised (its process is gone) and removed by the next one.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.process import wait_until

PREFIX = "ccs-interop"
EVSE_INTERFACE = "veth-evse"
PEV_INTERFACE = "veth-pev"
COMMAND_S = 10.0
DAD_S = 10.0  # duplicate address detection takes 1 to 2 s


class LinkError(Exception):
    """The kernel or the rights do not give us the link."""


@dataclass(frozen=True, slots=True)
class End:
    """One end of the link: a namespace and the interface in it."""

    namespace: str
    interface: str

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs a program inside the namespace."""
        return ["ip", "netns", "exec", self.namespace, *arguments]

    def has_address(self) -> bool:
        """Whether the link-local address is there and no longer tentative."""
        shown = _ip("-n", self.namespace, "-6", "-o", "addr", "show", "dev", self.interface)
        if "dadfailed" in shown:
            raise LinkError(f"{self.interface}: duplicate address")
        return "fe80:" in shown and "tentative" not in shown

    def listens_on_udp(self, port: int) -> bool:
        """Whether some process in the namespace has bound the UDP port."""
        rows = _run(self.command("cat", "/proc/net/udp6")).splitlines()[1:]
        return any(row.split()[1].endswith(f":{port:04X}") for row in rows)


def obstacle() -> str | None:
    """Why no link can be made here, and what to do about it; None when it can."""
    if os.geteuid() != 0:
        return "network namespaces need root: run it with sudo"
    if shutil.which("ip") is None:
        return "the program ip is missing: install iproute2"
    try:
        with _namespaces("probe"):
            return None
    except LinkError as error:
        return f"this machine refuses network namespaces ({error}): run it outside the container"


@contextmanager
def link() -> Iterator[tuple[End, End]]:
    """The charger's end and the car's end, both with a usable address; removed afterwards."""
    _sweep()
    with _namespaces("evse", "pev") as (evse_namespace, pev_namespace):
        evse = End(evse_namespace, EVSE_INTERFACE)
        pev = End(pev_namespace, PEV_INTERFACE)
        _ip(
            *("link", "add", evse.interface, "netns", evse.namespace, "type", "veth"),
            *("peer", "name", pev.interface, "netns", pev.namespace),
        )
        for end in (evse, pev):
            _ip("-n", end.namespace, "link", "set", "lo", "up")
            _ip("-n", end.namespace, "link", "set", end.interface, "up")
        if not wait_until(lambda: evse.has_address() and pev.has_address(), DAD_S):
            raise LinkError(f"no link-local address after {DAD_S:g} s: is IPv6 switched off?")
        yield evse, pev


@contextmanager
def _namespaces(*roles: str) -> Iterator[list[str]]:
    names = [f"{PREFIX}-{os.getpid()}-{role}" for role in roles]
    try:
        for name in names:
            _ip("netns", "add", name)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _sweep() -> None:
    """Remove namespaces whose run was killed."""
    for name in re.findall(rf"^{PREFIX}-\d+-\w+", _ip("netns", "list"), re.MULTILINE):
        if not Path("/proc", name.split("-")[2]).exists():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _ip(*arguments: str) -> str:
    return _run(["ip", *arguments])


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=COMMAND_S
        )
    except subprocess.TimeoutExpired as error:
        raise LinkError(f"{' '.join(command)}: no end after {COMMAND_S:g} s") from error
    if done.returncode != 0:
        raise LinkError(done.stderr.strip() or f"{' '.join(command)}: exit code {done.returncode}")
    return done.stdout
