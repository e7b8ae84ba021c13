"""The SPI core against the simulated register file, with every disturbance it can make."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest

from controller.machine import lint_table
from controller.plc.sim_qca7005 import SimQca7005
from controller.plc.spi import (
    QUEUE_FRAMES,
    CarrierChanged,
    FrameArrived,
    QcaSpi,
    SpiState,
    SpiTransfer,
    SpiTrouble,
)
from controller.plc.spi_wire import Interrupt

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.signals import Output

FRAME = bytes(range(100))


class Board:
    """Core and chip in virtual time, with the interrupt line between them."""

    def __init__(self, **how: float) -> None:
        self.chip = SimQca7005(**how)
        self.core = QcaSpi()
        self.now = 0.0
        self.facts: list[Output] = []
        self.line = self.chip.interrupt
        self.lost_edges = 0

    def carry(self, outputs: list[Output]) -> None:
        waiting = deque(outputs)
        while waiting:
            output = waiting.popleft()
            if isinstance(output, SpiTransfer):
                answer = self.chip.transfer(output.data, self.now)
                waiting.extend(self.core.receive_data(answer, self.now))
                waiting.extend(self.edge())
            else:
                self.facts.append(output)

    def edge(self) -> list[Output]:
        before, self.line = self.line, self.chip.interrupt
        if self.line and not before:
            if self.lost_edges:
                self.lost_edges -= 1
                return []
            return self.core.receive_interrupt(self.now)
        return []

    def step(self) -> None:
        times = [t for t in (self.core.next_timer(), self.chip.next_timer()) if t is not None]
        self.now = max(self.now, min(times, default=self.now + 1.0))
        self.chip.handle_timer(self.now)
        self.carry(self.edge())
        self.carry(self.core.handle_timer(self.now))

    def run(self, until: Callable[[], bool], at_most_s: float = 30.0) -> None:
        end = self.now + at_most_s
        while not until():
            assert self.now < end, f"{self.core.state} after {at_most_s} s: {self.facts}"
            self.step()

    def ready(self) -> Board:
        self.run(lambda: self.core.state is SpiState.READY)
        self.facts.clear()
        return self

    def send(self, frame: bytes) -> None:
        self.carry(self.core.receive_frame(frame, self.now))

    def deliver(self, frame: bytes) -> None:
        self.chip.deliver(frame)
        self.carry(self.edge())

    def arrived(self) -> list[bytes]:
        return [f.frame for f in self.facts if isinstance(f, FrameArrived)]

    def troubles(self) -> list[str]:
        return [f.reason for f in self.facts if isinstance(f, SpiTrouble)]

    def carrier(self) -> list[bool]:
        return [f.up for f in self.facts if isinstance(f, CarrierChanged)]


def test_table_is_clean() -> None:
    assert lint_table(QcaSpi) == []


def test_the_chip_is_restarted_and_comes_up() -> None:
    board = Board()
    board.run(lambda: board.core.state is SpiState.READY)
    assert board.carrier() == [True]
    assert board.troubles() == []
    assert (board.chip.restarts, board.core.counters["resets"]) == (1, 1)
    assert board.now == pytest.approx(0.6)


def test_frames_go_both_ways() -> None:
    board = Board().ready()
    frames = [bytes([n]) * (60 + n) for n in range(5)]
    for frame in frames:
        board.send(frame)
        board.deliver(frame)
    assert board.chip.take_frames() == frames
    assert board.arrived() == frames
    assert board.core.counters["in"] == board.core.counters["out"] == 5


def test_many_frames_in_one_read() -> None:
    board = Board().ready()
    frames = [bytes([n]) * 300 for n in range(8)]
    for frame in frames:
        board.chip.deliver(frame)
    board.carry(board.edge())
    assert board.arrived() == frames


def test_nothing_goes_before_the_chip_is_ready() -> None:
    board = Board()
    board.send(FRAME)
    board.ready()
    assert board.chip.take_frames() == []
    assert board.core.counters["dropped"] == 1


def test_no_chip_is_said_once_and_probed_for_ever() -> None:
    board = Board()
    board.chip.bad_signatures = 10**6
    for _ in range(50):
        board.step()
    (trouble,) = board.troubles()
    assert "invalid signature 0xffff: wiring, SPI mode 3, or strapping?" in trouble
    assert board.now > 40
    board.chip.bad_signatures = 0
    board.ready()


def test_a_chip_that_does_not_start() -> None:
    board = Board()
    board.chip.stays_dead = True
    board.run(lambda: bool(board.troubles()))
    assert board.troubles() == ["the chip did not start within 10 s: has it firmware?"]
    assert board.now == pytest.approx(10, abs=1.1)
    board.chip.stays_dead = False
    board.ready()
    assert board.chip.restarts == 2


def test_a_lost_edge_is_made_up_for() -> None:
    board = Board()
    board.lost_edges = 1
    board.ready()
    assert board.now == pytest.approx(1.0, abs=0.2)


def test_one_bad_signature_is_forgiven() -> None:
    board = Board().ready()
    board.chip.bad_signatures = 1
    board.deliver(FRAME)
    assert board.arrived() == [FRAME]
    assert board.core.state is SpiState.READY


def disturb_signature(chip: SimQca7005) -> None:
    chip.bad_signatures = 2


def disturb_read(chip: SimQca7005) -> None:
    chip.short_reads = 1


DISTURBANCES: dict[str, Callable[[SimQca7005], None]] = {
    "signature gone": disturb_signature,
    "short read": disturb_read,
    "read buffer error": lambda chip: chip.fail(Interrupt.READ_ERROR),
    "write buffer error": lambda chip: chip.fail(Interrupt.WRITE_ERROR),
    "address error": lambda chip: chip.fail(Interrupt.ADDRESS_ERROR),
}


@pytest.mark.parametrize("disturb", DISTURBANCES.values(), ids=DISTURBANCES.keys())
def test_disturbances_lead_to_a_restart_and_back(disturb: Callable[[SimQca7005], None]) -> None:
    board = Board().ready()
    disturb(board.chip)
    board.deliver(FRAME)
    assert board.carrier() == [False]
    assert len(board.troubles()) == 1
    board.run(lambda: board.core.state is SpiState.READY)
    assert board.carrier() == [False, True]
    assert board.chip.restarts == 2
    board.facts.clear()
    board.deliver(FRAME)
    board.send(FRAME)
    assert board.arrived() == [FRAME]
    assert board.chip.take_frames() == [FRAME]


def test_a_chip_that_restarts_by_itself_is_noticed() -> None:
    board = Board().ready()
    board.chip.restart(board.now)
    board.run(lambda: len(board.carrier()) == 2)
    assert board.carrier() == [False, True]


def test_absurd_counts_are_no_reason_to_stop() -> None:
    board = Board().ready()
    board.chip.absurd_counts = 1
    board.deliver(FRAME)
    assert board.core.counters["disturbances"] == 1
    board.deliver(FRAME)
    board.carry(board.core.receive_interrupt(board.now))
    assert board.arrived() == [FRAME, FRAME]
    board.chip.absurd_counts = 1
    board.send(FRAME)
    assert board.chip.take_frames() == []
    board.step()
    assert board.chip.take_frames() == [FRAME]


def test_garbage_in_the_stream_costs_no_frame() -> None:
    board = Board().ready()
    board.chip.garbage = b"\x01\x02\xaa\xaa\xaa\x03" * 5
    board.deliver(FRAME)
    assert board.arrived() == [FRAME]
    assert board.core.deframer.resynchronised >= 1


def test_a_full_write_buffer_is_waited_for() -> None:
    board = Board().ready()
    board.chip.holds_writes = True
    for n in range(2 * QUEUE_FRAMES):
        board.send(bytes([n]) * 1000)
    assert len(board.core._queue) <= QUEUE_FRAMES
    dropped = board.core.counters["dropped"]
    assert dropped > 0
    board.run(lambda: bool(board.troubles()), 2.0)
    assert board.troubles() == ["no room for a frame for a second: the chip does not send"]
    assert not board.core._queue
    board.chip.holds_writes = False
    board.ready()


@pytest.mark.parametrize("size", [0, 1, 59, 60, 1522])
def test_every_legal_length_goes_out(size: int) -> None:
    board = Board().ready()
    board.send(b"z" * size)
    assert board.chip.take_frames() == [(b"z" * size).ljust(60, b"\0")]


def test_a_frame_that_is_too_long_is_dropped() -> None:
    board = Board().ready()
    board.send(b"z" * 1523)
    assert board.chip.take_frames() == []
    assert board.core.counters["dropped"] == 1


def test_answers_to_nothing_are_ignored() -> None:
    board = Board().ready()
    assert board.core.receive_data(b"\xff" * 4, board.now) == []
