"""Our two commands and the files they are given: the only place that knows flags and settings.

Both sides run with simulated hardware. There is no modem on a veth pair, so both files say
`[plc] modem = "none"` and SLAC is skipped: the link is there as soon as the pilot is.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHARGER_FILE = Path(__file__).with_name("charger.toml")
CAR_FILE = Path(__file__).with_name("car.toml")

# The car's program ends by itself; its exit code 0 says: target reached, session ended in order.
PYTHON = sys.executable

_PROGRAM = (PYTHON, "-m", "controller.main")


def evse_command(interface: str, out: Path, charger_file: Path = CHARGER_FILE) -> list[str]:
    """The charger: one session; it may be interrupted at any time."""
    files = ["--charger", str(charger_file), "--out", str(out)]
    return [*_PROGRAM, "evse", *files, "--interface", interface]


def pev_command(interface: str, out: Path, car_file: Path = CAR_FILE) -> list[str]:
    """The car: one session, then it ends."""
    files = ["--car", str(car_file), "--out", str(out)]
    return [*_PROGRAM, "pev", *files, "--interface", interface]


def decode_command(capture: Path) -> list[str]:
    """The listener: what was said, one JSON object a line."""
    return [*_PROGRAM, "decode", "--json", str(capture)]
