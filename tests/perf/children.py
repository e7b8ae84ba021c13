"""The charger's processes without a site around them: started as `site` does, played from here."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from controller import ipc
from controller.loop import MonotonicClock
from controller.process_site import READY

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from controller.signals import Output

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0
PREFIX = "PYTHONPYCACHEPREFIX"
CLOCK = MonotonicClock()
"""The processes use the machine's clock here, and so do the inputs that we send them."""


@contextmanager
def compiled() -> Iterator[None]:
    """Let processes keep their compiled modules, as an installed program does, in a folder of ours.

    Otherwise a start where bytecode is not written measures the compiler. The first start fills the
    folder and is not to be counted.
    """
    before = {name: os.environ.get(name) for name in ("PYTHONDONTWRITEBYTECODE", PREFIX)}
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ[PREFIX] = folder
        try:
            yield
        finally:
            for name, text in before.items():
                os.environ.pop(name, None)
                if text is not None:
                    os.environ[name] = text


class NotMeasuredError(RuntimeError):
    """Something that should have been measured could not be."""


class Child:
    """One process; `channel` is our end of its socket to the site."""

    def __init__(self, name: str, half: socket.socket, *more: str) -> None:
        """`half` is its end of the socket between the charger's two halves."""
        near, far = ipc.pair()
        self.wire, wire_far = ipc.pair()
        fds = [far.fileno(), half.fileno(), wire_far.fileno()]
        self.name = name
        self.channel = ipc.Channel(near)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "controller.process", name, *map(str, fds), *more],
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
        )
        far.close()
        wire_far.close()

    def wait_ready(self) -> None:
        """Wait for its first packet; raises NotMeasuredError with its reason."""
        self.channel.sock.settimeout(PATIENCE_S)
        try:
            packet = self.channel.sock.recv(ipc.LARGEST)
        except TimeoutError:
            packet = b""
        self.channel.sock.settimeout(None)
        if packet[:1] != READY:
            raise NotMeasuredError(
                f"{self.name}: {packet[1:].decode(errors='replace') or 'did not start'}"
            )

    def send(self, item: Output) -> None:
        """Give it a signal, as the site does."""
        self.channel.send_signal(item)

    def resident_mib(self) -> float:
        """Memory that the process occupies now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024.0

    def close(self) -> None:
        """End it."""
        self.channel.close()
        try:
            self.process.wait(2.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.wire.close()
