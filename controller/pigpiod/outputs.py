"""Levels, PWM, servo pulses, hardware PWM and clocks: the commands that make a pin do something.

Every method checks its arguments in the daemon's order and returns what the client is told: a
value or zero, or a negative `Status`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.pigpiod.courses import LOW, NS, STEADY, Course, Pulses, Switched, pulses
from controller.pigpiod.pins import ALT0, ALT5, BANK, OUTPUT, SAMPLE_NS, Pins, Use
from controller.pigpiod.wire import GPIOS, USER_GPIOS, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HIGHEST_MODE = 7
PWM_STEPS = (
    25, 50, 100, 125, 200, 250, 400, 500, 625, 800, 1000, 1250, 2000, 2500, 4000, 5000, 10000,
    20000,
)  # fmt: skip
"""Length of a PWM period in samples: the 18 frequencies, 8000 to 10 Hz at 5 us."""
PWM_HZ = tuple(round(NS / (steps * SAMPLE_NS)) for steps in PWM_STEPS)
RANGES = (25, 40_000)
SERVO_US = (500, 2500)
SERVO_PERIOD_NS = 20_000_000
TRIGGER_US = (1, 100)
HARDWARE_RANGE = 1_000_000
BCM2711 = 3
"""Processor field of the revision code: Pi 4, whose clock is faster."""
PWM_CLOCK_HZ = (250_000_000, 375_000_000)
"""Of the PWM block with its divider of 2; on the BCM2711."""
HIGHEST_PWM_HZ = (125_000_000, 187_500_000)
CLOCK_HZ = ((4_689, 250_000_000), (13_184, 375_000_000))
PWM_PINS = {12: (0, ALT0), 13: (1, ALT0), 18: (0, ALT5), 19: (1, ALT5),
            40: (0, ALT0), 41: (1, ALT0), 45: (1, ALT0), 52: (0, ALT5), 53: (1, ALT5)}  # fmt: skip
"""GPIO -> PWM channel and mode."""
CLOCK_PINS = {4: (0, ALT0), 5: (1, ALT0), 6: (2, ALT0), 20: (0, ALT5), 21: (1, ALT5),
              32: (0, ALT0), 34: (0, ALT0), 42: (1, ALT0), 43: (2, ALT0),
              44: (1, ALT0)}  # fmt: skip
"""GPIO -> clock and mode."""
CLOCK_PASSWORD = 0x5A
SYSTEM_CLOCK = 1


class Channel:
    """One channel of the PWM block: free running, shared by all its pins."""

    def __init__(self) -> None:
        self.hertz = 0
        self.duty_ppm = 0
        self.steps = 0
        self.course: Course = LOW
        self.period = 0
        """Nanoseconds; 0 while it is off."""
        self._begins = 0

    def next_period(self, at: int) -> int:
        """When another setting starts to count: at once, or when the running period is over."""
        if not self.period:
            return at
        return max(self._begins, at + (self._begins - at) % self.period)

    def set(self, begins: int, period: int, high: int, at: int) -> None:
        """Run so from `begins` on."""
        before = self.course.settled(at)
        if isinstance(before, Switched) and before.at >= begins:
            before = before.before  # a setting that never came to be
        self.course = Switched(before, begins, pulses(begins, period, high))
        self._begins, self.period = begins, period


class Outputs:
    """What the pins drive."""

    def __init__(self, pins: Pins, revision: int) -> None:
        self._pins = pins
        self._fast = (revision >> 12 & 0xF) == BCM2711
        self.channels = (Channel(), Channel())
        self._clock_hz = [0, 0, 0]
        self.before_hardware_pwm: Callable[[int], object] = lambda at: None
        """Called before the PWM block starts: a waveform needs its clock, and ends."""

    # --- levels ---------------------------------------------------------------------------------

    def set_mode(self, gpio: int, mode: int, at: int) -> int:
        """Change the mode; another one ends what the pin was doing."""
        if gpio >= GPIOS:
            return Status.BAD_GPIO
        if mode > HIGHEST_MODE:
            return Status.BAD_MODE
        pin = self._pins.pins[gpio]
        if mode != pin.mode:
            self._switch_off(gpio, at)
            pin.use = Use.UNDEFINED
        self._pins.set_mode(gpio, mode, at)
        return 0

    def write(self, gpio: int, level: int, at: int) -> int:
        """Make the pin an output with this level; ends PWM and servo pulses."""
        if gpio >= GPIOS:
            return Status.BAD_GPIO
        if level > 1:
            return Status.BAD_LEVEL
        pin = self._pins.pins[gpio]
        if pin.use is not Use.WRITE:
            self._switch_off(gpio, at)
            pin.use = Use.WRITE
        self._pins.set_latch(gpio, STEADY[level], at)
        self._pins.set_mode(gpio, OUTPUT, at)
        return 0

    def write_bank(self, bits: int, level: int, first: int, at: int) -> int:
        """Set or clear latches from GPIO `first` on; a pin with pulses keeps them."""
        allowed = self._pins.permitted >> first & BANK
        for gpio in _bits(bits & allowed):
            if not self._has_pulses(first + gpio):
                self._pins.set_latch(first + gpio, STEADY[level], at)
        return Status.SOME_PERMITTED if bits & ~allowed else 0

    def trigger(self, gpio: int, length_us: int, level: int, at: int) -> int:
        """Send one short pulse; the mode stays."""
        if gpio >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        if level > 1:
            return Status.BAD_LEVEL
        if not TRIGGER_US[0] <= length_us <= TRIGGER_US[1]:
            return Status.BAD_PULSELEN
        pulse = Switched(STEADY[level], at + length_us * 1000, STEADY[1 - level])
        self._pins.set_latch(gpio, pulse, at)
        return 0

    # --- PWM and servo, by the daemon's own sampling engine -------------------------------------

    def set_pwm(self, gpio: int, duty: int, at: int) -> int:
        """Pulses of duty / range; 0 stops."""
        if gpio >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        pin = self._pins.pins[gpio]
        if duty > pin.range:
            return Status.BAD_DUTYCYCLE
        self._begin(gpio, Use.PWM, at)
        pin.width = duty
        self._pulse(gpio, at)
        return 0

    def set_servo(self, gpio: int, width_us: int, at: int) -> int:
        """Pulses of this width, 50 times a second; 0 stops."""
        if gpio >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        if width_us and not SERVO_US[0] <= width_us <= SERVO_US[1]:
            return Status.BAD_PULSEWIDTH
        self._begin(gpio, Use.SERVO, at)
        self._pins.pins[gpio].width = width_us
        self._pulse(gpio, at)
        return 0

    def set_range(self, gpio: int, range_: int, at: int) -> int:
        """What duty means full on; keeps a running duty in proportion."""
        if gpio >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        if not RANGES[0] <= range_ <= RANGES[1]:
            return Status.BAD_DUTYRANGE
        pin = self._pins.pins[gpio]
        if pin.use is Use.PWM and pin.width:
            pin.width = range_ * pin.width // pin.range
        pin.range = range_
        if pin.use is Use.PWM:
            self._pulse(gpio, at)
        return PWM_STEPS[pin.frequency]

    def set_frequency(self, gpio: int, hertz: int, at: int) -> int:
        """The nearest of the 18 frequencies; returns it."""
        if gpio >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        pin = self._pins.pins[gpio]
        pin.frequency = min(range(len(PWM_HZ)), key=lambda index: abs(PWM_HZ[index] - hertz))
        if pin.use is Use.PWM:
            self._pulse(gpio, at)
        return PWM_HZ[pin.frequency]

    def get_duty(self, gpio: int) -> int:
        """Duty of any of the three kinds."""
        if gpio >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        pin = self._pins.pins[gpio]
        if pin.use is Use.PWM:
            return pin.width
        if pin.use is Use.HARDWARE_PWM:
            return self.channels[PWM_PINS[gpio][0]].duty_ppm
        return HARDWARE_RANGE // 2 if pin.use is Use.CLOCK else Status.NOT_PWM_GPIO

    def get_range(self, gpio: int) -> int:
        """What duty means full on."""
        if gpio >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        pin = self._pins.pins[gpio]
        return HARDWARE_RANGE if pin.use in (Use.HARDWARE_PWM, Use.CLOCK) else pin.range

    def get_real_range(self, gpio: int) -> int:
        """How many steps a period really has."""
        if gpio >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        pin = self._pins.pins[gpio]
        if pin.use is Use.HARDWARE_PWM:
            return self.channels[PWM_PINS[gpio][0]].steps
        return HARDWARE_RANGE if pin.use is Use.CLOCK else PWM_STEPS[pin.frequency]

    def get_frequency(self, gpio: int) -> int:
        """Frequency of any of the three kinds."""
        if gpio >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        pin = self._pins.pins[gpio]
        if pin.use is Use.HARDWARE_PWM:
            return self.channels[PWM_PINS[gpio][0]].hertz
        if pin.use is Use.CLOCK:
            return self._clock_hz[CLOCK_PINS[gpio][0]]
        return PWM_HZ[pin.frequency]

    def get_servo(self, gpio: int) -> int:
        """Width of the servo pulses."""
        if gpio >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        pin = self._pins.pins[gpio]
        return pin.width if pin.use is Use.SERVO else Status.NOT_SERVO_GPIO

    # --- the chip's own blocks ------------------------------------------------------------------

    def set_hardware_pwm(self, gpio: int, hertz: int, duty_ppm: int, at: int) -> int:
        """Pulses of the PWM block; another duty counts from the next period on, no glitch."""
        if gpio >= GPIOS:
            return Status.BAD_GPIO
        if gpio not in PWM_PINS:
            return Status.NOT_HPWM_GPIO
        if duty_ppm > HARDWARE_RANGE:
            return Status.BAD_HPWM_DUTY
        if hertz > HIGHEST_PWM_HZ[self._fast]:
            return Status.BAD_HPWM_FREQ
        number, mode = PWM_PINS[gpio]
        pin = self._pins.pins[gpio]
        if hertz:
            self.before_hardware_pwm(at)
            self._set_channel(self.channels[number], hertz, duty_ppm, at)
            if pin.use is not Use.HARDWARE_PWM:
                self._switch_off(gpio, at)
                self._pins.set_mode(gpio, mode, at)
                pin.use = Use.HARDWARE_PWM
                self._pins.set_alternate(gpio, (mode, self.channels[number].course), at)
            self._spread(number, at)
        elif pin.use is Use.HARDWARE_PWM:
            self._stop_channel(number, at)
            pin.use = Use.UNDEFINED
        return 0

    def stop_hardware_pwm(self, at: int) -> None:
        """Stop both channels, as a waveform does: it needs their clock."""
        for number in range(len(self.channels)):
            self._stop_channel(number, at)
        for pin in self._pins.pins:
            if pin.use is Use.HARDWARE_PWM:
                pin.use = Use.UNDEFINED

    def set_clock(self, word: int, hertz: int, at: int) -> int:
        """A clock of half on; clock 1 is the system's and wants its password."""
        gpio = word & 0xFFFFFF
        if gpio >= GPIOS:
            return Status.BAD_GPIO
        if gpio not in CLOCK_PINS:
            return Status.NOT_HCLK_GPIO
        lowest, highest = CLOCK_HZ[self._fast]
        if hertz and not lowest <= hertz <= highest:
            return Status.BAD_HCLK_FREQ
        number, mode = CLOCK_PINS[gpio]
        if number == SYSTEM_CLOCK and word >> 24 != CLOCK_PASSWORD:
            return Status.BAD_HCLK_PASS
        pin = self._pins.pins[gpio]
        if hertz:
            self._switch_off(gpio, at)
            self._clock_hz[number] = hertz
            period = max(2, round(NS / hertz))
            self._pins.set_mode(gpio, mode, at)
            self._pins.set_alternate(gpio, (mode, Pulses(at, period, period // 2)), at)
            pin.use = Use.CLOCK
        elif pin.use is Use.CLOCK:
            self._switch_off(gpio, at)
            pin.use = Use.UNDEFINED
        return 0

    # --- inside ---------------------------------------------------------------------------------

    def _has_pulses(self, gpio: int) -> bool:
        pin = self._pins.pins[gpio]
        return pin.use in (Use.PWM, Use.SERVO) and pin.width > 0

    def _begin(self, gpio: int, use: Use, at: int) -> None:
        pin = self._pins.pins[gpio]
        if pin.use is not use:
            self._switch_off(gpio, at)
            pin.use = use
            pin.width = 0
        self._pins.set_mode(gpio, OUTPUT, at)

    def _pulse(self, gpio: int, at: int) -> None:
        """Change the pulses: stopping is at once, all else at the start of a period.

        All pins of one frequency have their pulses in step, as the engine makes them.
        """
        pin = self._pins.pins[gpio]
        if not pin.width:
            self._pins.set_latch(gpio, LOW, at)
            return
        if pin.use is Use.SERVO:
            period = SERVO_PERIOD_NS
            high = pin.width * 1000 // SAMPLE_NS * SAMPLE_NS
        else:
            steps = PWM_STEPS[pin.frequency]
            period = steps * SAMPLE_NS
            high = pin.width * steps // pin.range * SAMPLE_NS
        start = -(-at // period) * period
        course = pulses(0, period, high)
        self._pins.set_latch(gpio, Switched(pin.latch.settled(at), start, course), at)

    def _set_channel(self, channel: Channel, hertz: int, duty_ppm: int, at: int) -> None:
        clock_hz = PWM_CLOCK_HZ[self._fast]
        steps = int(clock_hz / hertz + 0.5)
        high_steps = duty_ppm * steps // HARDWARE_RANGE
        period = max(1, round(steps * NS / clock_hz))
        high = period if high_steps >= steps else round(high_steps * NS / clock_hz)
        channel.set(begins=channel.next_period(at), period=period, high=high, at=at)
        channel.hertz = int(clock_hz / steps + 0.5)
        channel.duty_ppm, channel.steps = duty_ppm, steps

    def _stop_channel(self, number: int, at: int) -> None:
        channel = self.channels[number]
        channel.course, channel.period = LOW, 0
        self._spread(number, at)

    def _spread(self, number: int, at: int) -> None:
        """Give a channel's course to every pin that has it."""
        for gpio, (of, mode) in PWM_PINS.items():
            if of == number and self._pins.pins[gpio].alternate is not None:
                self._pins.set_alternate(gpio, (mode, self.channels[number].course), at)

    def _switch_off(self, gpio: int, at: int) -> None:
        """End what a pin was doing."""
        pin = self._pins.pins[gpio]
        if pin.use in (Use.PWM, Use.SERVO):
            pin.width = 0
            self._pins.set_latch(gpio, LOW, at)
        elif pin.use is Use.HARDWARE_PWM:
            self._stop_channel(PWM_PINS[gpio][0], at)
            self._pins.set_alternate(gpio, None, at)
        elif pin.use is Use.CLOCK:
            self._pins.set_alternate(gpio, None, at)


def _bits(word: int) -> Iterator[int]:
    """Numbers of the bits that are set."""
    return (number for number in range(word.bit_length()) if word >> number & 1)
