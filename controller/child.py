"""One process of the simulated site, seen from its parent: start, first word, end."""

from __future__ import annotations

import signal
import socket
import subprocess

from controller import ipc
from controller.errors import PortError
from controller.process_site import READY

START_PATIENCE_S = 30.0
"""A process that is not ready by then (a very slow machine) ends the run."""

TERMINAL = (signal.SIGINT, signal.SIGHUP)
"""What a terminal sends to all its processes: for the site, and for a child not even in the moment
before it has a session of its own."""


class Child:
    """A process, and the socket to it."""

    def __init__(self, name: str, command: list[str], fds: list[int], sock: socket.socket) -> None:
        self.name = name
        self.channel = ipc.Channel(sock)
        self.waiting_for = False
        self.silent_s = 0
        self.refused = ""
        """What the kernel did not let it have, in words."""
        self.tap = -1
        before = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL)
        try:
            self.process = subprocess.Popen(
                command, pass_fds=fds, stdin=subprocess.DEVNULL, start_new_session=True
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def wait_ready(self) -> None:
        """Wait for its first packet. Raises PortError with its reason when it cannot start."""
        self.channel.sock.settimeout(START_PATIENCE_S)
        try:
            packet, fds, _, _ = socket.recv_fds(self.channel.sock, 4096, 1)
        except TimeoutError:
            raise PortError(f"{self.name} did not start in {START_PATIENCE_S:g} s") from None
        finally:
            self.channel.sock.settimeout(None)
        words = packet[1:].decode(errors="replace")
        if packet[:1] != READY:
            raise PortError(f"{self.name} cannot start: {words or 'it ended at once'}")
        self.refused = words
        self.tap = fds[0] if fds else -1

    def close(self) -> None:
        """End the process; it has a moment to do so by itself."""
        self.channel.close()
        try:
            self.process.wait(2.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
