"""The charger's pilot from the kernel's PWM: /sys/class/pwm (Pi 5, Debian 13, or by choice).

The period is set once and never again while the output is on; a new duty cycle is one write to
`duty_cycle`, which the PWM block takes over at the end of a period: no glitch. 100 % is duty equal
to period. An output that must be switched off (because somebody left another period in it) is held
at steady high for 2 ms before, so that the edge is where it was meant to be. A predecessor that was
killed left the channel exported and running: it is taken over as it is.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Protocol

from controller.errors import ConfigError, PortError
from controller.port import LastWish
from controller.signals import DUTY_STEADY_HIGH, DUTY_STEADY_LOW, DutyCycle

ROOT = Path("/sys/class/pwm")
PERIOD_NS = 1_000_000
HOLD_S = 0.002
"""Steady high for this long before the output is switched off (chargebyte's driver)."""
RETRY_S = 0.1
ROUNDING_NS = 500
"""Some blocks tell the duty cycle they could make; 0.05 % of the period is not another duty."""
VERIFY_S = 0.25
"""How often the files are read back: another program may have written them."""


@dataclass(frozen=True, slots=True)
class Block:
    """A PWM block of a Raspberry Pi: how the kernel names it, and which GPIO has which channel."""

    device: str
    """End of the device's name; its address on the bus is in it."""
    models: str
    channels: dict[int, int]


BLOCKS = (
    Block("1f00098000.pwm", "Pi 5 (RP1)", {12: 0, 13: 1, 18: 2, 19: 3}),
    Block("20c000.pwm", "Pi 4 and older", {12: 0, 13: 1, 18: 0, 19: 1}),
)
"""The kernel numbers chips as it finds them (a Pi 5 had pwmchip2, later pwmchip0), so a chip is
known by its device."""
OVERLAY_FUNCTION = {12: 4, 13: 4, 18: 2, 19: 2}
"""`func=` of the overlay `pwm`: alternate function 0 or 5 of the GPIO."""


class Files(Protocol):
    """Reading and writing of sysfs; a test emulates the kernel behind it. Raises OSError."""

    def names(self, directory: Path) -> list[str]:
        """Names in a directory."""

    def read(self, path: Path) -> str:
        """Whole text, stripped."""

    def write(self, path: Path, text: str) -> None:
        """Write at once; the file must exist."""

    def device_of(self, chip: Path) -> str:
        """Name of the device behind a chip."""


class SysFiles:
    """The kernel's files."""

    def names(self, directory: Path) -> list[str]:
        """Names in a directory."""
        return sorted(os.listdir(directory))

    def read(self, path: Path) -> str:
        """Whole text, stripped."""
        return path.read_text("ascii").strip()

    def write(self, path: Path, text: str) -> None:
        """Write at once; the file must exist."""
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, text.encode("ascii"))
        finally:
            os.close(descriptor)

    def device_of(self, chip: Path) -> str:
        """Name of the device behind a chip."""
        return (chip / "device").resolve().name


def overlay_advice(gpio: int) -> str:
    """What to write where, so that the kernel makes PWM on this GPIO."""
    return (
        f'add "dtoverlay=pwm,pin={gpio},func={OVERLAY_FUNCTION[gpio]}" to '
        '/boot/firmware/config.txt, remove "dtparam=audio=on" there, and reboot'
    )


def find_channel(gpio: int, root: Path, files: Files) -> tuple[Path, int]:
    """Find the chip and channel of a GPIO. Raises ConfigError, or PortError with what to do."""
    if gpio not in OVERLAY_FUNCTION:
        raise ConfigError(
            f"pilot_pwm on GPIO {gpio}: a Raspberry Pi has hardware PWM on GPIO "
            f"{', '.join(str(pin) for pin in OVERLAY_FUNCTION)} only"
        )
    try:
        chips = [root / name for name in files.names(root) if name.startswith("pwmchip")]
    except OSError:
        chips = []
    seen = []
    for chip in chips:
        device = files.device_of(chip)
        seen.append(f"{chip.name}: {device}")
        for block in BLOCKS:
            if device.endswith(block.device):
                return chip, block.channels[gpio]
    found = f" (found {', '.join(seen)})" if seen else ""
    raise PortError(f"no PWM of a Raspberry Pi in {root}{found}: {overlay_advice(gpio)}")


def _is_near(found_ns: int, meant_ns: int) -> bool:
    return abs(found_ns - meant_ns) <= ROUNDING_NS


