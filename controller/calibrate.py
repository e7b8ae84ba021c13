"""`ccs-pilot calibrate`: correct the measured pilot levels of a charger, resistor by resistor.

Opens the pilot and its converter as the charger's file names them, and nothing else: no contactor,
no module. Each step drives a steady level, waits until the peak detectors stand still, and takes
some dozens of readings; what is noisy is measured again, what is not plausible is refused with what
was expected. The file is written at the very end and at once, or not at all. However this ends, the
pilot is at steady +12 V.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import socket
import subprocess
import sys
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from controller import board as boards
from controller.config import ChargerConfig, load
from controller.cp import calibration
from controller.cp.calibration import LOADS, Calibration, Load, Point
from controller.ending import like_ctrl_c
from controller.errors import ConfigError, PortError
from controller.hardware import open_pilot
from controller.hardware_parts import STRIDE_S, RealTime
from controller.loop import utc_stamp
from controller.power.pins import check_board

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.hardware import PilotParts
    from controller.hardware_parts import Time
    from controller.signals import PilotSample

OK, REFUSED = 0, 1
READINGS = 30
SETTLE_S = 0.4
"""The detectors droop with 30 ms; from +12 V to -12 V that takes some 0.15 s."""
MEASURE_S = 3.0
"""A converter that has not given its readings by then does not work."""
QUIET_V = 0.15
"""Largest spread of the readings of a steady level."""
TRIES = 3
PLAUSIBLE_V = 1.4
"""Half of what lies between two states: the wrong resistor is further away."""
PULSE_DUTY = 0.05
PULSE_HIGH_V = 1.2
PULSE_LOW_V = 0.6
"""How far the peaks at 5 % may lie from the steady levels: the positive detector droops between
pulses (0.9 V at 12 V with the parts of hw_docs), the negative one hardly."""
SWITCH_S = 30.0

EXAMPLES = """\
examples:
  ccs-pilot calibrate --charger charger.toml                    guided; writes what the file names
  ccs-pilot calibrate --charger charger.toml --out cal.toml     writes there
  ccs-pilot calibrate --charger charger.toml --diode            the loads are behind a diode
  ccs-pilot calibrate --charger charger.toml --yes --switch ./relays.sh --out cal.toml
                      asks nothing; ./relays.sh is called with open, b, c, d, short, low, pulses

needed: resistors of 2.74 kOhm, 1.3 kOhm and 270 Ohm (1 % or better), a piece of wire, and best a
voltmeter between CP and PE: type what it shows, or press Enter to take the value of a good
generator. Stop the charger first (systemctl stop ccs-realtime). No contactor is closed.

exit code: 0 written; 1 refused, no file; 2 not begun, the line says why;
130 Ctrl-C or SIGTERM, no file"""


class RefusedError(Exception):
    """A measurement that cannot be used; the text says what was expected and seen."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Mean of some dozens of samples."""

    high_v: float
    low_v: float
    spread_v: float


class Talk:
    """The dialogue with the person at the resistors."""

    def __init__(self, ask: Callable[[str], str] | None = None) -> None:
        self._ask = ask or input

    def say(self, line: str) -> None:
        """Print one line at once."""
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def connect(self, step: Load, expected_v: float) -> float:
        """Let the load be connected; returns the voltage that is there, in volts."""
        self.say(f"\n{step.name}: {step.what} between CP and PE")
        while True:
            try:
                words = self._ask(f"  what the meter shows (Enter: {expected_v:.2f} V): ").strip()
            except EOFError as error:
                raise RefusedError("nobody answers (end of the input)") from error
            if not words:
                return expected_v
            with contextlib.suppress(ValueError):
                volts = float(words.removesuffix("V").replace(",", ".").strip())
                if isfinite(volts) and abs(volts - expected_v) <= PLAUSIBLE_V:
                    return volts
            self.say(f"  {words!r}: not plausible here; a voltage near {expected_v:.2f} V")

    def leave(self, step: Load) -> None:
        """Tell of a step that needs the same load as the one before."""
        self.say(f"\n{step.name}: {step.what} between CP and PE, as before")

    def again(self, why: str) -> bool:
        """Say what is wrong; return whether to measure this step again."""
        self.say(f"  {why}")
        try:
            return self._ask("  again? (Enter: yes, n: stop): ").strip().lower() not in ("n", "no")
        except EOFError:
            return False


