"""What a pin drives: levels, PWM, servo, hardware PWM, clocks, and the daemon's errors."""

from __future__ import annotations

import pytest

from controller.pigpiod.circuit import PULL_DOWN, PULL_OFF, PULL_UP, Bare
from controller.pigpiod.outputs import Outputs
from controller.pigpiod.pins import ALT0, ALT5, INPUT, OUTPUT, Pins
from controller.pigpiod.wire import Status

MS = 1_000_000
PI_3, PI_4 = 0xA02082, 0xC03111
PERMITTED = 0xFFFFFFC


def board(*joins: tuple[int, int], revision: int = PI_3) -> tuple[Pins, Outputs]:
    pins = Pins(Bare(list(joins)), PERMITTED)
    return pins, Outputs(pins, revision)


def highs(pins: Pins, gpio: int, until: int, step: int = 1000) -> list[tuple[int, int]]:
    """Edges of a pin as read every microsecond."""
    return pins.pins[gpio].line.edges(-1, until)


def test_pins_read_as_they_are_pulled_at_boot() -> None:
    pins, outputs = board()
    assert [pins.read(gpio, 0) for gpio in (0, 8, 9, 27, 28)] == [1, 1, 0, 0, 0]
    pins.set_pull(17, PULL_UP, 0)
    assert pins.read(17, 0) == 1
    pins.set_pull(17, PULL_OFF, 0)
    assert pins.read(17, 0) == 0
    pins.set_pull(2, PULL_DOWN, 0)
    assert pins.read(2, 0) == 1  # the I2C resistors are stronger
    assert outputs.set_mode(54, INPUT, 0) == Status.BAD_GPIO
    assert outputs.set_mode(17, 8, 0) == Status.BAD_MODE


def test_write_makes_an_output_and_a_wire_carries_it() -> None:
    pins, outputs = board((18, 17), (17, 22))
    assert outputs.write(18, 1, 0) == 0
    assert pins.pins[18].mode == OUTPUT
    assert [pins.read(gpio, 0) for gpio in (17, 18, 22, 23)] == [1, 1, 1, 0]
    assert outputs.set_mode(18, INPUT, 5) == 0
    assert pins.read(17, 5) == 0
    pins.set_pull(22, PULL_UP, 6)
    assert pins.read(17, 6) == 1  # a pull reaches over the wire too
    assert outputs.write(17, 2, 7) == Status.BAD_LEVEL
    assert outputs.write(54, 1, 7) == Status.BAD_GPIO


def test_banks_set_latches_of_what_is_permitted_only() -> None:
    pins, outputs = board()
    assert outputs.write_bank(1 << 17 | 1 << 30, 1, 0, 0) == Status.SOME_PERMITTED
    assert pins.read(17, 0) == 0  # still an input
    outputs.set_mode(17, OUTPUT, 1)
    assert pins.read(17, 1) == 1
    assert outputs.write_bank(1 << 17, 0, 0, 2) == 0
    assert pins.read(17, 2) == 0
    assert outputs.write_bank(1, 1, 32, 3) == Status.SOME_PERMITTED


def test_a_trigger_is_a_pulse_and_back() -> None:
    pins, outputs = board((17, 18))
    outputs.write(17, 0, 0)
    assert outputs.trigger(17, 10, 1, 1000) == 0
    assert highs(pins, 18, 10 * MS) == [(11_000, 0)]
    assert pins.read(18, 1000) == 1
    assert outputs.trigger(17, 0, 1, 0) == Status.BAD_PULSELEN
    assert outputs.trigger(17, 101, 1, 0) == Status.BAD_PULSELEN
    assert outputs.trigger(17, 10, 2, 0) == Status.BAD_LEVEL
    assert outputs.trigger(32, 10, 1, 0) == Status.BAD_USER_GPIO


# --- PWM -----------------------------------------------------------------------------------------


def test_pwm_has_its_defaults_and_its_18_frequencies() -> None:
    _, outputs = board()
    assert outputs.get_frequency(17) == 800
    assert outputs.get_range(17) == 255
    assert outputs.get_real_range(17) == 250
    assert outputs.get_duty(17) == Status.NOT_PWM_GPIO
    wanted = [0, 10, 15, 16, 100_000, 1000, 900, 899, 5000]
    assert [outputs.set_frequency(17, hertz, 0) for hertz in wanted] == [
        10, 10, 20, 20, 8000, 1000, 1000, 800, 4000,
    ]  # fmt: skip


