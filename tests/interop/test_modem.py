"""The makers' modem tools at our simulated modem: the quick cases, where root and the tools are."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop import modem

ROOT = Path(__file__).parents[2]


@pytest.mark.root
def test_the_makers_tools_and_ours_say_the_same() -> None:
    reason = modem.obstacle()
    if reason is not None:
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, "-m", "tests.interop.modem", "--quick"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(modem.QUICK)} passed, 0 failed" in done.stdout
