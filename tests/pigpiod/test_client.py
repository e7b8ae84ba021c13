"""The unmodified `pigpio` client against the simulated daemon: a contract, command by command."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pigpio
import pytest

from controller.loop import MonotonicClock, pause
from controller.pigpiod.circuit import Bare
from controller.pigpiod.daemon import Daemon
from tests.pigpiod.served import Pi, Served, Told, client, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def server() -> Iterator[Served]:
    with served(Daemon(Bare([(18, 17), (12, 13), (22, 27)]))) as running:
        yield running


@pytest.fixture
def pi(server: Served) -> Iterator[Pi]:
    with client(server) as connected:
        yield connected


def test_who_it_is(pi: Pi) -> None:
    assert pi.get_hardware_revision() == 0xA02082
    assert pi.get_pigpio_version() == 79


def test_modes_pulls_levels(pi: Pi) -> None:
    assert pi.get_mode(23) == pigpio.INPUT
    pi.set_mode(23, pigpio.OUTPUT)
    assert pi.get_mode(23) == pigpio.OUTPUT
    pi.write(23, 1)
    assert pi.read(23) == 1
    pi.set_mode(23, pigpio.INPUT)
    pi.set_pull_up_down(23, pigpio.PUD_DOWN)
    assert pi.read(23) == 0
    pi.set_pull_up_down(23, pigpio.PUD_UP)
    assert pi.read(23) == 1


def test_wires_carry_levels(pi: Pi) -> None:
    pi.write(18, 1)
    assert pi.read(17) == 1
    pi.write(18, 0)
    assert pi.read(17) == 0


def test_banks(pi: Pi) -> None:
    pi.set_mode(18, pigpio.OUTPUT)
    assert pi.set_bank_1(1 << 18) == 0
    assert pi.read_bank_1() & (1 << 17 | 1 << 18) == 1 << 17 | 1 << 18
    assert pi.clear_bank_1(1 << 18) == 0
    assert pi.read_bank_1() & (1 << 18) == 0
    assert pi.read_bank_2() == 0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda pi: pi.read(54), "GPIO not 0-53"),
        (lambda pi: pi.get_mode(54), "GPIO not 0-53"),
        (lambda pi: pi.set_mode(54, 0), "GPIO not 0-53"),
        (lambda pi: pi.set_mode(17, 8), "mode not 0-7"),
        (lambda pi: pi.write(17, 2), "level not 0-1"),
        (lambda pi: pi.write(30, 1), "no permission to update GPIO"),
        (lambda pi: pi.write(54, 1), "GPIO not 0-53"),
        (lambda pi: pi.set_pull_up_down(17, 3), "pud not 0-2"),
        (lambda pi: pi.set_pull_up_down(0, 1), "no permission to update GPIO"),
        (lambda pi: pi.set_bank_1(1), "no permission to update one or more GPIO"),
        (lambda pi: pi.clear_bank_2(1), "no permission to update one or more GPIO"),
        (lambda pi: pi.set_PWM_dutycycle(17, 256), "dutycycle not 0-range (default 255)"),
        (lambda pi: pi.set_PWM_dutycycle(30, 1), "no permission to update GPIO"),
        (lambda pi: pi.set_PWM_range(17, 24), "dutycycle range not 25-40000"),
        (lambda pi: pi.get_PWM_dutycycle(17), "GPIO is not in use for PWM"),
        (lambda pi: pi.get_PWM_range(32), "GPIO not 0-31"),
        (lambda pi: pi.set_servo_pulsewidth(17, 499), "pulsewidth not 0 or 500-2500"),
        (lambda pi: pi.get_servo_pulsewidth(17), "GPIO is not in use for servo pulses"),
        (lambda pi: pi.hardware_PWM(17, 1000, 1), "GPIO has no hardware PWM"),
        (lambda pi: pi.hardware_PWM(40, 1000, 1), "no permission to update GPIO"),
        (lambda pi: pi.hardware_PWM(18, 1000, 1_000_001), "hardware PWM dutycycle not 0-1M"),
        (lambda pi: pi.hardware_PWM(18, 200_000_000, 1), "invalid hardware PWM frequency"),
        (lambda pi: pi.hardware_clock(17, 10_000), "GPIO has no hardware clock"),
        (lambda pi: pi.set_watchdog(17, 60_001), "timeout not 0-60000"),
        (lambda pi: pi.set_watchdog(32, 1), "GPIO not 0-31"),
        (lambda pi: pi.set_glitch_filter(17, 300_001), "bad filter parameter"),
        (lambda pi: pi.set_noise_filter(17, 1, 1_000_001), "bad filter parameter"),
        (lambda pi: pi.gpio_trigger(17, 101, 1), "trigger pulse length not 1-100"),
        (lambda pi: pi.notify_begin(31, 1), "unknown handle"),
        (lambda pi: pi.notify_close(99), "unknown handle"),
        (lambda pi: pi.notify_open(), "can't open pathname"),
        (lambda pi: pi.event_trigger(32), "bad event id"),
        (lambda pi: pi.get_pad_strength(3), "bad pad number"),
        (lambda pi: pi.set_pad_strength(0, 17), "bad pad drive strength"),
    ],
)
def test_errors_are_the_clients_words(pi: Pi, call: Callable[[Pi], object], text: str) -> None:
    with pytest.raises(pigpio.error) as raised:
        call(pi)
    assert raised.value.value == text


def test_pwm(pi: Pi) -> None:
    assert pi.set_PWM_frequency(23, 1000) == 1000
    assert pi.get_PWM_frequency(23) == 1000
    assert pi.set_PWM_range(23, 1000) == 200
    assert pi.get_PWM_real_range(23) == 200
    assert pi.set_PWM_dutycycle(23, 250) == 0
    assert pi.get_PWM_dutycycle(23) == 250
    assert pi.set_servo_pulsewidth(23, 1500) == 0
    assert pi.get_servo_pulsewidth(23) == 1500


def test_pads_clock_trigger_custom(pi: Pi) -> None:
    assert pi.get_pad_strength(0) == 8
    assert pi.set_pad_strength(0, 15) == 0
    assert pi.get_pad_strength(0) == 16
    assert pi.hardware_clock(4, 10_000) == 0
    assert pi.gpio_trigger(23, 10, 1) == 0
    assert pi.custom_1(3, 9, [7, 2]) == 9
    assert pi.custom_2(1, b"abc") == (3, b"cba")
    assert pi.custom_2(1, b"abc", 2) == (2, b"cb")


# --- notifications -------------------------------------------------------------------------------


def test_callbacks_get_every_edge_in_order(pi: Pi) -> None:
    told = Told()
    pi.write(18, 0)
    callback = pi.callback(17, pigpio.EITHER_EDGE, told)
    for _ in range(50):
        pi.write(18, 1)
        pi.write(18, 0)
    items = told.wait(2)
    pause(0.05)  # whatever else there is
    items = told.items
    # Writes may lie closer together than the 5 us between two samples: then both are not seen.
    assert {gpio for gpio, _, _ in items} == {17}
    levels = [level for _, level, _ in items]
    assert levels == [1, 0] * (len(items) // 2)
    assert len(items) >= 90
    ticks = [tick for *_, tick in items]
    assert all(0 < pigpio.tickDiff(a, b) < 10_000_000 for a, b in pairwise(ticks))
    assert len({tick % 5 for tick in ticks}) == 1  # all on the grid of its samples
    callback.cancel()


def test_edges_by_kind_and_tally(pi: Pi) -> None:
    rising, falling = Told(), Told()
    callbacks = [
        pi.callback(17, pigpio.RISING_EDGE, rising),
        pi.callback(17, pigpio.FALLING_EDGE, falling),
    ]
    tally = pi.callback(17)
    pi.write(18, 1)
    pause(0.002)
    pi.write(18, 0)
    assert rising.wait(1)[0][1] == 1
    assert falling.wait(1)[0][1] == 0
    assert tally.tally() == 1
    for callback in callbacks:
        callback.cancel()


def test_a_pilot_looped_back_is_measured_to_the_microsecond(pi: Pi) -> None:
    told = Told()
    pi.callback(17, pigpio.EITHER_EDGE, told)
    assert pi.hardware_PWM(18, 1000, 50_000) == 0
    assert (pi.get_PWM_frequency(18), pi.get_PWM_dutycycle(18)) == (1000, 50_000)
    items = told.wait(400)[2:]
    pi.hardware_PWM(18, 0, 0)
    if items[0][1] == 0:
        items = items[1:]
    ups = [tick for _, level, tick in items if level == 1]
    downs = [tick for _, level, tick in items if level == 0]
    assert {pigpio.tickDiff(a, b) for a, b in pairwise(ups)} == {1000}
    assert {pigpio.tickDiff(a, b) for a, b in zip(ups, downs, strict=False)} == {50}


def test_watchdogs_repeat_as_level_2_until_there_is_an_edge(pi: Pi) -> None:
    told = Told()
    pi.callback(17, pigpio.EITHER_EDGE, told)
    pi.set_watchdog(17, 20)
    items = told.wait(4)
    assert {level for _, level, _ in items} == {pigpio.TIMEOUT}
    gaps = [pigpio.tickDiff(a[2], b[2]) for a, b in pairwise(items)]
    assert all(gap >= 20_000 for gap in gaps)
    pi.write(18, 1)
    pi.set_watchdog(17, 0)
    pause(0.01)
    count = len(told.items)
    pause(0.06)
    assert len(told.items) == count
    assert [level for _, level, _ in told.items if level != pigpio.TIMEOUT] == [1]


def test_events(pi: Pi) -> None:
    told = Told()
    callback = pi.event_callback(23, told)
    pi.event_trigger(23)
    pi.event_trigger(22)
    assert told.wait(1)[0][0] == 23
    callback.cancel()


def test_wait_for_edge_and_event(server: Served, pi: Pi) -> None:
    server.call(lambda now: server.loop.call_at(now + 0.05, lambda at: press(server, at)))
    assert pi.wait_for_edge(17, pigpio.RISING_EDGE, 20.0)
    assert not pi.wait_for_edge(17, pigpio.FALLING_EDGE, 0.1)


def press(server: Served, now: float) -> None:
    at = round(now * 1e9)
    server.daemon.outputs.write(18, 1, at)
    server.server.fire(now)


def test_a_glitch_filter_hides_what_does_not_last(pi: Pi) -> None:
    told = Told()
    pi.set_glitch_filter(17, 30_000)
    pi.callback(17, pigpio.EITHER_EDGE, told)
    pi.write(18, 1)
    pi.write(18, 0)
    pause(0.06)
    assert told.items == []
    start = pi.get_current_tick()
    pi.write(18, 1)
    (_, level, tick), *_ = told.wait(1)
    assert level == 1
    assert pigpio.tickDiff(start, tick) >= 30_000
    assert pi.read(17) == 1


def test_a_noise_filter_waits_for_quiet(pi: Pi) -> None:
    told = Told()
    pi.set_noise_filter(17, 20_000, 100_000)
    pi.callback(17, pigpio.EITHER_EDGE, told)
    pause(0.05)
    pi.write(18, 1)
    assert told.wait(1)[0][1] == 1


def test_two_pins_changed_at_once_are_two_callbacks_with_one_tick(pi: Pi) -> None:
    told = Told()
    for gpio in (23, 24):
        pi.set_mode(gpio, pigpio.OUTPUT)
        pi.callback(gpio, pigpio.EITHER_EDGE, told)
    pi.set_bank_1(1 << 23 | 1 << 24)
    first, second = told.wait(2)
    assert {first[0], second[0]} == {23, 24}
    assert first[2] == second[2]


def test_a_pull_before_the_first_callback_does_not_cost_its_first_edge(pi: Pi) -> None:
    """The client takes levels from its connection on; see notify.py."""
    told = Told()
    pi.set_pull_up_down(27, pigpio.PUD_UP)
    pi.set_pull_up_down(17, pigpio.PUD_UP)
    pause(0.05)
    pi.callback(27, pigpio.EITHER_EDGE, told)
    pi.write(22, 0)
    assert [item[:2] for item in told.wait(1)] == [(27, 0)]
    pi.set_pull_up_down(23, pigpio.PUD_UP)  # while something is watched already
    pause(0.05)
    later = Told()
    pi.callback(23, pigpio.EITHER_EDGE, later)
    pi.write(23, 0)
    assert [item[:2] for item in later.wait(1)] == [(23, 0)]


def test_the_original_loses_that_edge() -> None:
    with served(Daemon(Bare([(22, 27)]), lost_first_edge=True)) as server, client(server) as pi:
        told = Told()
        pi.set_pull_up_down(27, pigpio.PUD_UP)
        pause(0.05)
        pi.callback(27, pigpio.EITHER_EDGE, told)
        pi.write(22, 0)
        pause(0.01)
        pi.write(22, 1)
        assert [item[:2] for item in told.wait(1)] == [(27, 1)]


# --- time ----------------------------------------------------------------------------------------


def test_ticks_wrap() -> None:
    first = (1 << 32) - 500_000  # half a second before it wraps
    daemon = Daemon(Bare([(18, 17)]), first_tick=first, now=MonotonicClock().now())
    with served(daemon) as other, client(other) as pi:
        told = Told()
        assert pi.get_current_tick() > 1 << 31
        pi.callback(17, pigpio.EITHER_EDGE, told)
        pi.hardware_PWM(18, 100, 100_000)
        items = told.wait(200)
        ticks = [tick for *_, tick in items]
        assert max(ticks) > 1 << 31
        assert min(ticks) < 1 << 31
        ups = [tick for _, level, tick in items if level == 1]
        assert {pigpio.tickDiff(a, b) for a, b in pairwise(ups)} == {10_000}


def test_delays_hold_back_only_who_asked(server: Served, pi: Pi) -> None:
    with client(server) as other:
        start = time.monotonic()
        sent = pi.sl
        sent.s.send(pigpio.struct.pack("IIII", 47, 200, 0, 0))  # MILS 200
        assert other.read(17) == 0
        quick = time.monotonic() - start
        answer = sent.s.recv(16)
        slow = time.monotonic() - start
    assert len(answer) == 16
    assert slow >= 0.19
    assert quick < slow
