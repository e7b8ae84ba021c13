"""The opened hardware, step by step; each step yields what it found.

Nothing closes a contactor here: outputs start inactive, and the only things driven are the pilot
and the external watchdog. Whatever happens, the hardware is given back safe: the steps are
generators, and closing one does that.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from controller.check import pilot as judge
from controller.check.findings import Finding, Status, fail, ok, warn
from controller.cp.driver_gpiochip import GpiochipEdges, header_chip, load_gpiod
from controller.cp.driver_pigpio_edges import PigpioEdges
from controller.cp.edges import Line, Timing
from controller.errors import ControllerError, PortError
from controller.hardware import (
    OUTPUTS,
    EvseHardware,
    calibration_of,
    open_pilot,
    settled,
    uses_daemon,
)
from controller.hardware_parts import open_gpio, open_link
from controller.hardware_pev import open_vehicle
from controller.interlock_rules import CONTACTOR_STALE_S
from controller.interlock_test import InterlockTest
from controller.interlock_test_pev import VehicleInterlockTest
from controller.power.driver_site import NoModules
from controller.power.pins import check_board
from controller.signals import DUTY_DIGITAL, DUTY_STEADY_HIGH, DUTY_STEADY_LOW, InterlockTested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controller.board import Board, Side
    from controller.config import CarConfig, ChargerConfig
    from controller.cp.port import EdgePort
    from controller.hardware import PilotParts
    from controller.hardware_parts import Time
    from controller.hardware_pev import PevHardware
    from controller.pigpio_link import PigpioLink
    from controller.signals import ContactorReading, EvseInputs, Output

PERIOD_S = 0.005
MEASURE_S = 0.3
"""Of 5 %: thirty windows of the meter."""
INTERLOCK_S = 4.0
"""Three tries of the self-test at most, and some."""
SETTLE_PERIODS = 40
LOOP_BACK = "pilot_loop_back"
NOT_READ = "its pins are not read any more"
NEEDS_THAT = "check it again when the line above is all right"


class GivenUpError(Exception):
    """A step failed that all others need; it has been told."""


def charger(config: ChargerConfig, board: Board, time: Time) -> Iterator[Finding]:
    """Open a charger's hardware part by part, and look at it."""
    closers: list[Callable[[], None]] = []
    try:
        yield from _charger(config, board, time, closers)
    except GivenUpError:
        return
    finally:
        for close in reversed(closers):
            close()


def _charger(
    config: ChargerConfig, board: Board, time: Time, closers: list[Callable[[], None]]
) -> Iterator[Finding]:
    hardware, ac = config.hardware, config.charger.mode == "ac"
    side = _without(board.evse, LOOP_BACK)
    link: PigpioLink | None = None
    try:
        check_board(board.evse, ac=ac, name=hardware.board or "the board")
        if uses_daemon(config, gpio=True):
            link = open_link(hardware.pigpiod, time)
            closers.append(link.close)
            yield ok("pigpiod", f"{hardware.pigpiod} answers ({_daemon(link)})")
        gpio = open_gpio(hardware.gpio, side, link, time, OUTPUTS)
        closers.append(gpio.close)
        yield ok("gpio", f"pins claimed ({hardware.gpio}), outputs inactive")
        parts = open_pilot(config, board.evse, calibration_of(config), time, link)
        closers.append(parts.close)
        yield ok("converter", f"{hardware.adc} measures ({hardware.adc_bus})")
    except ControllerError as error:
        yield _part_of(str(error))
        raise GivenUpError from error
    made = EvseHardware(
        parts,
        gpio,
        NoModules(),
        board.evse,
        external_interlock=config.charger.interlock == "external",
        ac=ac,
    )
    made.make_safe()
    yield from _pilot(config, parts, board.evse, time, link)
    inputs = _run(made, time, SETTLE_PERIODS)
    if _is_old(inputs.contactors, time):
        yield _part_of(made.problem() or NOT_READ)
        return
    yield judge.contactors(inputs.contactors)
    yield judge.emergency_stop(inputs)
    yield judge.connector(inputs.connector_c)
    if inputs.ac is not None:
        measures = "mains_current" in board.evse.channels
        yield judge.mains_current(inputs.ac.current_a if measures else None)
    yield from _interlock(made, time, configured=config.charger.interlock == "external", ac=ac)


def _daemon(link: PigpioLink) -> str:
    version = link.ask(lambda pi: pi.get_pigpio_version())
    revision = link.ask(lambda pi: pi.get_hardware_revision())
    return f"version {version}, board revision {revision:x}"


def _part_of(text: str) -> Finding:
    """Tell what could not be opened; the text says what to do after a colon or semicolon."""
    what, _, todo = text.partition("; ")
    if not todo:
        what, _, todo = text.partition(": ")
    return fail("hardware", what, todo or NEEDS_THAT)


def _without(side: Side, name: str) -> Side:
    return replace(side, pins={key: pin for key, pin in side.pins.items() if key != name})


# --- the charger's pilot -------------------------------------------------------------------------


def _pilot(
    config: ChargerConfig, parts: PilotParts, side: Side, time: Time, link: PigpioLink | None
) -> Iterator[Finding]:
    try:
        yield judge.negative(settled(parts, DUTY_STEADY_LOW, time))
        high = judge.positive(settled(parts, DUTY_STEADY_HIGH, time))
    except PortError as error:
        yield fail("pilot", str(error), NEEDS_THAT)
        return
    yield high
    if high.status is not Status.OK:
        yield warn("pilot loop-back", "not measured", NEEDS_THAT)
    elif LOOP_BACK not in side.pins:
        todo = f"wire the comparator on CP to a pin and name it {LOOP_BACK} in the pin map"
        yield warn("pilot loop-back", f"the pin map has no {LOOP_BACK}", todo)
    else:
        yield _measure(config, parts, side, time, link)


