"""A QCA7000/7005 on SPI: the user-space counterpart of the kernel's `qcaspi` driver, as a core.

The core gives transfers (`SpiTransfer`) and is given what came back, one at a time; a rising edge
of the interrupt line, frames to send and the time are its other inputs. What is done with the chip
are short procedures (generators of transfers); which one is next follows from the state:

- UNKNOWN: nothing is believed. Once a second the signature is read; if it is right the chip is
  restarted (SPI_CONFIG bit 6).
- RESETTING: the chip starts. Its interrupt "CPU on" ends this; it is looked for at every edge and,
  in case the edge was lost, once a second, ten times.
- READY: after CPU on the signature was read twice (the first may be stale) and the whole write
  buffer was free. Now frames go in and out. Every wake-up reads the signature first.

Anything odd - a wrong signature twice, a buffer error, a short transfer, a frame that does not get
out for a second - leads back to UNKNOWN: carrier off, queue emptied, everything from the start.
That is what the Linux driver does, and what cured boards in the field.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from controller.machine import TableMachine, row
from controller.plc import spi_wire
from controller.plc.spi_wire import BUFFER_SIZE, ENABLED, ERRORS, Deframer, Interrupt, Register
from controller.signals import Output

PROBE_EVERY_S = 1.0
RESET_WAIT_S = 1.0
RESET_TRIES = 10
"""The Linux driver waits ten times a second for the chip to start."""
SPACE_RETRY_S = 0.005
"""A full write buffer empties at 10 Mbit/s within 3 ms."""
TRANSMIT_WATCHDOG_S = 1.0
"""A frame that waits longer for room: the chip no longer sends (Linux: tx watchdog)."""
QUEUE_FRAMES, QUEUE_BYTES = 10, BUFFER_SIZE
"""What may wait for the chip, as in the Linux driver; more is lost, as on any wire."""
BAD_SIGNATURE = "invalid signature 0x{:04x}: wiring, SPI mode 3, or strapping?"
READS_AT_ONCE = 4
"""Reads for one interrupt before the others have their turn."""


@dataclass(frozen=True, slots=True)
class SpiTransfer(Output):
    """Shift these bytes out in one go, chip select low, and give back what came in meanwhile."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FrameArrived(Output):
    """A frame from the powerline."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class CarrierChanged(Output):
    """The chip takes frames, or no longer."""

    up: bool


@dataclass(frozen=True, slots=True)
class SpiTrouble(Output):
    """Something odd, and what it may be."""

    reason: str


class SpiState(Enum):
    """How far the chip is to be believed."""

    UNKNOWN = "unknown"
    RESETTING = "resetting"
    READY = "ready"


S = SpiState
ANY = list(S)
Procedure = Generator[bytes, bytes, None]

TABLE = [
    row("lost", S.READY, S.UNKNOWN, do=["report_trouble", "drop_carrier"]),
    row("lost", S.RESETTING, S.UNKNOWN, do="report_trouble"),
    row("lost", S.UNKNOWN, None, do="report_trouble"),
    row("timeout", S.UNKNOWN, "=", do="begin_probe"),
    row("restarted", S.UNKNOWN, S.RESETTING, do="count_from_first"),
    row("timeout", S.RESETTING, "=", when="has_tries_left", do="look_again"),
    row("timeout", S.RESETTING, S.UNKNOWN, do="report_no_start"),
    row("came_up", [S.UNKNOWN, S.RESETTING], S.READY, do="raise_carrier"),
    row("came_up", S.READY, "=", do=["drop_carrier", "raise_carrier"]),
]


class QcaSpi(TableMachine):
    """The core behind one SPI device; `handle_timer` starts it."""

    TABLE = TABLE
    INITIAL = S.UNKNOWN
    DEADLINE_S: ClassVar = {S.UNKNOWN: PROBE_EVERY_S, S.RESETTING: RESET_WAIT_S}
    ENDLESS = (S.READY,)

    def __init__(self) -> None:
        super().__init__()
        self.deframer = Deframer()
        self.counters = dict.fromkeys(("in", "out", "dropped", "resets", "disturbances"), 0)
        self._queue: deque[bytes] = deque()
        self._procedure: Procedure | None = None
        self._expected = 0
        self._interrupt_pending = True  # the first start counts as one
        self._probe_pending = False
        self._send_at = 0.0
        self._waiting_since: float | None = None
        self._tries_left = 0
        self._trouble = ""
        self._reported = ""
        self._deadline_at = 0.0

    # --- verbs ---

    def receive_interrupt(self, now: float) -> list[Output]:
        """Take a rising edge of the interrupt line."""
        self.now = now
        self._interrupt_pending = True
        return self._go_on()

    def receive_data(self, data: bytes, now: float) -> list[Output]:
        """Take what came back from the last transfer (shorter when the device failed)."""
        self.now = now
        if self._procedure is None:
            return []
        if len(data) != self._expected:
            self._procedure.close()
            self._procedure = None
            self._lose(f"a transfer gave {len(data)} bytes instead of {self._expected}")
        else:
            self._resume(data)
        return self._go_on()

    def receive_frame(self, frame: bytes, now: float) -> list[Output]:
        """Take a frame to send; lost while the chip is not ready or too many wait."""
        self.now = now
        size = sum(len(f) + spi_wire.OVERHEAD for f in self._queue)
        fits = len(frame) <= spi_wire.LONGEST_FRAME and len(self._queue) < QUEUE_FRAMES
        if self.state is not S.READY or not fits or size + len(frame) > QUEUE_BYTES:
            self.counters["dropped"] += 1
            return []
        self._queue.append(frame)
        return self._go_on()

    def handle_timer(self, now: float) -> list[Output]:
        """Probe, repeat, or give up."""
        self.now = now
        self.out = super().handle_timer(now)
        since = self._waiting_since
        if since is not None and now - since >= TRANSMIT_WATCHDOG_S:
            self._lose("no room for a frame for a second: the chip does not send")
        return self._go_on()

    def next_timer(self) -> float | None:
        """Earliest of the state's deadline and the next look for write space."""
        times = [self._deadline_at]
        if self._queue and self._procedure is None:
            times.append(self._send_at)
        return min((t for t in times if t is not None), default=None)

    # --- procedures ---

    def _go_on(self) -> list[Output]:
        """Start the next procedure if none is running, and return what is to be done."""
        while self._procedure is None:
            procedure = self._next_procedure()
            if procedure is None:
                break
            self._procedure = procedure
            self._resume(None)
        return self.drain()

    def _next_procedure(self) -> Procedure | None:
        if self._probe_pending:
            self._probe_pending = False
            return self._probe()
        if self._interrupt_pending:
            self._interrupt_pending = False
            return self._service()
        if self._queue and self.now >= self._send_at:
            return self._send()
        return None

    def _resume(self, data: bytes | None) -> None:
        procedure = self._procedure
        if procedure is None:
            return
        try:
            wanted = next(procedure) if data is None else procedure.send(data)
        except StopIteration:
            self._procedure = None
            return
        self._expected = len(wanted)
        self.out.append(SpiTransfer(wanted))

    def _probe(self) -> Procedure:
        """Is a chip there? Then restart it."""
        signature = yield from self._read(Register.SIGNATURE)
        if signature != spi_wire.SIGNATURE:
            signature = yield from self._read(Register.SIGNATURE)
        if signature != spi_wire.SIGNATURE:
            self._lose(BAD_SIGNATURE.format(signature))
            return
        config = yield from self._read(Register.SPI_CONFIG)
        yield from self._write(Register.SPI_CONFIG, config | spi_wire.RESET_BIT)
        self.restarted()

    def _service(self) -> Procedure:
        """Handle an interrupt: mask, read the cause, act, acknowledge, unmask."""
        if self.state is S.READY and not (yield from self._signature_is_right()):
            self._lose("the signature is gone: power, wiring?")
            return
        yield from self._write(Register.INTR_ENABLE, 0)
        cause = Interrupt((yield from self._read(Register.INTR_CAUSE)) & 0x7FF)
        if cause & Interrupt.CPU_ON:
            yield from self._start_up()
        if cause & ERRORS and self.state is S.READY:
            self._lose(f"the chip reports {_named(cause & ERRORS)}")
        elif cause & Interrupt.PACKET and self.state is S.READY:
            yield from self._receive()
        yield from self._write(Register.INTR_CAUSE, int(cause))
        enabled = ENABLED if self.state is S.READY else Interrupt.CPU_ON  # else: no end of packets
        yield from self._write(Register.INTR_ENABLE, int(enabled))

    def _start_up(self) -> Procedure:
        """CPU on: believe the chip if its signature is right and its write buffer empty."""
        yield from self._read(Register.SIGNATURE)  # may be stale
        signature = yield from self._read(Register.SIGNATURE)
        space = yield from self._read(Register.WRBUF_SPC_AVA)
        if signature != spi_wire.SIGNATURE:
            self._lose(BAD_SIGNATURE.format(signature))
        elif space != BUFFER_SIZE:
            self._lose(f"{space} bytes free after the start instead of {BUFFER_SIZE}")
        else:
            self.came_up()

    def _signature_is_right(self) -> Generator[bytes, bytes, bool]:
        for _ in range(2):
            if (yield from self._read(Register.SIGNATURE)) == spi_wire.SIGNATURE:
                return True
        return False

    def _receive(self) -> Procedure:
        """Read what is there and find the frames in it."""
        for _ in range(READS_AT_ONCE):
            count = yield from self._read(Register.RDBUF_BYTE_AVA)
            if count == 0:
                return
            if count > spi_wire.MOST_IN:
                self.counters["disturbances"] += 1
                return
            yield from self._write(Register.BFR_SIZE, count)
            answer = yield spi_wire.DATA_IN + bytes(count)
            for frame in self.deframer.feed(answer[2:]):
                self.counters["in"] += 1
                self.out.append(FrameArrived(frame))
        self._interrupt_pending = True  # there may be more

    def _send(self) -> Procedure:
        """Write frames while there is room."""
        while self._queue and self.state is S.READY:
            data = spi_wire.wrapped(self._queue[0])
            space = yield from self._read(Register.WRBUF_SPC_AVA)
            if space > BUFFER_SIZE:
                self.counters["disturbances"] += 1
            if space > BUFFER_SIZE or space < len(data) + spi_wire.HARDWARE_LENGTH:
                self._send_at = self.now + SPACE_RETRY_S
                if self._waiting_since is None:
                    self._waiting_since = self.now
                return
            yield from self._write(Register.BFR_SIZE, len(data))
            yield spi_wire.DATA_OUT + data
            if self._queue:
                self._queue.popleft()
            self._waiting_since = None
            self.counters["out"] += 1

    def _read(self, register: Register) -> Generator[bytes, bytes, int]:
        return spi_wire.register_value((yield spi_wire.read_register(register)))

    def _write(self, register: Register, value: int) -> Procedure:
        yield spi_wire.write_register(register, value)

    def _lose(self, reason: str) -> None:
        self._trouble = reason
        self.lost()

    # --- triggers (declared for the type checker; the table replaces them) ---

    def lost(self) -> bool:
        """Believe the chip no longer."""
        return False

    def restarted(self) -> bool:
        """The chip was told to restart."""
        return False

    def came_up(self) -> bool:
        """The chip has started and its buffers are empty."""
        return False

    # --- guards and actions ---

    def has_tries_left(self) -> bool:
        """Ask whether the wait for the start goes on."""
        return self._tries_left > 0

    def begin_probe(self) -> None:
        """Look for a chip."""
        self._probe_pending = True

    def count_from_first(self) -> None:
        """Begin to wait for the start."""
        self.counters["resets"] += 1
        self._tries_left = RESET_TRIES - 1

    def look_again(self) -> None:
        """Look for CPU on although no edge came."""
        self._tries_left -= 1
        self._interrupt_pending = True

    def report_trouble(self) -> None:
        """Say what is odd, once for each reason in a row."""
        if self._trouble != self._reported:
            self._reported = self._trouble
            self.out.append(SpiTrouble(self._trouble))

    def report_no_start(self) -> None:
        """Say that the chip did not start."""
        self._trouble = f"the chip did not start within {RESET_TRIES} s: has it firmware?"
        self.report_trouble()

    def drop_carrier(self) -> None:
        """Empty the queue and say that no frames go."""
        self.counters["dropped"] += len(self._queue)
        self._queue.clear()
        self._waiting_since = None
        self.deframer.reset()
        self.out.append(CarrierChanged(False))

    def raise_carrier(self) -> None:
        """Say that frames go."""
        self._reported = ""
        self._interrupt_pending = True  # frames may be there already
        self.out.append(CarrierChanged(True))


def _named(cause: Interrupt) -> str:
    return " and ".join((bit.name or "").lower().replace("_", " ") for bit in cause)
