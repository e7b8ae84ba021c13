"""The folder that a session leaves: trace.jsonl, capture.pcapng, summary.json."""

from __future__ import annotations

import contextlib
import itertools
import json
from pathlib import Path
from typing import Any

from controller import __version__
from controller.errors import PortError
from controller.loop import utc_stamp, wall_time
from controller.session_capture import SessionCapture
from controller.trace import TraceWriter


class SessionFolder:
    """A folder and the two files that are written while the session runs.

    Raises PortError where the folder or its files cannot be made. A disk that becomes full later
    costs records, never the session: `not_kept` says which.
    """

    def __init__(self, wanted: Path | None, details: dict[str, Any], *, compose: bool) -> None:
        try:
            self.path = wanted or new_folder(Path("sessions") / utc_stamp())
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PortError(
                f"{error.filename}: cannot be made ({error.strerror}); choose another with --out"
            ) from error
        header = {"program": "ccs-pilot", "version": __version__, **details}
        self.trace = TraceWriter(self.path / "trace.jsonl", header)
        self.capture = SessionCapture(self.path / "capture.pcapng", wall_time(), compose=compose)

    def close_with(self, resources: contextlib.ExitStack) -> None:
        """Let `resources` close the two files, the capture first."""
        resources.callback(self.trace.close)
        resources.callback(self.capture.close)

    @property
    def not_kept(self) -> list[str]:
        """Why records are missing; known after the files are closed."""
        return [why for why in (self.trace.error, self.capture.error) if why]

    def write_summary(self, summary: dict[str, Any]) -> str:
        """Write summary.json; returns why that was not possible, if so."""
        path = self.path / "summary.json"
        try:
            path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            with contextlib.suppress(OSError):
                path.unlink()  # half of it, on a full disk
            return f"{path}: cannot be written ({error.strerror})"
        return ""


def new_folder(wanted: Path) -> Path:
    """Make a folder that was not there: `wanted`, or with _2, _3 behind it. Raises OSError."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(2):
        try:
            wanted.mkdir()
        except FileExistsError:
            wanted = wanted.with_name(f"{wanted.name.partition('_')[0]}_{number}")
        else:
            break
    return wanted
