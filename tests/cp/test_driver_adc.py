"""Both converter drivers on the models of their chips: order, age, faults, recovery."""

from __future__ import annotations

import errno
import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.cp.driver_ads1115 import (
    CHECK_EVERY,
    CONVERSION_S,
    RETRY_S,
    Ads1115,
    KernelBus,
    PigpioBus,
    configuration,
    rota,
)
from controller.cp.driver_mcp3208 import KernelSpi, Mcp3208, PigpioSpi, request
from controller.cp.sim_adc import SimAds1115, SimMcp3208
from controller.errors import PortError
from tests.cp.converters import NO_ANSWER, Clock, ModelBus, ModelSpi
from tests.fake_pigpiod import FakePigpiod, patient_link, running, step_until

if TYPE_CHECKING:
    from collections.abc import Iterator

LSB_V = 4.096 / 32768
PERIOD_S = 0.005


class AdsBench:
    """An ADS1115 whose inputs are `volts`, and the driver, stepped by the test's clock."""

    def __init__(self, slow: tuple[int, ...] = (2, 3)) -> None:
        self.volts = [2.9, 0.42, 1.5, 0.7]
        self.clock = Clock()
        self.chip = SimAds1115(lambda number, _: self.volts[number])
        self.bus = ModelBus(self.chip, self.clock)
        self.adc = Ads1115(self.bus, self.clock, (0, 1), slow)

    def step(self, after_s: float = PERIOD_S / 2) -> None:
        self.clock.now += after_s
        self.adc.step(self.clock.now)

    def run(self, steps: int, after_s: float = PERIOD_S / 2) -> None:
        for _ in range(steps):
            self.step(after_s)

    def volt(self, channel: int) -> float:
        measured = self.adc.latest(channel)
        assert measured is not None
        return measured.volts

    def age_s(self, channel: int) -> float:
        measured = self.adc.latest(channel)
        assert measured is not None
        return self.clock.now - measured.taken_at


def test_every_input_is_measured() -> None:
    bench = AdsBench()
    assert bench.adc.latest(0) is None
    bench.run(60)
    for channel, volts in enumerate(bench.volts):
        assert bench.volt(channel) == pytest.approx(volts, abs=LSB_V)
    assert bench.adc.problem() == ""


def test_twice_a_period_both_levels_are_new_in_every_period() -> None:
    bench = AdsBench(slow=())
    bench.run(20)
    for _ in range(50):
        bench.step()  # middle of the period
        bench.step()  # its start, where the sample is read
        assert max(bench.age_s(0), bench.age_s(1)) == pytest.approx(PERIOD_S)
        assert min(bench.age_s(0), bench.age_s(1)) == pytest.approx(PERIOD_S / 2)


def test_once_a_period_they_are_new_in_every_second_one() -> None:
    bench = AdsBench(slow=())
    bench.run(20, PERIOD_S)
    ages = []
    for _ in range(50):
        bench.step(PERIOD_S)
        ages.append(max(bench.age_s(0), bench.age_s(1)))
    assert max(ages) == pytest.approx(2 * PERIOD_S)


def test_slow_inputs_come_in_pairs_and_rarely() -> None:
    order = list(itertools.islice(rota((0, 1), (2, 3)), 44))
    assert order[:4] == [0, 1, 0, 1]
    assert order[20:24] == [2, 3, 0, 1]
    assert order.count(2) == order.count(3) == 2
    assert list(itertools.islice(rota((0, 1), (2,)), 22))[-2:] == [2, 2]
    assert set(itertools.islice(rota((0, 1), ()), 100)) == {0, 1}


def test_a_conversion_is_not_fetched_before_it_can_be_done_however_late_it_was_started() -> None:
    """A period that ran late starts it late; the next call may follow at once."""
    bench = AdsBench()
    bench.chip.slow = 1.1
    bench.step()
    for _ in range(12):
        bench.step(0.0001)
        assert bench.bus.reads == []
    bench.step(0.0002)
    assert bench.bus.reads == [1, 0]
    assert len(bench.bus.writes) == 2


@settings(max_examples=40)
@given(st.lists(st.floats(0.0, 0.01), min_size=20, max_size=80), st.floats(0.9, 1.1))
def test_no_timing_mixes_up_the_inputs(pauses: list[float], slow: float) -> None:
    bench = AdsBench()
    bench.chip.slow = slow
    for pause_s in pauses:
        bench.step(pause_s)
        for channel, volts in enumerate(bench.volts):
            if bench.adc.latest(channel) is not None:
                assert bench.volt(channel) == pytest.approx(volts, abs=LSB_V)


@given(st.floats(-0.3, 3.6))
def test_volts_come_back_to_half_a_step(volts: float) -> None:
    bench = AdsBench()
    bench.volts[0] = volts
    bench.run(6)
    assert bench.volt(0) == pytest.approx(volts, abs=LSB_V / 2 + 1e-9)


