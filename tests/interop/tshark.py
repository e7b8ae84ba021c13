"""A second opinion on a capture: does tshark find a malformed frame in it?"""

import shutil
import subprocess
from pathlib import Path

TSHARK_S = 60.0


def malformed_frames(path: Path) -> int | None:
    """How many frames tshark calls malformed; None when tshark is not installed.

    Raises ValueError when tshark cannot read the file at all (it is then no capture).
    """
    program = shutil.which("tshark")
    if program is None:
        return None
    done = subprocess.run(
        [
            program,
            "-n",
            "-r",
            str(path),
            "-Y",
            "_ws.malformed",
            "-T",
            "fields",
            "-e",
            "frame.number",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=TSHARK_S,
    )
    if done.returncode != 0:
        raise ValueError(f"tshark cannot read {path}: {done.stderr.strip()}")
    return len(done.stdout.split())