class KernelPwmPilot:
    """`PilotPort` on a channel in /sys/class/pwm."""

    def __init__(self, gpio: int, root: Path = ROOT, files: Files | None = None) -> None:
        """Find the channel; `step` sets it up. Raises ConfigError, PortError."""
        self._files = files or SysFiles()
        self._gpio = gpio
        self._chip, self._number = find_channel(gpio, root, self._files)
        self._channel = self._chip / f"pwm{self._number}"
        self._duty_ns = PERIOD_NS
        self._ready = False
        self._held_since: float | None = None
        self._next_at = -inf
        self._reason = "not set up yet"

    def set_duty(self, duty: DutyCycle) -> None:
        """Drive the pilot; what is no fraction is steady +12 V."""
        valid = DUTY_STEADY_LOW <= duty <= DUTY_STEADY_HIGH
        self._duty_ns = round((duty if valid else DUTY_STEADY_HIGH) * PERIOD_NS)
        if self._ready:
            try:
                self._put("duty_cycle", self._duty_ns)
            except OSError as error:
                self._broken(error)

    def step(self, now: float) -> None:
        """Set up (a few periods after an export), then verify now and then."""
        if now < self._next_at:
            return
        try:
            if self._ready:
                self._next_at = now + VERIFY_S
                self._verify()
            else:
                self._set_up(now)
        except (OSError, ValueError) as error:
            self._broken(error)
            self._next_at = now + RETRY_S

    @property
    def is_known(self) -> bool:
        """Whether the channel is set up and was last found as told."""
        return self._ready

    def problem(self) -> str:
        """Say why the pilot is not known, or nothing."""
        return "" if self._ready else f"pilot on GPIO {self._gpio}: {self._reason}"

    def close(self) -> None:
        """Leave steady +12 V; the channel stays exported and on, so that there is no edge."""
        self.set_duty(DUTY_STEADY_HIGH)

    def last_wish(self) -> LastWish:
        """Steady +12 V: the channel stays on, and the file takes a duty cycle from anybody."""
        return LastWish(files=((str(self._channel / "duty_cycle"), str(PERIOD_NS)),))

    # --- inside ---------------------------------------------------------------------------------

    def _put(self, name: str, value: object) -> None:
        self._files.write(self._channel / name, str(value))

    def _get(self, name: str) -> str:
        return self._files.read(self._channel / name)

    def _set_up(self, now: float) -> None:
        """One stride of the set-up; returns early when the kernel or the pin needs time."""
        if self._channel.name not in self._files.names(self._chip):
            self._export()
            return  # udev sets the permissions a moment later
        period_ns, enabled = int(self._get("period")), self._get("enable") == "1"
        normal = self._get("polarity") == "normal"
        if enabled and not (normal and _is_near(period_ns, PERIOD_NS)):
            if not self._held_high(now, period_ns if normal else 0):
                return
            self._put("enable", 0)
            enabled = False
        if not enabled:
            if period_ns:  # else the kernel refuses everything but a period
                self._put("duty_cycle", 0)  # a period below the duty cycle is refused, too
            self._put("period", PERIOD_NS)
            if not normal:
                self._put("polarity", "normal")
        self._put("duty_cycle", self._duty_ns)
        if not enabled:
            self._put("enable", 1)
        self._ready, self._reason, self._held_since = True, "", None

    def _held_high(self, now: float, duty_ns: int) -> bool:
        if self._held_since is None:
            self._put("duty_cycle", duty_ns)
            self._held_since = now
        return now - self._held_since >= HOLD_S

    def _export(self) -> None:
        if self._number >= int(self._files.read(self._chip / "npwm")):
            raise PortError(f"{self._chip.name} has no channel {self._number}")
        try:
            self._files.write(self._chip / "export", str(self._number))
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise PortError(
                    f"{self._chip.name} channel {self._number} is in use by another driver of the "
                    "kernel; remove its overlay"
                ) from error
            raise

    def _verify(self) -> None:
        as_told = (
            self._get("enable") == "1"
            and self._get("polarity") == "normal"
            and _is_near(int(self._get("period")), PERIOD_NS)
            and _is_near(int(self._get("duty_cycle")), self._duty_ns)
        )
        if not as_told:
            raise PortError("another program changed it")

    def _broken(self, error: OSError | ValueError) -> None:
        """Remember what is wrong; the next `step` begins anew."""
        self._ready, self._held_since = False, None
        self._next_at = -inf
        if isinstance(error, PortError | ValueError):
            self._reason = str(error)
        elif error.errno in (errno.EACCES, errno.EPERM):
            self._reason = (
                f"no permission to write in {self._channel}: run as a service, or add the user to "
                "the group gpio"
            )
        elif error.errno in (errno.ENOENT, errno.ENODEV):
            self._reason = f"{self._channel} is gone: {overlay_advice(self._gpio)}"
        else:
            self._reason = f"{self._channel}: {error.strerror}"
