"""What a session leaves behind: a trace of every input and output, and a capture of every frame.

`trace.jsonl` has one JSON object a line. The first one (`"type": "Header"`) names the program's
version and configuration; each following one is a signal with its time `t` in seconds, the `node`
that saw it and its direction; the last one (`"type": "End"`) says how many lines were dropped
because the disk was too slow. Lines are written by a thread of their own behind a bounded queue:
the caller never waits for a disk.

`capture.pcapng` has raw Ethernet frames with nanosecond times; see `netframes.FlowComposer` for
how sockets become frames.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any

from controller.errors import PortError, WireError
from controller.netframes import LINK_ETHERNET, Endpoint, FlowComposer
from controller.signals_json import RESERVED, Record, from_record, to_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import BinaryIO, Self

    from controller.signals import Output

__all__ = ["Endpoint", "FlowComposer", "PcapngWriter", "TraceWriter", "read_trace"]

QUEUE_LENGTH = 20_000
"""About a minute of a busy session; beyond it lines are dropped and counted."""
CLOSE_PATIENCE_S = 10.0
"""A disk that does not take the rest in this time does not hold up the end of the program."""

_Entry = tuple[float, str, str, "Output", int]

_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class TraceWriter:
    """Writes `trace.jsonl` behind the caller's back."""

    def __init__(
        self, path: Path | str, header: Mapping[str, object], queue_length: int = QUEUE_LENGTH
    ) -> None:
        """Create the file and write the header line. Raises PortError when that is not possible."""
        self.dropped = 0
        """Lines that did not fit into the queue or could not be written."""
        self.error = ""
        """Why writing stopped, in words; empty while all is well."""
        self._queue: Queue[_Entry | None] = Queue(queue_length)
        self._closing = threading.Event()
        self._closed = False
        first = _line({"type": "Header", "t": 0.0, **header}).encode()
        self._file = _created("trace", path, first)
        self._thread = threading.Thread(target=self._run, name="trace", daemon=True)
        self._thread.start()

    def record(self, t: float, node: str, direction: str, signal: Output, repeats: int = 0) -> None:
        """Queue one line; never blocks. `direction` is "in" or "out" as the node sees it.

        `repeats` is how many like it came since the last one written (see `recorder`).
        """
        if self._closed:
            self.dropped += 1
            return
        try:
            self._queue.put_nowait((t, node, direction, signal, repeats))
        except Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what is queued, then the end line; closing twice is allowed."""
        if self._closed:
            return
        self._closed = True
        self._closing.set()
        with suppress(Full):  # wakes the thread; when full it is awake
            self._queue.put_nowait(None)
        self._thread.join(CLOSE_PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._write_until_closed()
            self._file.write(_line({"type": "End", "dropped": self.dropped}).encode())
            self._file.close()
        except OSError as error:  # disk full or gone: the session goes on without its trace
            self.error = f"trace stopped: {error.strerror or error}"
            with suppress(OSError):
                self._file.close()
            self._drop_until_closed()

    def _write_until_closed(self) -> None:
        while True:
            try:
                entry = self._queue.get(timeout=0.2)
            except Empty:
                entry = None
            if entry is None and self._closing.is_set() and self._queue.empty():
                return
            if entry is not None:
                self._file.write(_entry_line(entry).encode())
            if self._queue.empty():
                self._file.flush()

    def _drop_until_closed(self) -> None:
        self.dropped += 1
        while not (self._closing.is_set() and self._queue.empty()):
            try:
                self.dropped += self._queue.get(timeout=0.2) is not None
            except Empty:
                continue


def _created(what: str, path: Path | str, first: bytes) -> BinaryIO:
    """Open a new file and write its first bytes, so that a full disk is told at once."""
    file: BinaryIO | None = None
    try:
        file = Path(path).open("wb")  # noqa: SIM115  # closed by the writer
        file.write(first)
        file.flush()
    except OSError as error:
        if file is not None:
            with suppress(OSError):
                file.close()
        raise PortError(f"{what} {path}: {error.strerror or error}") from error
    return file


def _entry_line(entry: _Entry) -> str:
    t, node, direction, signal, repeats = entry
    record: Record = {"t": round(t, 6), "node": node, "dir": direction}
    try:
        record |= to_record(signal)
    except TypeError:  # a bug of ours must not end the trace that is to show it
        record |= {"type": type(signal).__name__, "text": repr(signal)}
    if repeats:
        record["repeats"] = repeats
    return _line(record)


def _line(record: Mapping[str, object]) -> str:
    try:
        return _dumps(record) + "\n"
    except (TypeError, ValueError):
        return _dumps(_presentable(record)) + "\n"


def _presentable(value: object) -> Any:  # noqa: ANN401  # any JSON
    """Make anything JSON: numbers that are not finite and foreign objects become text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _presentable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_presentable(item) for item in value]
    return value.hex() if isinstance(value, bytes) else str(value)


def read_trace(path: Path | str) -> Iterator[tuple[Record, Output | None]]:
    """Yield each line of a trace as its record and, where it is one, its signal.

    Raises PortError for a file that cannot be read and WireError for a line that is no JSON object.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                yield _read_line(line, number)
    except (OSError, UnicodeDecodeError) as error:
        raise PortError(f"trace {path}: {error}") from error


def _read_line(line: str, number: int) -> tuple[Record, Output | None]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if type(record) is not dict:
        raise WireError(f"line {number}: not a JSON object")
    bare = {key: item for key, item in record.items() if key == "type" or key not in RESERVED}
    try:
        return record, from_record(bare)
    except WireError:
        return record, None


class PcapngWriter:
    """Writes Ethernet frames into a pcapng file (IETF draft-ietf-opsawg-pcapng, version 1.0)."""

    def __init__(
        self,
        path: Path | str,
        interfaces: Sequence[str] = ("eth0",),
        epoch_s: float = 0.0,
        application: str = "ccs-pilot",
    ) -> None:
        """Create the file. `epoch_s` (seconds since 1970) is added to all times.

        Raises PortError when the file cannot be created.
        """
        self._epoch_ns = round(epoch_s * 1e9)
        self._count = len(interfaces)
        section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
        start = _block(0x0A0D0D0A, section + _option(4, application.encode()) + _option(0, b""))
        for name in interfaces:
            options = _option(2, name.encode()) + _option(9, b"\x09") + _option(0, b"")
            start += _block(1, struct.pack("<HHI", LINK_ETHERNET, 0, 0) + options)
        self._file = _created("capture", path, start)

    def write(self, frame: bytes, at_s: float, interface: int = 0) -> None:
        """Append one frame without its check sequence. Raises PortError when the disk is full."""
        if not 0 <= interface < self._count:
            raise ValueError(f"interface {interface} was not declared")
        at_ns = max(self._epoch_ns + round(at_s * 1e9), 0)
        length = len(frame)
        head = struct.pack("<IIIII", interface, at_ns >> 32, at_ns & 0xFFFFFFFF, length, length)
        try:
            self._file.write(_block(6, head + _padded(frame)))
        except OSError as error:
            raise PortError(f"capture: {error.strerror or error}") from error

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Finish the file; closing twice is allowed."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)
