"""Lines that never wait: a full pipe, a reader that is gone, too many of them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from controller.driver_journal import AT_ONCE, ERROR, LONGEST, Journal

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            continue


def test_a_line_is_one_line_with_its_level(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    Journal(writer, with_level=True).say(1.0, "a\nfault:  welded", ERROR)
    Journal(writer, with_level=False).say(1.0, "plain")
    assert os.read(reader, 1000) == b"<3>a fault: welded\nplain\n"


def test_the_level_is_for_the_journal_alone(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = pipe
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    Journal(writer).say(1.0, "a")
    monkeypatch.delenv("JOURNAL_STREAM")
    Journal(writer).say(1.0, "b")
    assert os.read(reader, 1000) == b"<5>a\nb\n"


def test_a_full_pipe_drops_lines_and_says_so_later(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)  # a journal's is: whoever writes would wait here
    journal = Journal(writer)
    for _ in range(10):
        journal.say(1.0, "lost")
    assert journal.dropped == 10
    os.set_blocking(reader, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.read(reader, 65536)
    journal.say(2.0, "there again")
    assert os.read(reader, 1000) == b"there again (10 lines before this one were dropped)\n"
    assert journal.dropped == 0


def test_more_lines_than_anybody_reads_are_dropped(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    journal = Journal(writer)
    for n in range(1000):
        journal.say(10.0 + n * 0.001, "again")
    lines = os.read(reader, 65536).splitlines()
    assert AT_ONCE <= len(lines) <= AT_ONCE + 5
    journal.say(100.0, "later")
    assert b"dropped" in os.read(reader, 1000)


def test_chatter_does_not_crowd_out_a_reason(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    journal = Journal(writer, with_level=False)
    for n in range(1000):
        journal.say(10.0 + n * 0.001, "chatter")
    journal.say(11.0, "contactors opened: because", ERROR)
    assert b"contactors opened: because" in os.read(reader, 65536).splitlines()[-1]


def test_a_reader_that_is_gone_harms_nobody(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    journal = Journal(writer)
    journal.say(1.0, "into the void")
    assert journal.dropped == 1


def test_a_long_line_is_cut(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    Journal(writer).say(1.0, "x" * 100_000)
    assert len(os.read(reader, 200_000)) == LONGEST + 1