def test_the_time_of_a_measurement_is_when_its_conversion_was_begun() -> None:
    bench = AdsBench(slow=())
    bench.run(5)
    begun_at = bench.clock.now
    bench.step(0.2)
    measured = bench.adc.latest(0)
    assert measured is not None
    assert measured.taken_at == begun_at


def test_one_disturbed_transfer_is_repeated_at_once_and_no_problem() -> None:
    bench = AdsBench()
    bench.run(9)
    before = bench.adc.latest(0)
    bench.bus.error = errno.EIO
    bench.step()
    assert bench.adc.problem() == ""
    assert bench.adc.latest(0) == before
    bench.bus.error = 0
    bench.run(4)
    assert bench.adc.problem() == ""
    assert bench.age_s(0) < 3 * PERIOD_S


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (NO_ANSWER, "no answer on the I2C bus"),
        (errno.ENXIO, "no answer on the I2C bus"),
        (errno.ETIMEDOUT, "I2C bus hangs"),
        (errno.EBUSY, "remove its overlay"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_bus_without_answer_lets_the_values_grow_old_and_comes_back(
    code: int, words: str
) -> None:
    bench = AdsBench()
    bench.run(10)
    before = bench.adc.latest(0)
    bench.bus.error = code
    bench.run(200)
    assert words in bench.adc.problem()
    assert bench.adc.latest(0) == before
    assert bench.age_s(0) > 0.4
    bench.bus.error = 0
    bench.volts[0] = 1.1
    bench.run(round(RETRY_S[-1] / PERIOD_S * 2) + 4)
    assert bench.adc.problem() == ""
    assert bench.volt(0) == pytest.approx(1.1, abs=LSB_V)


def test_a_bus_that_hangs_is_left_alone_for_longer_and_longer() -> None:
    bench = AdsBench()
    bench.bus.error = errno.ETIMEDOUT
    attempts = []
    fail = bench.bus._fail
    bench.bus._fail = lambda: attempts.append(bench.clock.now) or fail()  # type: ignore[method-assign, func-returns-value]
    bench.run(800)  # two seconds
    assert len(attempts) <= 13
    assert attempts[-1] - attempts[-2] == pytest.approx(RETRY_S[-1], abs=PERIOD_S)


@pytest.mark.parametrize("word", [0x0000, 0xFFFF, 0x8583, configuration(1)])
def test_another_part_at_its_address_is_noticed_at_the_start(word: int) -> None:
    bench = AdsBench()

    def read_word(register: int) -> int:
        return (word & 0xFF) << 8 | word >> 8

    bench.bus.read_word = read_word  # type: ignore[method-assign]
    bench.run(20)
    assert "no ADS1115" in bench.adc.problem()
    assert f"{word:#06x}" in bench.adc.problem()
    assert bench.adc.latest(0) is None


def test_a_part_that_forgets_is_noticed_while_running() -> None:
    bench = AdsBench()
    bench.run(10)
    bench.bus.write_word = lambda *_: None  # type: ignore[method-assign] # hears nothing any more
    bench.chip.write(bytes((1, 0x85, 0x83)), bench.clock())
    bench.run(CHECK_EVERY * 3)
    assert "no ADS1115" in bench.adc.problem()


def test_a_conversion_that_never_ends_is_noticed() -> None:
    bench = AdsBench()
    bench.chip.slow = 1000.0
    bench.run(20)
    assert "does not end" in bench.adc.problem()


def test_transfers_of_a_step() -> None:
    """What a period costs on the bus: a word written and a word read, now and then one more."""
    bench = AdsBench()
    bench.run(5)
    bench.bus.reads.clear()
    bench.bus.writes.clear()
    bench.run(CHECK_EVERY * 10)
    assert len(bench.bus.writes) == CHECK_EVERY * 10
    assert len(bench.bus.reads) == CHECK_EVERY * 10 + 10
    assert {register for register, _ in bench.bus.writes} == {1}


def test_closing_gives_the_bus_back() -> None:
    bench = AdsBench()
    bench.adc.close()
    assert bench.bus.is_closed


def test_the_configuration_is_what_the_data_sheet_says() -> None:
    assert [configuration(channel) for channel in range(4)] == [0xC3E3, 0xD3E3, 0xE3E3, 0xF3E3]
    assert 1 / 860 * 1.1 + 25e-6 < CONVERSION_S < PERIOD_S / 2


def test_a_machine_without_i2c_says_what_to_do() -> None:
    with pytest.raises(PortError, match=r"/dev/i2c-99: .*i2c_arm=on") as caught:
        KernelBus(99)
    assert "\n" not in str(caught.value)


# --- through the daemon --------------------------------------------------------------------------


@pytest.fixture
def daemon() -> Iterator[FakePigpiod]:
    with running() as made:
        yield made


def test_the_same_driver_runs_through_the_daemon_and_opens_anew(daemon: FakePigpiod) -> None:
    clock = Clock()
    daemon.now = clock
    daemon.i2c[0x48] = SimAds1115(lambda number, _: 1.0 + number)
    link = patient_link(daemon)
    step_until(link, lambda: link.is_up)
    adc = Ads1115(PigpioBus(link), clock, (0, 1))
    for _ in range(6):
        clock.now += 0.0025
        adc.step(clock.now)
    measured = adc.latest(1)
    assert measured is not None
    assert measured.volts == pytest.approx(2.0, abs=LSB_V)
    daemon.stop()
    for _ in range(6):
        clock.now += 0.05
        adc.step(clock.now)
    assert "pigpio daemon" in adc.problem()
    daemon.start()
    step_until(link, lambda: link.is_up, 1.0, pace_s=0.01)
    for _ in range(4):
        clock.now += 0.3
        adc.step(clock.now)
    measured = adc.latest(0)
    assert measured is not None
    assert measured.taken_at > clock.now - 1.0
    assert daemon.handles == [0x48]
    assert adc.problem() == ""
    adc.close()
    adc.close()


def test_a_missing_part_behind_the_daemon_is_told(daemon: FakePigpiod) -> None:
    clock = Clock()
    link = patient_link(daemon)
    step_until(link, lambda: link.is_up)
    adc = Ads1115(PigpioBus(link), clock, (0, 1))
    for _ in range(6):
        clock.now += 0.1
        adc.step(clock.now)
    assert "refused" in adc.problem()
    assert link.is_up


def test_mcp3208_through_the_daemon(daemon: FakePigpiod) -> None:
    daemon.spi[1] = SimMcp3208(lambda number, _: 0.3 * number)
    link = patient_link(daemon)
    step_until(link, lambda: link.is_up)
    adc = Mcp3208(PigpioSpi(link), (0, 1), (2, 7))
    adc.step(1.0)
    for channel in (0, 1, 2, 7):
        measured = adc.latest(channel)
        assert measured is not None
        assert measured.volts == pytest.approx(0.3 * channel, abs=0.001)
        assert measured.taken_at == 1.0
    adc.close()
    adc.close()


# --- MCP3208 -------------------------------------------------------------------------------------


class McpBench:
    def __init__(self) -> None:
        self.volts = [2.9, 0.42, 1.5, 0.7]
        self.clock = Clock()
        self.bus = ModelSpi(SimMcp3208(lambda number, _: self.volts[number]), self.clock)
        self.adc = Mcp3208(self.bus, (0, 1), (2, 3))

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.clock.now += PERIOD_S
            self.adc.step(self.clock.now)


def test_mcp3208_measures_both_levels_in_every_period() -> None:
    bench = McpBench()
    bench.run(1)
    for _ in range(30):
        bench.run(1)
        for channel in (0, 1):
            measured = bench.adc.latest(channel)
            assert measured is not None
            assert measured.taken_at == bench.clock.now
            assert measured.volts == pytest.approx(bench.volts[channel], abs=3.3 / 4096)
    assert bench.bus.asked.count(request(2)) == 2
    assert bench.adc.latest(3) is not None


@given(st.floats(-0.5, 3.8), st.integers(0, 7))
def test_mcp3208_volts_come_back_to_a_step_within_its_range(volts: float, channel: int) -> None:
    chip = SimMcp3208(lambda number, _: volts if number == channel else 1.234)
    adc = Mcp3208(ModelSpi(chip, Clock()), (channel,))
    adc.step(0.0)
    measured = adc.latest(channel)
    assert measured is not None
    assert measured.volts == pytest.approx(max(0.0, min(3.3, volts)), abs=3.3 / 4096 + 1e-9)


def test_mcp3208_without_a_part_is_told_and_comes_back() -> None:
    bench = McpBench()
    bench.bus.stuck = 0xFF
    bench.run(40)
    assert "no answer on the SPI bus" in bench.adc.problem()
    assert bench.adc.latest(0) is None
    bench.bus.stuck = None
    bench.run(12)
    assert bench.adc.problem() == ""
    bench.bus.error = errno.EIO
    bench.run(1)
    assert bench.adc.problem() == ""  # once is no problem
    bench.run(1)
    assert "Input/output error" in bench.adc.problem()
    bench.bus.error = 0
    bench.run(12)
    assert bench.adc.problem() == ""
    bench.adc.close()
    assert bench.bus.is_closed


def test_a_machine_without_spi_says_what_to_do() -> None:
    with pytest.raises(PortError, match=r"spidev.*(pip install|config\.txt)") as caught:
        KernelSpi(9, 9)
    assert "\n" not in str(caught.value)