def test_pwm_pulses_by_duty_and_range() -> None:
    pins, outputs = board()
    outputs.set_frequency(17, 1000, 0)
    assert outputs.set_range(17, 100, 0) == 200
    assert outputs.set_pwm(17, 25, 100) == 0
    assert highs(pins, 17, 3 * MS) == [
        (MS, 1), (MS + 250_000, 0), (2 * MS, 1), (2 * MS + 250_000, 0), (3 * MS, 1),
    ]  # fmt: skip
    assert outputs.get_duty(17) == 25
    assert outputs.set_range(17, 1000, 3 * MS) == 200
    assert outputs.get_duty(17) == 250
    assert outputs.set_pwm(17, 1000, 3 * MS) == 0
    assert pins.pins[17].line.edges(4 * MS, 9 * MS) == []
    assert pins.read(17, 5 * MS) == 1
    assert outputs.set_pwm(17, 0, 9 * MS) == 0
    assert pins.read(17, 9 * MS) == 0
    assert outputs.set_pwm(17, 1001, 0) == Status.BAD_DUTYCYCLE
    assert outputs.set_range(17, 24, 0) == Status.BAD_DUTYRANGE
    assert outputs.set_pwm(32, 1, 0) == Status.BAD_USER_GPIO


def test_a_write_ends_pwm() -> None:
    pins, outputs = board()
    outputs.set_pwm(17, 128, 0)
    outputs.write(17, 1, 5 * MS)
    assert pins.read(17, 6 * MS) == 1
    assert outputs.get_duty(17) == Status.NOT_PWM_GPIO
    outputs.set_pwm(17, 128, 7 * MS)
    assert outputs.write_bank(1 << 17, 1, 0, 8 * MS) == 0
    assert pins.pins[17].line.next_edge(8 * MS) is not None  # the pulses go on


def test_servo_pulses_come_50_times_a_second() -> None:
    pins, outputs = board()
    assert outputs.get_servo(17) == Status.NOT_SERVO_GPIO
    assert outputs.set_servo(17, 1503, 0) == 0
    assert highs(pins, 17, 21 * MS) == [(0, 1), (1_500_000, 0), (20 * MS, 1)]
    assert outputs.get_servo(17) == 1503
    for width in (499, 2501, 1):
        assert outputs.set_servo(17, width, 0) == Status.BAD_PULSEWIDTH
    assert outputs.set_servo(17, 0, 30 * MS) == 0
    assert pins.read(17, 41 * MS) == 0
    assert outputs.set_servo(32, 0, 0) == Status.BAD_USER_GPIO


# --- hardware PWM --------------------------------------------------------------------------------


def test_hardware_pwm_drives_a_pilot() -> None:
    pins, outputs = board((18, 17))
    assert outputs.set_hardware_pwm(18, 1000, 50_000, 300) == 0
    assert pins.pins[18].mode == ALT5
    assert highs(pins, 17, 2 * MS) == [
        (300, 1), (300 + 50_000, 0), (300 + MS, 1), (300 + MS + 50_000, 0),
    ]  # fmt: skip
    assert (outputs.get_duty(18), outputs.get_range(18), outputs.get_real_range(18)) == (
        50_000, 1_000_000, 250_000,
    )  # fmt: skip
    assert outputs.get_frequency(18) == 1000


def test_another_duty_counts_from_the_next_period_without_a_glitch() -> None:
    pins, outputs = board()
    outputs.set_hardware_pwm(12, 1000, 50_000, 0)
    assert pins.pins[12].mode == ALT0
    outputs.set_hardware_pwm(12, 1000, 500_000, 20_000)
    outputs.set_hardware_pwm(12, 1000, 100_000, 30_000)
    assert highs(pins, 12, 2 * MS - 1) == [
        (0, 1), (50_000, 0), (MS, 1), (MS + 100_000, 0),
    ]  # fmt: skip
    outputs.set_hardware_pwm(12, 1000, 1_000_000, 3 * MS + 1)
    assert pins.pins[12].line.edges(3 * MS + 1, 20 * MS) == [(3 * MS + 100_000, 0), (4 * MS, 1)]
    outputs.set_hardware_pwm(12, 1000, 0, 20 * MS)
    assert pins.read(12, 21 * MS) == 0


def test_pins_of_one_channel_show_the_latest_setting() -> None:
    pins, outputs = board()
    outputs.set_hardware_pwm(12, 1000, 250_000, 0)
    outputs.set_hardware_pwm(18, 2000, 500_000, 0)
    assert outputs.get_frequency(12) == outputs.get_frequency(18) == 2000
    assert outputs.get_duty(12) == 500_000
    assert pins.pins[12].line.edges(5 * MS, 6 * MS) == pins.pins[18].line.edges(5 * MS, 6 * MS)


