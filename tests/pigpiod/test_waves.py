"""Waveforms by the unmodified client, and their edges to the microsecond in virtual time."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

import pigpio
import pytest

from controller.loop import pause
from controller.pigpiod.circuit import Bare
from controller.pigpiod.daemon import Daemon, SendBytes
from controller.pigpiod.waves import Step, blocks_of, in_time, merge
from controller.pigpiod.wire import BY_NAME, REPLY, REPORT, REQUEST
from tests.pigpiod.served import Pi, Served, Told, client, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIN, OTHER = 1 << 23, 1 << 24


@pytest.fixture
def server() -> Iterator[Served]:
    with served(Daemon(Bare([(18, 17)]))) as running:
        yield running


@pytest.fixture
def pi(server: Served) -> Iterator[Pi]:
    with client(server) as connected:
        connected.set_mode(23, pigpio.OUTPUT)
        connected.set_mode(24, pigpio.OUTPUT)
        yield connected


class Quiet:
    """A daemon in virtual time with one client that watches GPIO 23 and 24."""

    def __init__(self) -> None:
        self.daemon = Daemon(Bare())
        self.daemon.connect(1)
        self.now = 50.0
        self.data = b""
        for gpio in (23, 24):
            self.ask("MODES", gpio, 1)
        self.ask("NOIB")
        self.ask("NB", 0, PIN | OTHER)

    def ask(self, name: str, first: int = 0, second: int = 0, ext: bytes = b"") -> int:
        request = REQUEST.pack(BY_NAME[name].number, first, second, len(ext)) + ext
        outputs = self.daemon.receive_data(1, request, self.now)
        *reports, reply = [output.data for output in outputs if isinstance(output, SendBytes)]
        self.data += b"".join(reports)
        return int(REPLY.unpack(reply)[3])

    def pulses(self, *pulses: tuple[int, int, int]) -> int:
        self.ask("WVAG", ext=b"".join(struct.pack("<III", *pulse) for pulse in pulses))
        return self.ask("WVCRE")

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.daemon.next_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            for output in self.daemon.handle_timer(self.now):
                assert isinstance(output, SendBytes)
                self.data += output.data
        self.now = end

    def edges(self, gpio: int = 23) -> list[tuple[int, int]]:
        """(microseconds since the first edge, level) of a pin, and forget them."""
        levels = [(tick, word >> gpio & 1) for _, _, tick, word in REPORT.iter_unpack(self.data)]
        self.data = b""
        changes = [levels[0], *(b for a, b in pairwise(levels) if a[1] != b[1])] if levels else []
        return [(tick - changes[0][0], level) for tick, level in changes]


# --- building ------------------------------------------------------------------------------------


def test_waveforms_are_merged_in_time() -> None:
    one, length = in_time([(1, 0, 10), (0, 1, 20)])
    other, _ = in_time([(0, 0, 5), (2, 0, 5), (0, 2, 1)])
    assert length == 30
    assert merge(one, other) == [
        Step(0, 1, 0),
        Step(5, 2, 0),
        Step(10, 0, 3),
    ]
    assert merge([], one) == one
    assert blocks_of(one, 30) == 4
    assert blocks_of([Step(0, 0, 0)], 5) == 1
    assert blocks_of([], 0) == 0


def test_figures_of_waveforms(pi: Pi) -> None:
    pi.wave_clear()
    assert pi.wave_add_generic([pigpio.pulse(PIN, 0, 100), pigpio.pulse(0, PIN, 200)]) == 2
    assert pi.wave_add_generic([pigpio.pulse(OTHER, 0, 50), pigpio.pulse(0, OTHER, 50)]) == 3
    assert (pi.wave_get_micros(), pi.wave_get_pulses(), pi.wave_get_cbs()) == (300, 3, 6)
    assert pi.wave_get_max_micros() == 1_800_000_000
    assert pi.wave_get_max_pulses() == 12_000
    assert pi.wave_get_max_cbs() == 25_016
    wave = pi.wave_create()
    assert wave == 0
    # The original forgets them neither when it makes the waveform nor for a new one.
    assert (pi.wave_get_micros(), pi.wave_get_pulses(), pi.wave_get_cbs()) == (300, 3, 6)
    assert pi.wave_send_once(wave) == 7
    pi.wave_add_new()
    assert pi.wave_get_micros() == 300
    pi.wave_add_generic([pigpio.pulse(PIN, 0, 10)])
    assert pi.wave_get_micros() == 10
    assert pi.wave_delete(wave) == 0


def test_ids_are_used_again_as_the_original_does(pi: Pi) -> None:
    pi.wave_clear()

    def make(pulses: int) -> int:
        pi.wave_add_generic([pigpio.pulse(PIN, 0, 10), pigpio.pulse(0, PIN, 10)] * pulses)
        return int(pi.wave_create())

    assert [make(n) for n in (1, 2, 3)] == [0, 1, 2]
    pi.wave_delete(1)
    assert make(1) == 3  # another size: not in its place
    assert make(2) == 1
    pi.wave_delete(3)
    pi.wave_delete(1)
    pi.wave_delete(2)
    assert make(5) == 1
    pi.wave_add_generic([pigpio.pulse(PIN, 0, 10)])
    assert pi.wave_create_and_pad(50) == 2
    pi.wave_add_generic([pigpio.pulse(PIN, 0, 10)])
    with pytest.raises(pigpio.error, match="No more CBs for waveform"):
        pi.wave_create_and_pad(51)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda pi: pi.wave_create(), "attempt to create an empty waveform"),
        (lambda pi: pi.wave_create_and_pad(101), "bad i2c/spi/ser parameter"),
        (lambda pi: pi.wave_delete(7), "non existent wave id"),
        (lambda pi: pi.wave_send_once(7), "non existent wave id"),
        (lambda pi: pi.wave_send_using_mode(make_wave(pi), 4), "waveform mode not 0-1"),
        (lambda pi: pi.wave_tx_start(), "deprecated function removed"),
        (
            lambda pi: pi.wave_add_generic([pigpio.pulse(1 << 30, 0, 1)]),
            "no permission to update one or more GPIO",
        ),
        (
            lambda pi: [pi.wave_add_generic(long_list(after)) for after in range(4)],
            "waveform has too many pulses",
        ),
    ],
)
def test_what_cannot_be_done_is_said(pi: Pi, call: Callable[[Pi], object], text: str) -> None:
    pi.wave_clear()
    with pytest.raises(pigpio.error) as raised:
        call(pi)
    assert raised.value.value == text


def long_list(after: int) -> list[pigpio.pulse]:
    """4001 pulses, none at the time of one of another list."""
    pulses = [pigpio.pulse(PIN, 0, 7), pigpio.pulse(0, PIN, 11)] * 2000
    return [pigpio.pulse(0, 0, 1 + after * 100_000), *pulses]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((23, 49, b"a"), "baud rate not 50-250000(RX)/1000000(TX)"),
        ((30, 300, b"a"), "no permission to update GPIO"),
        ((32, 300, b"a"), "GPIO not 0-31"),
        ((23, 300, b"a", 0, 33), "serial data bits not 1-32"),
        ((23, 300, b"a", 0, 8, 9), "serial (half) stop bits not 2-8"),
        ((23, 300, bytes(1201)), "waveform has too many chars"),
        ((23, 300, b"a", 1_800_000_001), "add serial data offset > 30 minute"),
    ],
)
def test_serial_arguments_are_checked(pi: Pi, arguments: tuple[object, ...], text: str) -> None:
    with pytest.raises(pigpio.error) as raised:
        pi.wave_add_serial(*arguments)
    assert raised.value.value == text


WAVE = -1
"""In a chain below: a waveform that exists."""


@pytest.mark.parametrize(
    ("chain", "text"),
    [
        ([9], "non existent wave id"),
        ([255, 9], "bad chain command"),
        ([255], "bad chain command"),
        ([255, 2, 1], "bad chain command"),
        ([255, 1, 2, 0], "empty chain loop"),
        ([255, 0, 255, 3], "empty chain loop"),
        ([255, 0] * 11, "chain counters nested too deeply"),
        ([255, 0, WAVE, 255, 3, 0], "loop forever must be last chain command"),
        ([255, 0, 255, 0, WAVE, 255, 1, 255, 255, 255, 1, 9, 0], "chain is too long"),
        ([255, 0, WAVE, 255, 1, 2, 0] * 21, "too many chain counters"),
    ],
)
def test_chains_that_are_wrong(pi: Pi, chain: list[int], text: str) -> None:
    pi.wave_clear()
    wave = make_wave(pi)
    with pytest.raises(pigpio.error) as raised:
        pi.wave_chain([wave if item == WAVE else item for item in chain])
    assert raised.value.value == text


def make_wave(pi: Pi) -> int:
    pi.wave_add_generic([pigpio.pulse(PIN, 0, 1), pigpio.pulse(0, PIN, 1)])
    return int(pi.wave_create())


# --- sending -------------------------------------------------------------------------------------


def test_a_waveform_goes_out_once_with_its_delays() -> None:
    quiet = Quiet()
    wave = quiet.pulses((PIN, 0, 500), (0, PIN, 1500), (PIN, 0, 25), (0, PIN, 0))
    assert quiet.ask("WVTX", wave) == 8
    assert quiet.ask("WVBSY") == 1
    assert quiet.ask("WVTAT") == wave
    quiet.run(0.01)
    assert quiet.edges() == [(0, 1), (500, 0), (2000, 1), (2025, 0)]
    assert quiet.ask("WVBSY") == 0
    assert quiet.ask("WVTAT") == 9999
    assert quiet.ask("READ", 23) == 0


def test_a_waveform_repeats_until_it_is_stopped() -> None:
    quiet = Quiet()
    wave = quiet.pulses((PIN, OTHER, 1000), (OTHER, PIN, 3000))
    quiet.ask("WVTXR", wave)
    quiet.run(0.0205)
    data = quiet.data
    edges = quiet.edges()
    assert edges[:6] == [(0, 1), (1000, 0), (4000, 1), (5000, 0), (8000, 1), (9000, 0)]
    quiet.data = data
    assert [level for _, level in quiet.edges(24)][-1] == 0 or edges[-1][1] == 0
    level = quiet.ask("READ", 23)
    quiet.ask("WVHLT")
    assert quiet.ask("WVBSY") == 0
    quiet.run(0.002)  # what was before it is still told
    quiet.data = b""
    quiet.run(0.02)
    assert quiet.edges() == []
    assert quiet.ask("READ", 23) == level


def test_a_synchronous_waveform_waits_for_the_one_before() -> None:
    quiet = Quiet()
    short = quiet.pulses((PIN, 0, 300), (0, PIN, 300))
    long = quiet.pulses((PIN, 0, 1000), (0, PIN, 1000))
    quiet.ask("WVTXR", short)
    quiet.run(0.0013)
    quiet.ask("WVTXM", long, 2)
    quiet.run(0.01)
    assert quiet.edges() == [
        (0, 1), (300, 0), (600, 1), (900, 0), (1200, 1), (1500, 0), (1800, 1), (2800, 0),
    ]  # fmt: skip


def test_a_chain_has_loops_delays_and_a_part_for_ever() -> None:
    quiet = Quiet()
    first = quiet.pulses((PIN, 0, 100), (0, PIN, 100))
    second = quiet.pulses((PIN, 0, 400), (0, PIN, 600))
    chain = [
        first,
        255, 0, first, 255, 2, 200, 0, 255, 1, 2, 0,
        255, 0, second, 255, 3,
    ]  # fmt: skip
    assert quiet.ask("WVCHA", ext=bytes(chain)) == 0
    assert quiet.ask("WVTAT") == 9998
    quiet.run(0.004)
    assert quiet.edges()[:12] == [
        (0, 1), (100, 0), (200, 1), (300, 0), (600, 1), (700, 0),
        (1000, 1), (1400, 0), (2000, 1), (2400, 0), (3000, 1), (3400, 0),
    ]  # fmt: skip
    assert quiet.ask("WVBSY") == 1


def test_a_loop_of_none_is_left_out() -> None:
    quiet = Quiet()
    wave = quiet.pulses((PIN, 0, 100), (0, PIN, 100))
    other = quiet.pulses((OTHER, 0, 100), (0, OTHER, 100))
    assert quiet.ask("WVCHA", ext=bytes([255, 0, other, 255, 1, 0, 0, wave])) == 0
    quiet.run(0.01)
    data = quiet.data
    assert quiet.edges() == [(0, 1), (100, 0)]
    quiet.data = data
    assert {level for _, level in quiet.edges(24)} == {0}


def test_serial_characters_have_their_bits() -> None:
    quiet = Quiet()
    quiet.ask("WRITE", 23, 1)
    quiet.run(0.01)
    quiet.data = b""
    ext = struct.pack("<III", 8, 2, 0) + b"\x55\x00"
    assert quiet.ask("WVAS", 23, 10_000, ext) > 0
    quiet.ask("WVTX", quiet.ask("WVCRE"))
    quiet.run(0.01)
    # 0x55: start 0, then 1 0 1 0 1 0 1 0, stop 1; 0x00: nine times 0, stop 1.
    expected = [(n * 100, n % 2) for n in range(10)] + [(1000, 0), (1900, 1)]
    assert quiet.edges() == expected


def test_hardware_pwm_and_waveforms_end_each_other() -> None:
    quiet = Quiet()
    quiet.ask("HP", 18, 1000, struct.pack("<I", 500_000))
    wave = quiet.pulses((PIN, 0, 1000), (0, PIN, 1000))
    quiet.ask("WVTXR", wave)
    assert quiet.ask("GDC", 18) == -92
    assert quiet.ask("READ", 18) == 0
    quiet.ask("HP", 18, 1000, struct.pack("<I", 500_000))
    assert quiet.ask("WVBSY") == 0


def test_the_clients_own_example_with_callbacks(pi: Pi) -> None:
    told = Told()
    pi.callback(24, pigpio.EITHER_EDGE, told)
    pi.wave_clear()
    pi.wave_add_generic([pigpio.pulse(OTHER, 0, 2000), pigpio.pulse(0, OTHER, 3000)])
    wave = pi.wave_create()
    pi.wave_send_repeat(wave)
    items = told.wait(20)
    assert pi.wave_tx_busy() == 1
    assert pi.wave_tx_at() == wave
    pi.wave_tx_stop()
    gaps = [pigpio.tickDiff(a[2], b[2]) for a, b in pairwise(items)]
    assert set(gaps) == {2000, 3000}
    pause(0.01)
    assert pi.wave_tx_busy() == 0
