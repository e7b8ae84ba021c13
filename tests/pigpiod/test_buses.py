"""I2C and SPI by the unmodified client: every shape, with register models and with nobody there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gpiozero
import pigpio
import pytest
from gpiozero.pins.pigpio import PiGPIOFactory

from controller.cp.sim_adc import SimAds1115, SimMcp3208
from controller.pigpiod.circuit import Bare
from controller.pigpiod.daemon import Daemon
from controller.pigpiod.wire import HANDLES, I2C_HANDLES
from tests.pigpiod.served import WAIT_S, Pi, Served, client, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Memory:
    """A device of 256 registers; a write sets the pointer and what follows, a read goes on."""

    def __init__(self) -> None:
        self.bytes = bytearray(range(256))
        self.pointer = 0
        self.writes: list[bytes] = []

    def write(self, data: bytes, now: float) -> None:
        self.writes.append(data)
        if data:
            self.pointer = data[0]
            self.bytes[self.pointer : self.pointer + len(data) - 1] = data[1:]

    def read(self, count: int, now: float) -> bytes:
        return bytes(self.bytes[(self.pointer + n) % 256] for n in range(count))


class Echo:
    """An SPI device that answers the opposite."""

    def transfer(self, data: bytes, now: float) -> bytes:
        return bytes(byte ^ 0xFF for byte in data)


MEMORY = Memory()


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    circuit = Bare()
    circuit.i2c_devices[1, 0x50] = MEMORY
    circuit.i2c_devices[1, 0x48] = SimAds1115(lambda channel, at: 0.5 + channel)
    circuit.spi_devices[False, 0] = SimMcp3208(lambda channel, at: 0.3 * channel)
    circuit.spi_devices[False, 1] = Echo()
    with served(Daemon(circuit)) as running:
        yield running


@pytest.fixture
def pi(server: Served) -> Iterator[Pi]:
    MEMORY.__init__()  # type: ignore[misc]
    with client(server) as connected:
        yield connected


# --- I2C -----------------------------------------------------------------------------------------


def test_smbus_bytes_and_words(pi: Pi) -> None:
    handle = pi.i2c_open(1, 0x50)
    assert pi.i2c_write_quick(handle, 0) == 0
    assert pi.i2c_write_byte(handle, 0x10) == 0
    assert pi.i2c_read_byte(handle) == 0x10
    assert pi.i2c_write_byte_data(handle, 0x20, 0xAA) == 0
    assert pi.i2c_read_byte_data(handle, 0x20) == 0xAA
    assert pi.i2c_write_word_data(handle, 0x30, 0x1234) == 0
    assert pi.i2c_read_word_data(handle, 0x30) == 0x1234
    assert bytes(MEMORY.bytes[0x30:0x32]) == b"\x34\x12"
    assert pi.i2c_process_call(handle, 0x40, 0xBEEF) == 0xBEEF
    assert pi.i2c_close(handle) == 0


def test_smbus_blocks(pi: Pi) -> None:
    handle = pi.i2c_open(1, 0x50)
    assert pi.i2c_write_block_data(handle, 5, b"hello") == 0
    assert MEMORY.writes[-1] == b"\x05\x05hello"
    assert pi.i2c_read_block_data(handle, 5) == (5, b"hello")
    assert pi.i2c_block_process_call(handle, 9, [2, 5, 16]) == (3, b"\x02\x05\x10")
    assert pi.i2c_write_i2c_block_data(handle, 0x60, b"abc") == 0
    assert pi.i2c_read_i2c_block_data(handle, 0x60, 3) == (3, b"abc")
    pi.i2c_close(handle)


def test_raw_devices_and_zip(pi: Pi) -> None:
    handle = pi.i2c_open(1, 0x50)
    assert pi.i2c_write_device(handle, b"\x70xyz") == 0
    assert pi.i2c_read_device(handle, 3) == (3, b"xyz")
    assert pi.i2c_zip(handle, [4, 0x50, 7, 1, 0x71, 6, 2, 0]) == (2, b"yz")
    assert pi.i2c_zip(handle, [2, 1, 7, 1, 0, 0x70, 3, 5, 0, 0, 1, 6, 3, 0, 0]) == (3, b"xyz")
    assert pi.i2c_zip(handle, [7, 1, 0x70, 0, 6, 9]) == (0, "")  # all after the end is ignored
    pi.i2c_close(handle)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda pi, h: pi.i2c_open(1, 0x80), "bad I2C address"),
        (lambda pi, h: pi.i2c_open(2, 0x50), "bad I2C bus"),
        (lambda pi, h: pi.i2c_open(1, 0x50, 1), "bad i2c/spi/ser open flags"),
        (lambda pi, h: pi.i2c_close(511), "unknown handle"),
        (lambda pi, h: pi.i2c_read_byte(511), "unknown handle"),
        (lambda pi, h: pi.i2c_write_byte(h, 256), "bad i2c/spi/ser parameter"),
        (lambda pi, h: pi.i2c_write_byte_data(h, 256, 0), "bad i2c/spi/ser parameter"),
        (lambda pi, h: pi.i2c_write_word_data(h, 0, 65_536), "bad i2c/spi/ser parameter"),
        (lambda pi, h: pi.i2c_read_word_data(h, 256), "bad i2c/spi/ser parameter"),
        (lambda pi, h: pi.i2c_write_block_data(h, 0, bytes(33)), "bad i2c/spi/ser parameter"),
        (lambda pi, h: pi.i2c_write_quick(h, 2), "bad i2c/spi/ser parameter"),
        (lambda pi, h: pi.bb_i2c_open(4, 5, 49), "bad I2C baud rate, not 50-500k"),
        (lambda pi, h: pi.bb_i2c_close(4), "no bit bang I2C in progress on GPIO"),
        (lambda pi, h: pi.spi_open(2, 50_000), "bad SPI channel"),
        (lambda pi, h: pi.spi_open(0, 31_999), "bad SPI speed"),
        (lambda pi, h: pi.spi_open(0, 50_000, 1 << 22), "bad i2c/spi/ser open flags"),
        (lambda pi, h: pi.spi_close(31), "unknown handle"),
        (lambda pi, h: pi.spi_write(31, b"a"), "unknown handle"),
        (lambda pi, h: pi.bb_spi_open(7, 9, 10, 11, 49), "bad SPI baud rate, not 50-500k"),
        (lambda pi, h: pi.bb_spi_open(7, 9, 30, 11), "no permission to update GPIO"),
        (lambda pi, h: pi.bb_spi_close(7), "no bit bang SPI in progress on GPIO"),
    ],
)
def test_errors(pi: Pi, call: Callable[[Pi, int], object], text: str) -> None:
    handle = pi.i2c_open(1, 0x50)
    with pytest.raises(pigpio.error) as raised:
        call(pi, handle)
    assert raised.value.value == text
    pi.i2c_close(handle)


@pytest.mark.parametrize(
    ("zipped", "error"),
    [
        ([9], -111),
        ([4], -111),
        ([5, 0], -111),
        ([6], -110),
        ([1, 6, 5], -110),
        ([7], -109),
        ([7, 3, 1, 2], -109),
        ([1, 6, 0, 0x80, 0], -110),
        ([], -90),
        ([4, 0x51, 6, 1, 0], -106),
    ],
)
def test_zips_that_are_wrong(pi: Pi, zipped: list[int], error: int) -> None:
    handle = pi.i2c_open(1, 0x50)
    assert pi.i2c_zip(handle, zipped) == (error, "")
    pi.i2c_close(handle)


def test_an_address_where_nobody_is(pi: Pi) -> None:
    handle = pi.i2c_open(1, 0x51)
    for name, arguments in (
        ("i2c_write_quick", (0,)),
        ("i2c_write_byte", (1,)),
        ("i2c_write_word_data", (1, 1)),
        ("i2c_write_block_data", (1, b"a")),
        ("i2c_write_device", (b"a",)),
    ):
        with pytest.raises(pigpio.error, match="I2C write failed"):
            getattr(pi, name)(handle, *arguments)
    for name, numbers in (
        ("i2c_read_byte", ()),
        ("i2c_read_word_data", (1,)),
        ("i2c_process_call", (1, 1)),
    ):
        with pytest.raises(pigpio.error, match="I2C read failed"):
            getattr(pi, name)(handle, *numbers)
    assert pi.i2c_read_device(handle, 2)[0] == -83
    assert pi.i2c_read_block_data(handle, 2)[0] == -83
    assert pi.i2c_read_i2c_block_data(handle, 2, 4)[0] == -83
    assert pi.i2c_read_device(handle, 0)[0] == -81
    pi.i2c_close(handle)


def test_bit_banged_i2c_reaches_the_bus_on_its_pins(pi: Pi) -> None:
    assert pi.bb_i2c_open(2, 3) == 0
    with pytest.raises(pigpio.error, match="GPIO already in use"):
        pi.bb_i2c_open(3, 4)
    assert pi.bb_i2c_zip(2, [4, 0x50, 2, 7, 1, 0x21, 2, 6, 2, 3, 0]) == (2, b"\x21\x22")
    assert pi.bb_i2c_close(2) == 0
    assert pi.bb_i2c_open(5, 6) == 0
    assert pi.bb_i2c_zip(5, [4, 0x50, 2, 7, 1, 0x21, 3, 0])[0] == -82
    pi.bb_i2c_close(5)
    assert pi.bb_i2c_zip(5, [0])[0] == -108


def test_handles_of_i2c_and_spi_run_out(pi: Pi) -> None:
    opened = [pi.i2c_open(1, 0x50) for _ in range(I2C_HANDLES)]
    with pytest.raises(pigpio.error, match="no handle available"):
        pi.i2c_open(1, 0x50)
    for handle in opened:
        pi.i2c_close(handle)
    opened = [pi.spi_open(0, 50_000) for _ in range(HANDLES)]
    with pytest.raises(pigpio.error, match="no handle available"):
        pi.spi_open(0, 50_000)
    for handle in opened:
        pi.spi_close(handle)


def test_an_ads1115_by_word_data(pi: Pi) -> None:
    handle = pi.i2c_open(1, 0x48)
    # OS, AIN2, 4.096 V, single, 860 per second; SMBus words have the low byte first, the part not.
    pi.i2c_write_word_data(handle, 1, 0xE3E3)
    while not pi.i2c_read_word_data(handle, 1) & 0x80:
        pass
    word = pi.i2c_read_word_data(handle, 0)
    volts = int.from_bytes(word.to_bytes(2, "little"), "big") / 32768 * 4.096
    assert volts == pytest.approx(2.5, abs=0.01)
    pi.i2c_close(handle)


# --- SPI -----------------------------------------------------------------------------------------


def test_spi_transfers(pi: Pi) -> None:
    handle = pi.spi_open(1, 50_000, 3)
    assert pi.get_mode(10) == pigpio.ALT0
    assert pi.spi_xfer(handle, b"\x00\x0f") == (2, b"\xff\xf0")
    assert pi.spi_read(handle, 3) == (3, b"\xff\xff\xff")
    assert pi.spi_write(handle, b"abc") == 3
    assert pi.spi_xfer(handle, b"")[0] == -84
    assert pi.spi_close(handle) == 0
    assert pi.get_mode(10) == pigpio.INPUT


def test_spi_without_a_device_reads_zeros(pi: Pi) -> None:
    handle = pi.spi_open(2, 50_000, 1 << 8)
    assert pi.spi_xfer(handle, b"\xff\xff") == (2, b"\0\0")
    pi.spi_close(handle)


def test_an_mcp3208_by_bit_banged_and_hardware_spi(pi: Pi) -> None:
    pi.bb_spi_open(8, 9, 10, 11)
    pi.bb_spi_open(5, 9, 10, 11)  # another select on the same lines
    with pytest.raises(pigpio.error, match="GPIO already in use"):
        pi.bb_spi_open(6, 9, 10, 12)
    count, data = pi.bb_spi_xfer(8, [0x06, 0x80, 0])
    assert count == 3
    assert ((data[1] & 15) << 8 | data[2]) / 4096 * 3.3 == pytest.approx(0.6, abs=0.01)
    assert pi.bb_spi_xfer(5, [1]) == (1, b"\0")
    assert pi.bb_spi_xfer(4, [1])[0] == -142
    pi.bb_spi_close(8)
    pi.bb_spi_close(5)


def test_gpiozeros_own_mcp3208(server: Served) -> None:
    factory = PiGPIOFactory(host="127.0.0.1", port=server.port)
    thread = factory.connection._notify
    with gpiozero.MCP3208(channel=3, port=0, device=0, pin_factory=factory) as adc:
        assert adc.value == pytest.approx(0.9 / 3.3, abs=0.002)
    factory.close()
    thread.join(WAIT_S)
