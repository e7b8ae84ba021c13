"""Scripts by the unmodified client, and what is refused."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pigpio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.loop import pause
from controller.pigpiod.circuit import Bare
from controller.pigpiod.daemon import Daemon
from controller.pigpiod.scripts import SHAPES
from controller.pigpiod.wire import BY_NAME, HANDLES, REQUEST
from tests.pigpiod.served import WAIT_S, Pi, Served, Told, client, served

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(Daemon(Bare([(18, 17)]))) as running:
        yield running


@pytest.fixture
def pi(server: Served) -> Iterator[Pi]:
    with client(server) as connected:
        yield connected


def result(pi: Pi, text: str, *parameters: int) -> list[int]:
    """Run a script to its end; its parameters."""
    script = pi.store_script(text.encode())
    pi.run_script(script, [number & 0xFFFFFFFF for number in parameters])
    deadline = time.monotonic() + WAIT_S
    while (state := pi.script_status(script))[0] == pigpio.PI_SCRIPT_RUNNING:
        assert time.monotonic() < deadline
        pause(0.002)
    pi.delete_script(script)
    assert state[0] == pigpio.PI_SCRIPT_HALTED
    return list(state[1])


def test_the_manuals_blinking_script(pi: Pi) -> None:
    told = Told()
    pi.set_mode(22, pigpio.OUTPUT)
    callback = pi.callback(22, pigpio.EITHER_EDGE, told)
    script = pi.store_script(b"tag 0 w 22 1 mils 5 w 22 0 mils 5 dcr p0 jp 0")
    assert pi.script_status(script)[0] == pigpio.PI_SCRIPT_HALTED
    pi.run_script(script, [4])
    items = told.wait(10)
    assert [level for _, level, _ in items] == [1, 0] * 5
    gaps = [pigpio.tickDiff(a[2], b[2]) for a, b in pairwise(items)]
    assert min(gaps) >= 4900
    callback.cancel()
    pi.delete_script(script)


COMPARE = "lda p0 cmp 3 jz 1 jm 2 ld p1 1 jmp 9 tag 1 ld p1 2 jmp 9 tag 2 ld p1 3 tag 9"


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("lda p0 add 5 sta p1 sub 2 sta p2 mlt -3 sta p3", [10], [10, 15, 13, -39]),
        ("lda p0 div 4 sta p1 lda p0 mod 4 sta p2", [-10], [-10, -2, -2]),
        ("lda 0x0f and 6 sta p0 or 0x10 sta p1 xor 017 sta p2", [], [6, 22, 25]),
        ("lda 1 rla 4 sta p0 rra 2 sta p1", [], [16, 4]),
        ("ld v0 7 ld p0 v0 inr p0 dcr v0 ld p1 v0 rl p1 3 ld p2 p1 rr p2 4", [], [8, 48, 3]),
        ("ld p0 1 ld p1 2 x p0 p1 lda 9 xa p2 sta p3", [0, 0, 4], [2, 1, 9, 4]),
        ("ld p0 5 push p0 lda 6 pusha pop p1 popa sta p2", [], [5, 6, 5]),
        ("tag 1 inr p0 dcr p1 jnz 1", [0, 5], [5, 0]),
        (COMPARE, [3], [3, 2]),
        (COMPARE, [1], [1, 3]),
        (COMPARE, [4], [4, 1]),
        ("call 1 inr p0 halt tag 1 ld p0 41 ret", [], [42]),
        ("lda 5 dcra sta p0 inra inra sta p1 nop", [], [4, 6]),
        ("w 18 1 r 17 sta p0 w 18 0 r 17 sta p1", [], [1, 0]),
        ("m 23 w mg 23 sta p0 m 23 0 mg 23 sta p1 m 23 r mg 23 sta p2", [], [1, 4, 0]),
        ("pud 23 u r 23 sta p0 pud 23 d r 23 sta p1", [], [1, 0]),
        ("pfs 23 1000 sta p0 p 23 10 gdc 23 sta p1 w 99 1 sta p2", [], [1000, 10, -3]),
        ("hp 18 1000 250000 sta p0 gdc 18 sta p1 hp 18 0 0", [], [0, 250_000]),
        ("lda 2147483647 inra sta p0", [], [-2_147_483_648]),
        ("mics 1000 sta p0 mics 1000001 sta p1 mils 60001 sta p2", [], [0, -64, -65]),
    ],
)  # fmt: skip
def test_programs(pi: Pi, text: str, given: list[int], expected: list[int]) -> None:
    assert result(pi, text, *given)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"fly 1", "illegal script command"),
        (b"i2cwd 0 1 2 3", "illegal script command"),
        (b"proc 1", "illegal script command"),
        (b"wait 1", "illegal script command"),
        (b"sys ls", "illegal script command"),
        (b"w 1", "invalid script"),
        (b"w 1 x", "invalid script"),
        (b"m 1 x", "invalid script"),
        (b"dcr 5", "invalid script"),
        (b"lda v150", "script variable id not 0-149"),
        (b"lda p10", "script parameter id not 0-9"),
        (b"tag 1 tag 1", "script has duplicate tag"),
        (b"jmp 1", "script has unresolved tag"),
    ],
)
def test_what_is_no_script_is_refused(pi: Pi, text: bytes, error: str) -> None:
    with pytest.raises(pigpio.error) as raised:
        pi.store_script(text)
    assert raised.value.value == error


@pytest.mark.parametrize("text", [b"lda 1 div 0", b"popa", b"tag 1 pusha jmp 1", b"ret"])
def test_a_script_that_goes_wrong_has_failed(pi: Pi, text: bytes) -> None:
    script = pi.store_script(text)
    pi.run_script(script)
    deadline = time.monotonic() + WAIT_S
    while pi.script_status(script)[0] != pigpio.PI_SCRIPT_FAILED:
        assert time.monotonic() < deadline
    pi.delete_script(script)


def test_an_endless_script_leaves_the_others_alone_and_is_stopped(pi: Pi) -> None:
    script = pi.store_script(b"tag 1 inr p0 jmp 1")
    pi.run_script(script)
    assert pi.read(17) == 0
    assert pi.script_status(script)[0] == pigpio.PI_SCRIPT_RUNNING
    pi.update_script(script, [0x80000000, 77])
    assert pi.script_status(script)[1][1] == 77
    assert pi.stop_script(script) == 0
    count = pi.script_status(script)[1][0]
    pause(0.02)
    assert pi.script_status(script) == (pigpio.PI_SCRIPT_HALTED, pi.script_status(script)[1])
    assert pi.script_status(script)[1][0] == count
    pi.delete_script(script)


def test_ids_and_room(pi: Pi) -> None:
    for call in (pi.run_script, pi.stop_script, pi.delete_script, pi.update_script):
        with pytest.raises(pigpio.error, match="unknown script id"):
            call(31)
    assert pi.script_status(31)[0] == -48
    scripts = [pi.store_script(b"nop") for _ in range(HANDLES)]
    with pytest.raises(pigpio.error, match="no more room for scripts"):
        pi.store_script(b"nop")
    with pytest.raises(pigpio.error, match="too many script parameters"):
        pi.run_script(scripts[0], list(range(11)))
    for script in scripts:
        pi.delete_script(script)


def test_what_is_not_simulated_says_so(pi: Pi) -> None:
    for name, arguments, text in (
        ("serial_open", ("/dev/ttyAMA0", 9600), "can't open serial device"),
        ("serial_open", ("nonsense", 9600), "bad serial device name"),
        ("serial_close", (0,), "unknown handle"),
        ("file_open", ("/tmp/x", 1), "no permission to access file"),
        ("bb_serial_read_open", (17, 9600), "unknown command"),
        ("bb_serial_read_close", (17,), "no bit bang serial read in progress on GPIO"),
    ):
        with pytest.raises(pigpio.error) as raised:
            getattr(pi, name)(*arguments)
        assert raised.value.value == text
    assert pi.file_list("/tmp/*")[0] == -137
    assert pi.bsc_i2c(0x13)[0] == -88
    assert pi.shell("script") == 32_512


WORDS = st.one_of(
    st.sampled_from(
        [*SHAPES, *BY_NAME, "w", "m", "p0", "v1", "v149", "p9", "1", "-5", "0x10", "r"]
    ),
    st.text(max_size=4),
    st.integers(-(1 << 40), 1 << 40).map(str),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=12))
def test_no_text_makes_the_daemon_raise(words: list[str]) -> None:
    daemon = Daemon(Bare([(18, 17)]))
    daemon.connect(1)
    text = " ".join(words).encode("latin-1", "replace")

    def ask(name: str, first: int, extension: bytes = b"") -> None:
        request = REQUEST.pack(BY_NAME[name].number, first, 0, len(extension)) + extension
        assert daemon.receive_data(1, request, 1.0)

    ask("PROC", 0, text)
    ask("PROCR", 0)
    for now in (1.0, 1.001, 1.5, 70.0, 140.0):
        daemon.handle_timer(now)
    ask("PROCP", 0)
