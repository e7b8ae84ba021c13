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


def evse_command(interface: str, charger_file: Path = CHARGER_FILE) -> list[str]:
    """The charger: runs until it is interrupted."""
    return [*_PROGRAM, "evse", "--charger", str(charger_file), "--interface", interface]


def pev_command(interface: str, car_file: Path = CAR_FILE) -> list[str]:
    """The car: one session, then it ends."""
    return [*_PROGRAM, "pev", "--car", str(car_file), "--interface", interface]