class Switched(Talk):
    """Nobody to talk to: a program connects the loads."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._words = shlex.split(program)

    def connect(self, step: Load, expected_v: float) -> float:
        """Call the program with the step's name."""
        self.say(f"\n{step.name}: {step.what}")
        command = [*self._words, step.name]
        try:
            subprocess.run(command, check=True, timeout=SWITCH_S, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.SubprocessError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise RefusedError(f"{shlex.join(command)}: {reason}") from error
        return expected_v

    def leave(self, step: Load) -> None:
        """Call the program."""
        self.connect(step, 0.0)

    def again(self, why: str) -> bool:
        """Nobody can change anything."""
        return False


class Procedure:
    """Measures every load, one after the other, on an opened pilot."""

    def __init__(self, parts: PilotParts, talk: Talk, time: Time, *, diode: bool) -> None:
        self._parts = parts
        self._talk = talk
        self._time = time
        self._diode = diode

    def run(self, converter: str) -> Calibration:
        """Go through all steps. Raises RefusedError, PortError, ConfigError."""
        points = [self._point(step) for step in LOADS]
        try:
            found = calibration.fit(points, converter, utc_stamp())
        except ConfigError as error:
            other = "not behind a diode: without" if self._diode else "behind a diode:"
            raise RefusedError(f"{error}; or are the loads {other} --diode?") from error
        self._check_pulses(found)
        return found

    def _point(self, step: Load) -> Point:
        expected_v = step.expected_v(self._diode)
        while True:
            self._parts.pilot.set_duty(step.duty)
            actual_v = self._talk.connect(step, expected_v)
            try:
                reading = self._steady(step, actual_v)
            except RefusedError as error:
                if not self._talk.again(str(error)):
                    raise
                continue
            self._talk.say(
                f"  {actual_v:+.2f} V: cp_high shows {reading.high_v:+.2f} V, "
                f"cp_low {reading.low_v:+.2f} V"
            )
            return Point(step.name, actual_v, reading.high_v, reading.low_v)

    def _steady(self, step: Load, actual_v: float) -> Reading:
        """Measure until it is quiet, and see whether it can be what it is meant to be."""
        for _ in range(TRIES):
            reading = self.measure(step.duty)
            if reading.spread_v <= QUIET_V:
                break
            self._talk.say(f"  noisy ({reading.spread_v:.2f} V between readings), again")
        else:
            raise RefusedError(
                f"{step.name}: the readings differ by {reading.spread_v:.2f} V, at most "
                f"{QUIET_V:g} V is usable: is the load held firmly, and no modem transmitting?"
            )
        for name, seen_v in (("cp_high", reading.high_v), ("cp_low", reading.low_v)):
            if abs(seen_v - actual_v) > PLAUSIBLE_V:
                raise RefusedError(
                    f"{step.name}: expected about {actual_v:+.2f} V with {step.what} between CP "
                    f"and PE, {name} shows {seen_v:+.2f} V"
                )
        return reading

    def _check_pulses(self, found: Calibration) -> None:
        """At 5 % the detectors must hold the peaks; this makes no point of the line."""
        step = Load("pulses", "nothing", float("inf"), PULSE_DUTY)
        self._parts.pilot.set_duty(PULSE_DUTY)
        self._talk.leave(step)
        reading = self.measure(PULSE_DUTY)
        top = next(p for p in found.points if p.load == "open").actual_v
        bottom = next(p for p in found.points if p.load == "low").actual_v
        high_v, low_v = found.high.apply(reading.high_v), found.low.apply(reading.low_v)
        self._talk.say(f"  peaks {high_v:+.2f} V and {low_v:+.2f} V")
        if abs(high_v - top) > PULSE_HIGH_V or abs(low_v - bottom) > PULSE_LOW_V:
            raise RefusedError(
                f"pulses: at 5 % the peaks are expected near {top:+.2f} V and {bottom:+.2f} V, "
                f"and show {high_v:+.2f} V and {low_v:+.2f} V: the peak detectors do not hold them"
            )

    def measure(self, duty: float) -> Reading:
        """Drive this, let it settle, and average."""
        self._parts.pilot.set_duty(duty)
        settled_at = self._time.now() + SETTLE_S
        give_up_at = settled_at + MEASURE_S
        samples: list[PilotSample] = []
        while len(samples) < READINGS:
            self._time.pause(STRIDE_S)
            now = self._time.now()
            self._parts.step(now)
            sample = self._parts.levels.read(now)
            if sample.taken_at >= settled_at and (
                not samples or sample.taken_at > samples[-1].taken_at
            ):
                samples.append(sample)
            if now > give_up_at:
                raise PortError(self._parts.problem() or "pilot: its levels are not measured")
        highs, lows = [s.high_v for s in samples], [s.low_v for s in samples]
        return Reading(
            sum(highs) / READINGS,
            sum(lows) / READINGS,
            max(max(highs) - min(highs), max(lows) - min(lows)),
        )


# --- the command ---------------------------------------------------------------------------------


def add_arguments_calibrate(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `calibrate`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Correct the measured pilot levels of a charger: known resistors between CP and PE, one "
        "after the other."
    )
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--charger", type=Path, required=True, metavar="FILE", help="charger file (TOML)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="file to write (default: [hardware] calibration)"
    )
    parser.add_argument(
        "--diode", action="store_true", help="the loads are behind a diode, as in a vehicle"
    )
    parser.add_argument(
        "--yes", action="store_true", help="ask nothing (with --switch), overwrite the file"
    )
    parser.add_argument(
        "--switch", metavar="PROGRAM", help="connects the load whose name it is called with"
    )


