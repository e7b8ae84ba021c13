"""Child processes: each writes one log, has a time limit for everything, and never outlives us.

A child leads a session of its own. So Ctrl-C reaches only this program, which then ends its
children in order, and a signal to the child's group also reaches the Java machine that the peer
starts.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

POLL_S = 0.05
STOP_S = 8.0


def pause(duration_s: float) -> None:
    """Wait; a signal's exception interrupts it."""
    threading.Event().wait(duration_s)


def wait_until(is_true: Callable[[], bool], timeout_s: float) -> bool:
    """Poll until the condition holds; False when it did not in time."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() >= deadline:
            return False
        pause(POLL_S)
    return True


class Child:
    """A started program with its log; a context manager that ends it whatever happens."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
                cwd=cwd,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    @property
    def text(self) -> str:
        """All that it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def last_line(self) -> str:
        """The last line that says something."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return lines[-1] if lines else "(it wrote nothing)"

    def stop(self, wait_s: float = STOP_S) -> int:
        """End it as Ctrl-C would, then by force; its exit code, negative for a signal."""
        if self._process.poll() is None:
            self._signal(signal.SIGINT)
            try:
                self._process.wait(wait_s)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
        code = self._process.wait()
        self._signal(signal.SIGKILL)  # what is left of its group
        return code

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return
