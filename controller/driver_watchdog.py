"""The machine's own watchdog (/dev/watchdog): a Pi whose kernel or loop stands still starts again.

Not the safety watchdog on a GPIO, which drops the contactors within 20 ms: this one brings a dead
controller back. It is fed by the realtime loop after complete periods, a few times within its
time-out, and given back with the "magic close" of the kernel's watchdog API, so that an orderly end
does not restart the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct

from controller.errors import PortError

WDIOC_SETTIMEOUT = 0xC0045706
"""Linux uapi watchdog.h: _IOWR('W', 6, int), seconds."""
MAGIC_CLOSE = b"V"
TIMEOUT_S = 10
"""The Pi's own (bcm2835_wdt) counts to 15 s at most."""
FEED_S = 2.0
"""Time between two feedings: four may be lost."""


class Watchdog:
    """One watchdog device, armed from the start. Raises PortError when it cannot be had."""

    def __init__(self, path: str, now: float) -> None:
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise PortError(
                f"{path}: the watchdog cannot be opened: {error.strerror} "
                '(another program may hold it; realtime.watchdog = "" does without)'
            ) from error
        self.timeout_s = self._set_timeout(path)
        self._feed_at = now
        self.missed = 0
        """Feedings that the device refused."""

    def _set_timeout(self, path: str) -> int:
        seconds = bytearray(struct.pack("i", TIMEOUT_S))
        try:
            fcntl.ioctl(self._fd, WDIOC_SETTIMEOUT, seconds)
        except OSError as error:
            self.close()
            raise PortError(f"{path}: no time-out of {TIMEOUT_S} s: {error.strerror}") from error
        return int(struct.unpack("i", seconds)[0])

    def feed(self, now: float) -> None:
        """Feed it if it is time; call after each complete period."""
        if now < self._feed_at:
            return
        self._feed_at = now + FEED_S
        try:
            os.write(self._fd, b"\0")
        except OSError:
            self.missed += 1

    def close(self) -> None:
        """Disarm it (unless the kernel was built to forbid that) and give it back."""
        with contextlib.suppress(OSError):
            os.write(self._fd, MAGIC_CLOSE)
        with contextlib.suppress(OSError):
            os.close(self._fd)
