"""Prepare the virtual environment: python tools/prepare.py .venv

Standard library only: it runs before anything is installed, as an ordinary user. `python-pytun` has
no wheels; without a C compiler everything else is installed and the simulated site uses loopback
instead of TAP devices.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

OLDEST = (3, 11)


def main(folder: str) -> int:
    """Build or refresh `folder`; returns the exit code."""
    if sys.version_info < OLDEST:
        return _fail(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    target = Path(folder)
    say(f"preparing {folder} with Python {sys.version.split()[0]} (once; about a minute)")
    try:
        if not (target / "bin" / "python").exists():
            venv.create(target, with_pip=True, clear=target.exists())
    except OSError as error:
        return _fail(f"{folder} cannot be made here ({error.strerror})")
    except subprocess.CalledProcessError:
        shutil.rmtree(target, ignore_errors=True)
        return _fail("no virtual environment can be made (on Debian: apt install python3-venv)")
    if not pip(target, "-e", ".[dev]"):
        return _fail("packages could not be installed (see above); is the package index reachable?")
    if not pip(target, "python-pytun>=2.4.1", quiet=True):
        say("python-pytun does not build here (it needs a C compiler and Python's headers):")
        say("going on without TAP devices; the simulated site will use loopback")
    (target / ".ready").touch()
    return 0


def pip(target: Path, *what: str, quiet: bool = False) -> bool:
    """Install; returns whether it worked. `quiet` also hides the errors."""
    command = [str(target / "bin" / "python"), "-m", "pip", "install", "-q"]
    command += ["--disable-pip-version-check", *what]
    sink = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, check=False, stdout=sink, stderr=sink).returncode == 0


def say(line: str) -> None:
    """Print progress at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _fail(line: str) -> int:
    sys.stderr.write(f"prepare: {line}\n")
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:2] or [".venv"]))
    except KeyboardInterrupt:
        sys.exit(_fail("interrupted; the next start goes on"))
