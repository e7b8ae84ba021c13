"""The simulated site as processes: `make run`, and a bench for real peers.

This process holds what is not controller: the world (pilot circuit, power hardware, car), the modem
pair, the clock, the terminal. It starts the charger's two processes and the car's, each with a
socket to here, and gives them their hardware.

Time. For `ccs-pilot sim` the site hands out time in steps of one realtime period: inputs and `now`
go to every process, and the next step waits until all have said "done" and the wall clock allows it
(`--speed`). So a busy machine makes the run longer; it never makes a protocol timer expire. For a
real peer (`evse`, `pev`) the machine's clock rules and nobody waits.

Links. With TAP devices each communication process lives in a network of its own and this process is
the wire between them: it reads Ethernet frames, gives them to the simulated modems, and writes what
comes out at the other side. Without the privileges, HomePlug frames go through a Unix socket and IP
through loopback.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller import __version__, ipc, netns, signals_json
from controller.errors import ControllerError, PortError, WireError
from controller.loop import NEVER, Loop, MonotonicClock, utc_stamp, wall_time
from controller.plc.driver_tap import open_tap
from controller.process import FAILED, READY, TAP_NAME
from controller.report import Report
from controller.signals import (
    EmergencyStop,
    Output,
    SendData,
    SendDatagram,
    SessionEnded,
    StationChanged,
    StopRequest,
)
from controller.trace import PcapngWriter, TraceWriter

if TYPE_CHECKING:
    from controller.config import CarConfig, ChargerConfig
    from controller.sim import World
    from controller.view import View

START_PATIENCE_S = 30.0
"""A process that is not ready by then (a very slow machine) ends the run."""
LONGEST_FRAME = 1514
SETTLE_S = 2.0
"""Session time between the end of the session and the end of the scene, or unplugging."""
PLUG_AT_S = 1.0
LONGEST_SESSION_S = 4 * 3600.0
GRACE_S = 60.0
"""Session time that a stop by the user may take before the site gives up waiting."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to be played."""

    charger: ChargerConfig
    car: CarConfig
    charger_file: Path | None
    car_file: Path | None
    sides: tuple[str, ...] = ("evse", "pev")
    link: str = "auto"
    """auto, tap, loopback, or the name of a real interface."""
    speed: float | None = None
    """Session seconds per wall second; None: the machine's clock (for real peers)."""
    until: str = "unplug"
    folder: Path | None = None
    seed: int = 1
    details: dict[str, Any] = field(default_factory=dict)


class Child:
    """One process of the site."""

    def __init__(self, name: str, command: list[str], fds: list[int], sock: socket.socket) -> None:
        self.name = name
        self.channel = ipc.Channel(sock, may_wait=True)
        self.waiting_for = False
        self.tap = -1
        self.process = subprocess.Popen(
            command, pass_fds=fds, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def wait_ready(self) -> None:
        """Wait for its first packet. Raises PortError with its reason when it cannot start."""
        self.channel.sock.settimeout(START_PATIENCE_S)
        try:
            packet, fds, _, _ = socket.recv_fds(self.channel.sock, 4096, 1)
        except TimeoutError:
            raise PortError(f"{self.name} did not start in {START_PATIENCE_S:g} s") from None
        finally:
            self.channel.sock.settimeout(None)
        if packet[:1] != READY:
            reason = packet[1:].decode(errors="replace") or "it ended at once"
            raise PortError(f"{self.name} cannot start: {reason}")
        self.tap = fds[0] if fds else -1

    def close(self) -> None:
        """End the process; it has a moment to do so by itself."""
        self.channel.close()
        try:
            self.process.wait(2.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