def _measure(
    config: ChargerConfig, parts: PilotParts, side: Side, time: Time, link: PigpioLink | None
) -> Finding:
    """Drive 5 % for a moment, with nothing plugged in, and measure it by its edges."""
    pin = side.pins[LOOP_BACK]
    inverted = not pin.is_active_high
    try:
        if config.hardware.gpio == "pigpio" and link is not None:
            edges: EdgePort = PigpioEdges(link, pin.gpio, time.now, inverted=inverted)
        else:
            gpiod = load_gpiod()
            edges = GpiochipEdges(header_chip(gpiod), pin.gpio, inverted=inverted, gpiod=gpiod)
    except PortError as error:
        return warn("pilot loop-back", "not measured", str(error))
    parts.pilot.set_duty(DUTY_DIGITAL)
    try:
        timing = _listen(parts, edges, time)
    finally:
        parts.pilot.set_duty(DUTY_STEADY_HIGH)
        problem = edges.problem()
        edges.close()
    if timing.line is Line.UNKNOWN:
        return fail("pilot loop-back", "no edges are told of", problem or NEEDS_THAT)
    return judge.loop_back(timing, DUTY_DIGITAL, f"GPIO {pin.gpio}")


def _listen(parts: PilotParts, edges: EdgePort, time: Time) -> Timing:
    until = time.now() + 2 * MEASURE_S
    oscillating_since = inf
    while True:
        now = time.now()
        parts.step(now)
        timing, _ = edges.read(now)
        if timing.line is Line.OSCILLATING:
            oscillating_since = min(oscillating_since, now)
        if now >= until or now - oscillating_since >= MEASURE_S:
            return timing
        time.pause(PERIOD_S)


# --- contactors and interlock --------------------------------------------------------------------


def _run(made: EvseHardware, time: Time, periods: int) -> EvseInputs:
    for _ in range(periods):
        made.read(time.now())
        made.kick()
        time.pause(PERIOD_S)
    return made.read(time.now())


def _is_old(reading: ContactorReading, time: Time) -> bool:
    """Whether what was read last says nothing about now: a part is gone."""
    return not time.now() - reading.taken_at <= CONTACTOR_STALE_S


def _interlock(made: EvseHardware, time: Time, *, configured: bool, ac: bool) -> Iterator[Finding]:
    if not configured:
        todo = (
            'only for the desk; with hw_docs/interlock.md built, [charger] interlock = "external"'
        )
        yield warn("interlock", "none: bench mode, output limited to 60 V", todo)
        return
    test = InterlockTest(configured=True)
    now = time.now()
    until = now + INTERLOCK_S
    for command in test.begin_again(now):
        made.carry_out(command, now)
    while not test.is_finished and now < until:
        now = time.now()
        outputs = test.receive_inputs(made.read(now), now, oscillating=ac)
        yield from _follow(made, test, outputs, now)
        time.pause(PERIOD_S)
    if not test.is_finished:
        todo = "release the emergency stop, close the doors, unplug the vehicle"
        yield warn("interlock", "not tested: the test waits for a quiet site", todo)


def _follow(
    made: EvseHardware | PevHardware,
    test: InterlockTest | VehicleInterlockTest,
    outputs: list[Output],
    now: float,
) -> Iterator[Finding]:
    """Carry out what a self-test wants in this period; yields what it has found."""
    due = test.next_timer()
    if due is not None and due <= now:
        outputs = outputs + test.handle_timer(now)
    for output in outputs:
        if isinstance(output, InterlockTested):
            yield judge.interlock(output)
        else:
            made.carry_out(output, now)
    made.kick()


def _chain(made: PevHardware, time: Time) -> Iterator[Finding]:
    test = VehicleInterlockTest()
    until = time.now() + INTERLOCK_S
    while not test.is_finished and time.now() < until:
        now = time.now()
        inputs = made.read(now)
        if not inputs.chain_read:
            todo = "name watchdog and chain_closed in the pin map, as hw_docs/interlock.md has them"
            yield warn("interlock", "none: a unit that hangs keeps its contactors closed", todo)
            return
        outputs = test.receive_vehicle(inputs, now)
        yield from _follow(made, test, outputs, now)
        time.pause(PERIOD_S)
    if not test.is_finished:
        yield fail("interlock", "its self-test does not end: the pins are not read", NEEDS_THAT)


# --- the vehicle unit ----------------------------------------------------------------------------


def vehicle(config: CarConfig, board: Board, time: Time) -> Iterator[Finding]:
    """Open a vehicle unit's hardware, and look at it."""
    try:
        made = open_vehicle(config, board, time)
    except ControllerError as error:
        yield _part_of(str(error))
        return
    try:
        yield ok("gpio", f"pins claimed ({config.hardware.gpio}), outputs inactive")
        for _ in range(SETTLE_PERIODS):
            made.read(time.now())
            made.kick()
            time.pause(PERIOD_S)
        inputs = made.read(time.now())
        if _is_old(inputs.contactors, time):
            yield _part_of(made.problem() or NOT_READ)
            return
        yield ok("converter", f"{config.hardware.adc} measures ({config.hardware.adc_bus})")
        yield from judge.inlet(inputs.pilot, config.inlet.connector)
        yield judge.contactors(inputs.contactors)
        yield from _chain(made, time)
        problem = made.problem()
        if problem:
            yield warn("battery", problem, "start the simulated site, for a bench")
    finally:
        made.close()
