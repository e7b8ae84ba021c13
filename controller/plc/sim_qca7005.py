"""The register file of a simulated QCA7005 behind an SPI port, with its disturbances.

`transfer` is what the wire does: command and data in, as many bytes out. Frames that the host wrote
are taken with `take_frames`, frames for it are given with `deliver`. The interrupt line is
`interrupt`: the host sees its rising edges.

Not modelled: the clock, watermarks, the modem's own boot from flash.
"""

from __future__ import annotations

from collections import deque

from controller.plc import spi_wire
from controller.plc.spi_wire import BUFFER_SIZE, Deframer, Interrupt, Register

BOOT_S = 0.6
"""From the restart to CPU on."""
STALE_SIGNATURE = 0x0000


class SimQca7005:
    """One chip; the disturbances are attributes that tests set."""

    def __init__(self, boot_s: float = BOOT_S) -> None:
        self.boot_s = boot_s
        self.bad_signatures = 0
        """So many reads of the signature give nonsense."""
        self.short_reads = 0
        """So many transfers of data end early."""
        self.absurd_counts = 0
        """So many reads of a byte count give more than the buffer holds."""
        self.stays_dead = False
        """It never starts."""
        self.holds_writes = False
        """What is written stays in the write buffer: the powerline is stuck."""
        self.garbage = b""
        """Goes before the next delivered frame."""
        self.transfers = 0
        self.restarts = 0
        self._registers = dict.fromkeys(Register, 0)
        self._boots_at: float | None = None
        self._cause = Interrupt.CPU_ON  # it started with the host
        self._stale = 1
        self._in: deque[bytes] = deque()
        self._written = b""
        self._wire = Deframer()
        self._frames: list[bytes] = []

    @property
    def interrupt(self) -> bool:
        """Level of the interrupt line."""
        return bool(self._cause & self._registers[Register.INTR_ENABLE])

    # --- the powerline side ---

    def deliver(self, frame: bytes) -> None:
        """Give a frame to the host."""
        body = spi_wire.wrapped(frame)
        piece = self.garbage + len(body).to_bytes(4, "big") + body
        self.garbage = b""
        if sum(map(len, self._in)) + len(piece) > BUFFER_SIZE:
            return  # as the chip does: lost
        self._in.append(piece)
        self._cause |= Interrupt.PACKET

    def take_frames(self) -> list[bytes]:
        """Return the frames that the host wrote."""
        frames, self._frames = self._frames, []
        return frames

    def fail(self, cause: Interrupt) -> None:
        """Report an error, or anything else."""
        self._cause |= cause

    def restart(self, now: float) -> None:
        """Lose everything and start again."""
        self.restarts += 1
        self._in.clear()
        self._written = b""
        self._cause = Interrupt.NONE
        self._registers = dict.fromkeys(Register, 0)
        self._boots_at = None if self.stays_dead else now + self.boot_s

    def next_timer(self) -> float | None:
        """When it has started."""
        return self._boots_at

    def handle_timer(self, now: float) -> None:
        """Start when it is time."""
        if self._boots_at is not None and now >= self._boots_at:
            self._boots_at = None
            self._stale = 1
            self._cause |= Interrupt.CPU_ON
            self._registers[Register.INTR_ENABLE] = int(Interrupt.CPU_ON)

    # --- the SPI side ---

    def transfer(self, data: bytes, now: float) -> bytes:
        """Answer one burst; as long as what was shifted out, unless it is disturbed."""
        self.transfers += 1
        command = int.from_bytes(data[:2], "big")
        is_read, is_register = command & spi_wire.READ, command & spi_wire.REGISTER
        if is_register:
            address = command & 0x3FFF
            if is_read:
                return b"\0\0" + self._register(address).to_bytes(2, "big")
            self._set(address, int.from_bytes(data[2:4], "big"), now)
            return bytes(len(data))
        size = self._registers[Register.BFR_SIZE]
        if self.short_reads:
            self.short_reads -= 1
            return bytes(len(data) // 2)
        if is_read:
            return b"\0\0" + self._take(size).ljust(len(data) - 2, b"\0")
        self._write(data[2:], size)
        return bytes(len(data))

    def _register(self, address: int) -> int:
        if address == Register.SIGNATURE:
            return self._signature()
        counts = {Register.WRBUF_SPC_AVA, Register.RDBUF_BYTE_AVA}
        if address in counts and self.absurd_counts:
            self.absurd_counts -= 1
            return 0xFFFF
        if address == Register.WRBUF_SPC_AVA:
            return BUFFER_SIZE - len(self._written)
        if address == Register.RDBUF_BYTE_AVA:
            return sum(map(len, self._in))
        if address == Register.INTR_CAUSE:
            return int(self._cause)
        return self._registers[Register(address)] if address in list(Register) else 0

    def _signature(self) -> int:
        if self.bad_signatures:
            self.bad_signatures -= 1
            return 0xFFFF
        if self._stale:
            self._stale -= 1
            return STALE_SIGNATURE
        return spi_wire.SIGNATURE

    def _set(self, address: int, value: int, now: float) -> None:
        if address == Register.INTR_CAUSE:
            self._cause &= ~Interrupt(value & 0x7FF)
            if self._in:
                self._cause |= Interrupt.PACKET
        elif address == Register.SPI_CONFIG and value & spi_wire.RESET_BIT:
            self.restart(now)
        elif address in list(Register):
            self._registers[Register(address)] = value

    def _take(self, size: int) -> bytes:
        everything = b"".join(self._in)
        self._in.clear()
        if size < len(everything):
            self._in.append(everything[size:])
        return everything[:size]

    def _write(self, data: bytes, size: int) -> None:
        if size != len(data) or len(data) + spi_wire.HARDWARE_LENGTH > BUFFER_SIZE - len(
            self._written
        ):
            self._cause |= Interrupt.WRITE_ERROR
            return
        if self.holds_writes:
            self._written += data
        else:
            self._frames += self._wire.feed(data)
