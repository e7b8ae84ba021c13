"""What every `cp.port.PilotPort` promises: the pigpio daemon's PWM and the kernel's."""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING

import pytest

from controller.cp.driver_kernel_pwm import KernelPwmPilot
from controller.cp.driver_pigpio import PigpioPilot
from controller.loop import Loop
from controller.pigpio_link import PigpioLink
from controller.pigpiod.circuit import Bare
from controller.pigpiod.courses import to_ns
from controller.pigpiod.daemon import Daemon
from tests.cp.fake_sysfs import Channel, FakeSysfs
from tests.fake_pigpiod import FakePigpiod, patient_link, running
from tests.pigpiod.served import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controller.cp.port import PilotPort

GPIO = 18
WIRED = 17
PERIOD_S = 0.005
CALM_S = 0.3
"""Longer than any pause between two looks at what is driven."""


class Bench:
    """A generator, the pin it drives, and its power over life and death."""

    now = 0.0

    def __init__(self) -> None:
        self.port: PilotPort

    def make(self) -> PilotPort:
        """A further port on the same part, as after a restart of the program."""
        raise NotImplementedError

    def pin(self) -> tuple[float, float]:
        """Frequency (0: steady) and duty cycle of the pin."""
        raise NotImplementedError

    def kill(self) -> None:
        """Take the part away; the pin does what it did."""
        raise NotImplementedError

    def revive(self) -> None:
        """Give it back as it is after that: running as before, or fresh."""
        raise NotImplementedError

    def meddle(self) -> None:
        """Let another program drive the pin."""
        raise NotImplementedError

    def step(self) -> None:
        """One period."""
        self.now += PERIOD_S
        self.port.step(self.now)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / PERIOD_S)):
            self.step()

    def run_until(self, done: Callable[[], bool]) -> None:
        for _ in range(2000):
            self.step()
            if done():
                return
            time.sleep(0.001)  # noqa: TID251 - a daemon in another thread has to act
        raise AssertionError(f"never happened: {self.port.problem()!r}")

    def well(self) -> bool:
        assert not (self.port.problem() and self.port.is_known)
        return not self.port.problem() and self.port.is_known


class PigpioBench(Bench):
    def __init__(self, daemon: FakePigpiod) -> None:
        self.daemon = daemon
        self.port = self.make()

    def make(self) -> PilotPort:
        self.link = patient_link(self.daemon)
        return PigpioPilot(self.link, GPIO)

    def step(self) -> None:
        self.now += PERIOD_S
        self.link.step(self.now)
        self.port.step(self.now)

    def pin(self) -> tuple[float, float]:
        frequency, duty = self.daemon.pwm[GPIO]
        return (frequency if 0 < duty < 1_000_000 else 0.0), duty / 1_000_000

    def kill(self) -> None:
        self.daemon.stop()

    def revive(self) -> None:
        self.daemon.pwm[GPIO] = (800, 123_456)  # whatever it does when it starts
        self.daemon.start()

    def meddle(self) -> None:
        self.daemon.pwm[GPIO] = (1000, 500_000)


class SimulatedBench(Bench):
    """The simulated daemon, and what a wire on the pin carries: its edges, in nanoseconds."""

    def __init__(self) -> None:
        self.served: Served | None = Served(Daemon(Bare([(GPIO, WIRED)])))
        self.tcp_port = self.served.port
        self.daemon = self.served.daemon
        self.links: list[PigpioLink] = []
        self.port = self.make()

    def make(self) -> PilotPort:
        self.links.append(PigpioLink(f"127.0.0.1:{self.tcp_port}", timeout_s=1.0))
        return PigpioPilot(self.links[-1], GPIO)

    def step(self) -> None:
        self.now += PERIOD_S
        self.links[-1].step(self.now)
        self.port.step(self.now)

    def pin(self) -> tuple[float, float]:
        """Measure 100 periods, beginning after the change of a running period."""
        line = self.daemon.pins.pins[WIRED].line
        begin = to_ns(Loop().now()) + 5_000_000
        edges = line.edges(begin, begin + 100_000_000)
        if not edges:
            return 0.0, float(line.level(begin))
        rises = [at for at, level in edges if level]
        span = rises[-1] - rises[0]
        high = sum(
            fall - rise
            for (rise, up), (fall, _) in itertools.pairwise(edges)
            if up and fall <= rises[-1]
        )
        return 1e9 * (len(rises) - 1) / span, high / span

    def kill(self) -> None:
        assert self.served is not None
        self.served.close()
        self.served = None

    def revive(self) -> None:
        self.daemon = Daemon(Bare([(GPIO, WIRED)]))
        self.served = Served(self.daemon, self.tcp_port)

    def meddle(self) -> None:
        assert self.served is not None

        def drive(now: float) -> None:
            self.daemon.outputs.set_hardware_pwm(GPIO, 1000, 1, to_ns(now))

        self.served.call(drive)

    def close(self) -> None:
        for link in self.links:
            link.close()
        if self.served is not None:
            self.served.close()