def run_calibrate(args: argparse.Namespace) -> int:
    """Calibrate, guided or by a program."""
    config = load(ChargerConfig, args.charger)
    path = _path(args, config)
    if args.yes and not args.switch:
        raise ConfigError("--yes needs --switch PROGRAM: who else connects the loads?")
    _check_stopped(config)
    talk = Switched(args.switch) if args.switch else Talk()
    with like_ctrl_c():
        return calibrate(config, path, talk, RealTime(), diode=args.diode)


def calibrate(
    config: ChargerConfig, path: Path, talk: Talk, time: Time, *, diode: bool = False
) -> int:
    """Open the pilot, go through the steps, write the file; returns the exit code."""
    name = config.hardware.board
    board = boards.load(Path(name) if name else None)
    check_board(board.evse, ac=False, name=name or "the board")
    parts = open_pilot(config, board.evse, Calibration(), time)
    try:
        found = Procedure(parts, talk, time, diode=diode).run(config.hardware.adc)
    except (RefusedError, ConfigError, PortError) as error:
        sys.stderr.write(f"ccs-pilot calibrate: {error}; no file was written\n")
        return REFUSED
    finally:
        parts.close()
    write_at_once(path, calibration.render(found))
    for line in summary(found, path):
        talk.say(line)
    return OK


def _path(args: argparse.Namespace, config: ChargerConfig) -> Path:
    """Where to write. Raises ConfigError before anything is driven."""
    name = args.out or config.hardware.calibration
    if not str(name):
        raise ConfigError(
            "where to? give --out FILE, or name the file in the charger file: "
            '[hardware] calibration = "/etc/ccs-pilot/calibration.toml"'
        )
    path = Path(name)
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"{path}: no permission to write into {path.parent}")
    if path.exists() and not args.yes and args.switch:
        raise ConfigError(f"{path} exists: add --yes to overwrite it")
    return path


def _check_stopped(config: ChargerConfig) -> None:
    """Two programs must not drive one pilot. Raises ConfigError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        try:
            sock.connect(config.realtime.socket)
        except OSError:
            return
    raise ConfigError(
        f"the charger is running ({config.realtime.socket} answers): stop it first "
        "(systemctl stop ccs-realtime)"
    )


def write_at_once(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises PortError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise PortError(f"{path}: cannot be written: {error.strerror}") from error


def summary(found: Calibration, path: Path) -> list[str]:
    """What was found, for a person."""
    lines = ["", "         actual   cp_high    cp_low  (corrected)"]
    for point in found.points:
        high_v, low_v = found.high.apply(point.high_v), found.low.apply(point.low_v)
        lines.append(f"{point.load:7}{point.actual_v:+8.2f}{high_v:+10.2f}{low_v:+10.2f}")
    for name, correction in (("cp_high", found.high), ("cp_low", found.low)):
        lines.append(f"{name}: gain {correction.gain:.4f}, offset {correction.offset_v:+.3f} V")
    lines.append(f"largest deviation {found.residual_v:.3f} V; written to {path}")
    lines.append(f'in the charger file: [hardware] calibration = "{path}"')
    return lines
