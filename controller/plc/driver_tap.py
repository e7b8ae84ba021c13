"""A TAP device: a network interface of this machine whose wire is this process.

The simulator puts one before each simulated modem, and a modem on SPI is bridged into one. What the
kernel sends on the interface is received here, all ethertypes, and the other way round. It lives in
the network namespace in which it was opened.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys
from typing import TYPE_CHECKING

from controller.errors import PortError

if TYPE_CHECKING:
    from pytun import TunTapDevice

DEVICE = "/dev/net/tun"
RECEIVE_SIZE = 2048
TUNSETCARRIER = 0x400454E2
"""ioctl: link up or down (linux/if_tun.h)."""


class TapLink:
    """A FrameLink whose far side is the interface `name`, up and with the address `mac`."""

    def __init__(self, name: str, mac: bytes | None = None) -> None:
        self.name = name
        self._device = _open(name)
        try:
            if mac is not None:
                self._device.hwaddr = mac
            self._device.up()
            os.set_blocking(self._device.fileno(), False)
        except OSError as e:
            self._device.close()
            raise PortError(f"{name}: cannot bring the TAP device up: {_text(e)}") from e
        self.mac: bytes = bytes(self._device.hwaddr)
        self._closed = False

    def fileno(self) -> int:
        """File descriptor that is readable when the kernel sent a frame."""
        return int(self._device.fileno())

    def send(self, frame: bytes) -> None:
        """Let the kernel receive one frame; lost when the interface is down. Raises PortError."""
        try:
            os.write(self.fileno(), frame)
        except BlockingIOError:
            return  # the kernel's queue is full: Ethernet loses frames, too
        except OSError as e:
            raise PortError(f"{self.name}: cannot send into the TAP device: {_text(e)}") from e

    def receive(self) -> bytes | None:
        """Next frame that the kernel sent, or None. Raises PortError when the device is gone."""
        try:
            return os.read(self.fileno(), RECEIVE_SIZE)
        except BlockingIOError:
            return None
        except OSError as e:
            raise PortError(f"{self.name}: the TAP device is gone: {_text(e)}") from e

    def set_carrier(self, up: bool) -> None:
        """Show the interface with or without a link (kernels before 4.18 cannot: no error)."""
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.fileno(), TUNSETCARRIER, struct.pack("@i", up))

    def close(self) -> None:
        """Remove the device; closing twice is allowed."""
        if not self._closed:
            self._closed = True
            self._device.close()


def open_tap(name: str, mac: bytes | None = None) -> TapLink:
    """Make the TAP device `name` in the present network namespace. Raises PortError.

    It lives until it is closed, or dropped: keep it (or a copy of its descriptor).
    """
    return TapLink(name, mac)


def why_no_tap() -> str:
    """Say why no TAP device can be opened here, or nothing if it looks as if one could."""
    try:
        import pytun  # noqa: F401  (built from source: many machines have none)
    except ImportError:
        return (
            "python-pytun is not installed (where no wheel fits it wants a C compiler and "
            f"python3-dev; then: {sys.executable} -m pip install python-pytun)"
        )
    try:
        os.close(os.open(DEVICE, os.O_RDWR))
    except FileNotFoundError:
        return f"{DEVICE} does not exist: sudo modprobe tun"
    except PermissionError:
        return f"{DEVICE} may not be opened by this user: run as root"
    except OSError as e:
        return f"{DEVICE} does not open: {_text(e)}"
    return ""


def _open(name: str) -> TunTapDevice:
    why = why_no_tap()
    if why:
        raise PortError(why)
    import pytun

    try:
        return pytun.TunTapDevice(name=name, flags=pytun.IFF_TAP | pytun.IFF_NO_PI)
    except (OSError, pytun.Error) as e:
        raise PortError(
            f"{name}: {_text(e)} (it needs the capability CAP_NET_ADMIN: run as "
            "root; or the name is taken)"
        ) from e


def _text(error: Exception) -> str:
    return str(error.args[-1]) if error.args else str(error)