def test_hardware_pwm_stops_low_by_frequency_0_by_write_and_by_mode() -> None:
    pins, outputs = board()
    outputs.set_hardware_pwm(18, 1000, 900_000, 0)
    assert outputs.set_hardware_pwm(18, 0, 0, 100) == 0
    assert (pins.read(18, 100), pins.pins[18].mode) == (0, ALT5)
    assert outputs.get_duty(18) == Status.NOT_PWM_GPIO
    outputs.set_hardware_pwm(18, 1000, 900_000, MS)
    assert pins.read(18, MS) == 1  # from now on, not in the old rhythm
    outputs.write(18, 0, MS + 100)
    assert pins.pins[18].line.next_edge(MS + 100) is None
    outputs.set_hardware_pwm(18, 1000, 900_000, 2 * MS)
    outputs.set_mode(18, INPUT, 2 * MS + 100)
    assert pins.read(18, 2 * MS + 200) == 0


@pytest.mark.parametrize(
    ("gpio", "hertz", "duty", "expected"),
    [
        (54, 1000, 0, Status.BAD_GPIO),
        (17, 1000, 0, Status.NOT_HPWM_GPIO),
        (18, 1000, 1_000_001, Status.BAD_HPWM_DUTY),
        (18, 125_000_001, 0, Status.BAD_HPWM_FREQ),
        (18, 125_000_000, 500_000, 0),
        (18, 1, 1_000_000, 0),
        (18, 0, 0, 0),
    ],
)
def test_hardware_pwm_says_what_is_wrong(gpio: int, hertz: int, duty: int, expected: int) -> None:
    assert board()[1].set_hardware_pwm(gpio, hertz, duty, 0) == expected


def test_a_pi_4_has_finer_steps() -> None:
    _, outputs = board(revision=PI_4)
    assert outputs.set_hardware_pwm(18, 150_000_000, 0, 0) == 0
    outputs.set_hardware_pwm(18, 1000, 50_000, 0)
    assert outputs.get_real_range(18) == 375_000


def test_hardware_clocks() -> None:
    pins, outputs = board()
    assert outputs.set_clock(4, 10_000, 0) == 0
    assert pins.pins[4].line.edges(0, 150_000) == [(50_000, 0), (100_000, 1), (150_000, 0)]
    assert (outputs.get_frequency(4), outputs.get_duty(4), outputs.get_range(4)) == (
        10_000, 500_000, 1_000_000,
    )  # fmt: skip
    assert outputs.get_real_range(4) == 1_000_000
    assert outputs.set_clock(4, 0, MS) == 0
    assert pins.pins[4].line.next_edge(MS) is None
    assert outputs.set_clock(17, 10_000, 0) == Status.NOT_HCLK_GPIO
    assert outputs.set_clock(54, 10_000, 0) == Status.BAD_GPIO
    assert outputs.set_clock(4, 4_000, 0) == Status.BAD_HCLK_FREQ
    assert outputs.set_clock(5, 10_000, 0) == Status.BAD_HCLK_PASS
    assert outputs.set_clock(0x5A000000 | 5, 10_000, 0) == 0


def test_numbers_of_gpios_are_checked_by_every_question() -> None:
    _, outputs = board()
    for ask in (
        outputs.get_duty, outputs.get_range, outputs.get_real_range, outputs.get_frequency,
        outputs.get_servo,
    ):  # fmt: skip
        assert ask(32) == Status.BAD_USER_GPIO
    assert outputs.set_range(32, 100, 0) == Status.BAD_USER_GPIO
    assert outputs.set_frequency(32, 100, 0) == Status.BAD_USER_GPIO


def test_a_client_that_changes_its_mind_thousands_of_times_in_a_period() -> None:
    pins, outputs = board((17, 18))
    outputs.set_frequency(17, 10, 0)
    for number in range(3000):
        outputs.set_pwm(17, 1 + number % 255, MS + number)
        outputs.set_hardware_pwm(12, 1, number, MS + number)
    assert pins.pins[18].line.edges(MS + 3000, 130 * MS) == [(100 * MS, 1)]
    assert pins.read(18, 101 * MS) == 1
    outputs.set_servo(17, 1500, 200 * MS)
    for number in range(3000):
        outputs.set_servo(17, 1000 + number % 500, 201 * MS + number)
    assert pins.read(18, 230 * MS) == 0