class KernelBench(Bench):
    def __init__(self, files: FakeSysfs) -> None:
        self.files = files
        self.port = self.make()

    def make(self) -> PilotPort:
        return KernelPwmPilot(GPIO, files=self.files)

    def step(self) -> None:
        self.files.now = self.now + PERIOD_S
        super().step()

    @property
    def channel(self) -> Channel:
        return self.files.channels[0]

    def pin(self) -> tuple[float, float]:
        return self.files.pin(0)

    def kill(self) -> None:
        self.files.gone = True

    def revive(self) -> None:
        self.files.gone = False
        self.files.channels[0] = Channel()

    def meddle(self) -> None:
        self.channel.duty_cycle = 500_000


@contextlib.contextmanager
def pigpio_bench() -> Iterator[Bench]:
    with running() as daemon:
        yield PigpioBench(daemon)


@contextlib.contextmanager
def simulated_bench() -> Iterator[Bench]:
    bench = SimulatedBench()
    try:
        yield bench
    finally:
        bench.close()


@contextlib.contextmanager
def kernel_bench() -> Iterator[Bench]:
    yield KernelBench(FakeSysfs())


@pytest.fixture(
    params=[pigpio_bench, simulated_bench, kernel_bench], ids=["pigpio", "simulated", "kernel"]
)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with request.param() as made:
        yield made


def test_nothing_is_known_before_it_is_driven(bench: Bench) -> None:
    assert bench.port.problem()
    bench.run_until(bench.well)
    assert bench.pin() == (0.0, 1.0)  # steady +12 V until told otherwise


@pytest.mark.parametrize("percent", [3, 5, 7, 8, 10, 16, 25, 50, 53.3, 85, 96, 97])
def test_frequency_and_duty_cycle(bench: Bench, percent: float) -> None:
    bench.run_until(bench.well)
    bench.port.set_duty(percent / 100)
    frequency_hz, duty = bench.pin()
    assert frequency_hz == pytest.approx(1000, rel=0.005)
    assert duty == pytest.approx(percent / 100, abs=0.001)
    bench.run(CALM_S)
    assert bench.well()
    assert bench.pin() == (frequency_hz, duty)


def test_steady_is_exactly_steady(bench: Bench) -> None:
    bench.run_until(bench.well)
    for duty in (0.0, 1.0, 0.05, 0.0, 0.05, 1.0):
        bench.port.set_duty(duty)
        assert bench.pin() == (1000.0 if duty == 0.05 else 0.0, duty)
        bench.run(CALM_S)
        assert bench.well()


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan"), float("inf")])
def test_what_is_no_duty_cycle_is_steady_high(bench: Bench, wrong: float) -> None:
    bench.run_until(bench.well)
    bench.port.set_duty(0.05)
    bench.port.set_duty(wrong)
    assert bench.pin() == (0.0, 1.0)


def test_what_was_told_too_early_is_driven_when_the_part_is_there(bench: Bench) -> None:
    bench.port.set_duty(0.05)
    bench.run_until(bench.well)
    assert bench.pin()[1] == pytest.approx(0.05)


def test_closing_leaves_steady_high_and_is_allowed_twice(bench: Bench) -> None:
    bench.run_until(bench.well)
    bench.port.set_duty(0.05)
    bench.port.close()
    assert bench.pin() == (0.0, 1.0)
    bench.port.close()
    assert bench.pin() == (0.0, 1.0)


def test_a_killed_predecessor_leaves_it_running_and_it_is_taken_over(bench: Bench) -> None:
    bench.run_until(bench.well)
    bench.port.set_duty(0.05)
    bench.port = bench.make()  # the first one is never closed
    bench.run_until(bench.well)
    assert bench.pin() == (0.0, 1.0)
    bench.port.set_duty(0.25)
    assert bench.pin() == (1000.0, 0.25)


def test_a_part_that_is_gone_is_told_at_the_next_command_and_comes_back(bench: Bench) -> None:
    bench.run_until(bench.well)
    bench.port.set_duty(0.05)
    bench.kill()
    bench.port.set_duty(0.10)
    assert bench.port.problem()
    bench.run(CALM_S)
    assert bench.port.problem()
    bench.revive()
    bench.run_until(bench.well)
    assert bench.pin() == (1000.0, 0.10)  # what was wanted meanwhile, and nothing else


def test_a_part_that_is_gone_is_told_though_nobody_drives_anything(bench: Bench) -> None:
    bench.run_until(bench.well)
    bench.port.set_duty(0.05)
    bench.kill()
    bench.run(CALM_S)
    assert bench.port.problem()
    bench.revive()
    bench.run_until(bench.well)
    assert bench.pin() == (1000.0, 0.05)


def test_another_program_that_drives_the_pin_is_noticed_and_put_right(bench: Bench) -> None:
    bench.run_until(bench.well)
    bench.port.set_duty(0.05)
    bench.run(CALM_S)
    bench.meddle()
    bench.run_until(lambda: not bench.well())
    bench.run_until(bench.well)
    assert bench.pin() == (1000.0, 0.05)


def test_closing_without_the_part_raises_nothing(bench: Bench) -> None:
    bench.run_until(bench.well)
    bench.kill()
    bench.port.close()
    bench.port.close()
