"""Runs `ccs-pilot` as a user does, in a process of its own, and looks at what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PATIENCE_S = 100.0

CHARGER = """\
[realtime]
period_s = 0.02
[site]
isolation_test_s = 0.1
"""
"""The longest period: a quarter of the steps, a quarter of the work."""

CAR = """\
[battery]
soc_percent = {soc}
[realtime]
period_s = 0.02
"""


def command(*args: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "controller.main", *args]


def run(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(*args),
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


class Sim:
    """`ccs-pilot sim --plain` over loopback, faster than real."""

    def __init__(
        self,
        folder: Path,
        *args: str,
        soc: float = 79.95,
        speed: float = 1000,
        link: str = "loopback",
        charger: str = "",
        car: str = "",
    ) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "charger.toml").write_text(CHARGER + charger)
        (folder / "car.toml").write_text(CAR.format(soc=soc) + car)
        self.out = folder / "session"
        words = ["sim", "--plain", "--link", link, "--speed", f"{speed:g}", "--out", str(self.out)]
        words += ["--car", str(folder / "car.toml"), "--charger", str(folder / "charger.toml")]
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            command(*words, *args),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, words: str) -> str:
        """Read its output up to a line that contains these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"{words!r} never came:\n{''.join(self.lines)}{self.errors()}")

    def errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def children(self) -> dict[str, int]:
        """Return the process id of each child by its name."""
        found: dict[str, int] = {}
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            for pid in (task / "children").read_text().split():
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
                if "controller.process" in words:
                    found[words[words.index("controller.process") + 1]] = int(pid)
        return found

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def signal_child(self, name: str, number: signal.Signals) -> None:
        os.kill(self.children()[name], number)

    def end(self) -> int:
        """Wait for its end; returns the exit code. No child survives, nothing is on stderr."""
        children = self.children() if self.process.poll() is None else {}
        out, err = self.process.communicate(timeout=PATIENCE_S)
        self.lines += out.splitlines(keepends=True)
        assert err == ""
        assert "Traceback" not in out
        for pid in children.values():
            assert not Path(f"/proc/{pid}").exists()
        return self.process.returncode

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads((self.out / "summary.json").read_text())
        return summary

    def close(self) -> None:
        """End it whatever it does (its children end when it is gone)."""
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.process.wait()
