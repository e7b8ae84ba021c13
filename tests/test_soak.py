"""Memory stays where it is: a tenth of `make soak`, and a leak is found by it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import soak
from tests.scene_process import ROOT


@pytest.mark.timeout(400)
def test_memory_is_constant() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--part", "0.1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=390,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "72000 periods" in done.stdout
    assert "2.4 hours" in done.stdout


def test_a_small_leak_is_found() -> None:
    """One object in fifty periods."""
    growth = soak.Growth()
    kept: list[object] = []
    for _ in range(9):
        kept += [object() for _ in range(8000 // 50)]
        growth.count()
    assert not growth.is_constant
    assert "blocks" in growth.line("x")
