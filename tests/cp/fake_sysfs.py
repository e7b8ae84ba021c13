"""/sys/class/pwm as the kernel keeps it, in memory: its rules, its errors, and what the pin does.

Rules as in drivers/pwm/sysfs.c and core.c of Linux 6.1: nothing may be applied while the period is
0, no duty cycle above the period, no polarity while the output is on, a channel is exported once.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path("/sys/class/pwm")


def fail(code: int) -> OSError:
    return OSError(code, os.strerror(code))


@dataclass
class Channel:
    period: int = 0
    duty_cycle: int = 0
    enable: int = 0
    polarity: str = "normal"
    exported: bool = False
    used_by_kernel: bool = False


@dataclass
class FakeSysfs:
    """`Files` with one chip. `log` holds every write that was accepted, with the time of `now`."""

    device: str = "fe20c000.pwm"
    chip: str = "pwmchip0"
    channels: list[Channel] = field(default_factory=lambda: [Channel(), Channel()])
    gone: bool = False
    forbidden: bool = False
    now: float = 0.0
    log: list[tuple[float, str, str]] = field(default_factory=list)

    def names(self, directory: Path) -> list[str]:
        if self.gone:
            raise fail(errno.ENOENT)
        if directory == ROOT:
            return [self.chip]
        if directory != ROOT / self.chip:
            raise fail(errno.ENOENT)
        exported = [f"pwm{n}" for n, channel in enumerate(self.channels) if channel.exported]
        return ["export", "npwm", "unexport", *exported]

    def device_of(self, chip: Path) -> str:
        return self.device if chip == ROOT / self.chip else ""

    def read(self, path: Path) -> str:
        if self.gone:
            raise fail(errno.ENOENT)
        if path == ROOT / self.chip / "npwm":
            return str(len(self.channels))
        return str(getattr(self._channel(path), path.name))

    def write(self, path: Path, text: str) -> None:
        if self.gone:
            raise fail(errno.ENODEV)
        if self.forbidden:
            raise fail(errno.EACCES)
        if path == ROOT / self.chip / "export":
            self._export(int(text))
        else:
            self._apply(self._channel(path), path.name, text)
        self.log.append((self.now, path.name, text))

    def _export(self, number: int) -> None:
        if number >= len(self.channels):
            raise fail(errno.ENODEV)
        channel = self.channels[number]
        if channel.exported or channel.used_by_kernel:
            raise fail(errno.EBUSY)
        channel.exported = True

    def _channel(self, path: Path) -> Channel:
        name = path.parent.name
        number = int(name.removeprefix("pwm")) if name.startswith("pwm") else -1
        if path.parent.parent != ROOT / self.chip or not 0 <= number < len(self.channels):
            raise fail(errno.ENOENT)
        if not self.channels[number].exported:
            raise fail(errno.ENOENT)
        return self.channels[number]

    def _apply(self, channel: Channel, name: str, text: str) -> None:
        if name == "polarity":
            if text not in ("normal", "inversed"):
                raise fail(errno.EINVAL)
            if channel.enable:
                raise fail(errno.EBUSY)
            period, duty_cycle = channel.period, channel.duty_cycle
        else:
            wanted = {"period": channel.period, "duty_cycle": channel.duty_cycle, name: int(text)}
            period, duty_cycle = wanted["period"], wanted["duty_cycle"]
        if not period or duty_cycle > period:
            raise fail(errno.EINVAL)
        setattr(channel, name, text if name == "polarity" else int(text))

    # --- the pin ---------------------------------------------------------------------------------

    def pin(self, number: int) -> tuple[float, float]:
        """Frequency in hertz and duty cycle of the pin; 0 Hz while it is steady."""
        channel = self.channels[number]
        if not channel.enable or not channel.period:
            return 0.0, 0.0
        duty = channel.duty_cycle / channel.period
        duty = duty if channel.polarity == "normal" else 1.0 - duty
        return (1e9 / channel.period if 0.0 < duty < 1.0 else 0.0), duty
