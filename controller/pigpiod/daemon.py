"""The daemon: bytes of many clients in, replies and reports out (core, in whatever time `now` is).

    daemon = Daemon(Bare([(18, 17)]))
    daemon.connect(1)
    daemon.receive_data(1, request, now)  # -> [SendBytes(1, reply)]
    daemon.handle_timer(now)              # at next_timer(): reports, and what the circuit does

Requests may arrive in any pieces. Nothing a client sends makes it raise: what is not understood
is answered with an error, and an extension that is too long ends the connection, as the real
daemon does it. What is not there says so: `NOT_SIMULATED`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.pigpiod.buses import I2c, Spi
from controller.pigpiod.circuit import Bare
from controller.pigpiod.courses import NS, to_ns
from controller.pigpiod.notify import Notifier
from controller.pigpiod.outputs import Outputs
from controller.pigpiod.pins import BANK, Pins
from controller.pigpiod.scripts import Scripts
from controller.pigpiod.waves import Waves
from controller.pigpiod.wire import (
    BY_NAME,
    COMMANDS,
    EXTENSION_END,
    GPIOS,
    REQUEST,
    USER_GPIOS,
    Request,
    Status,
    reply,
    take_apart,
)
from controller.signals import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.pigpiod.circuit import Circuit

    Answer = int | tuple[int, bytes]
    Handler = Callable[[Request, int], Answer]
    """(request, nanoseconds) -> result, or result and the bytes that follow."""

VERSION = 79
PI_3B = 0xA02082
"""Revision code of the board, from which clients know its pins."""
PERMITTED = 0xFFFFFFC
"""GPIO 2 to 27: those of the header of a Pi 3 or 4."""
SHELL_NOT_FOUND = 127 << 8
"""Exit status of a shell that does not find its script."""
HIGHEST_MICROS = 1_000_000
HIGHEST_MILLIS = 60_000
RECONFIGURES = frozenset({BY_NAME["MODES"].number, BY_NAME["PUD"].number})
PADS = 3
PAD_STRENGTH_MA = (1, 16)


@dataclass(frozen=True, slots=True)
class SendBytes(Output):
    """Send these bytes to a client."""

    client: int
    data: bytes


@dataclass(frozen=True, slots=True)
class HangUp(Output):
    """Close a client's connection."""

    client: int
    reason: str


class _Client:
    """What a client has sent that is not carried out."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.busy_until: int | None = None
        """It asked the daemon to wait; the answer, and what it sends meanwhile, wait too."""
        self.owed = b""


class Daemon:
    """The simulated daemon."""

    def __init__(
        self,
        circuit: Circuit | None = None,
        *,
        revision: int = PI_3B,
        permitted: int = PERMITTED,
        first_tick: int | None = None,
        now: float = 0.0,
        lost_first_edge: bool = False,
    ) -> None:
        """Make one whose tick is `first_tick` at `now`; None: counted from the machine's start."""
        self.circuit: Circuit = circuit or Bare()
        self.pins = Pins(self.circuit, permitted)
        self.outputs = Outputs(self.pins, revision)
        offset_us = 0 if first_tick is None else first_tick - to_ns(now) // 1000
        self.notifier = Notifier(self.pins, offset_us, lost_first_edge=lost_first_edge)
        self._revision = revision
        self._clients: dict[int, _Client] = {}
        self._asking = 0
        """The client whose request is carried out."""
        self._told: list[Output] = []
        self._pads = [8] * PADS
        self._internals = 0
        self.scripts = Scripts(self.execute)
        self._handlers: dict[str, Handler] = {
            **self._gpio_commands(),
            **self._pwm_commands(),
            **self._notify_commands(),
            **self._other_commands(),
            **I2c(self.circuit).commands(),
            **Spi(self.circuit, self.pins).commands(),
            **Waves(self.pins, self.outputs).commands(),
            **self.scripts.commands(),
            **NOT_SIMULATED,
        }

    # --- clients --------------------------------------------------------------------------------

    def connect(self, client: int) -> None:
        """A client is there."""
        self._clients[client] = _Client()

    def disconnect(self, client: int, now: float) -> list[Output]:
        """A client is gone; its notification handle with it, nothing else (as in the original)."""
        self._clients.pop(client, None)
        at = to_ns(now)
        told = self._tell(self.notifier.handle_timer(at))
        self.notifier.close_all_of(client, at)
        return told

    def receive_data(self, client: int, data: bytes, now: float) -> list[Output]:
        """Take bytes of a client."""
        state = self._clients.get(client)
        if state is None:
            return []
        state.buffer += data
        at = to_ns(now)
        outputs = self._let_time_pass(at)
        return outputs + self._carry_out(client, state, at)

    def next_timer(self) -> float | None:
        """When something is to be done without a request, in seconds."""
        due = [self.notifier.next_timer(), self.circuit.next_timer(), self.scripts.next_timer()]
        due += [state.busy_until for state in self._clients.values()]
        times = [at for at in due if at is not None]
        return min(times) / NS if times else None

    def handle_timer(self, now: float) -> list[Output]:
        """Do what is due."""
        at = to_ns(now)
        self._told = []
        outputs = self._let_time_pass(at)
        self.scripts.handle_timer(at)
        outputs += self._told + self._tell_unwatched(at, reconfigured=False)
        outputs += self._tell(self.notifier.handle_timer(at))
        for client, state in list(self._clients.items()):
            if state.busy_until is not None and state.busy_until <= at:
                state.busy_until = None
                outputs.append(SendBytes(client, state.owed))
                outputs += self._carry_out(client, state, at)
        return outputs

    def circuit_changed(self, now: float) -> list[Output]:
        """Somebody changed the circuit by hand: let the pins follow."""
        at = to_ns(now)
        self.pins.refresh(at)
        return self._tell_unwatched(at, reconfigured=False)

    # --- requests -------------------------------------------------------------------------------

    def execute(self, request: Request, at: int) -> Answer:
        """Carry out one request."""
        entry = COMMANDS.get(request.command)
        handler = self._handlers.get(entry.name) if entry else None
        return Status.UNKNOWN_COMMAND if handler is None else handler(request, at)

    def _carry_out(self, client: int, state: _Client, at: int) -> list[Output]:
        self._told = []
        buffer, start = state.buffer, 0
        while state.busy_until is None and len(buffer) - start >= REQUEST.size:
            command, first, second, length = REQUEST.unpack_from(buffer, start)
            if length >= EXTENSION_END:
                del self._clients[client]
                self.notifier.close_all_of(client, at)
                self._told.append(HangUp(client, f"extension of {length} bytes"))
                return self._told
            end = start + REQUEST.size + length
            if len(buffer) < end:
                break
            extension = bytes(buffer[start + REQUEST.size : end])
            start = end
            self._answer(client, command, first, second, extension, at)
        del buffer[:start]
        return self._told

    def _answer(
        self, client: int, command: int, first: int, second: int, extension: bytes, at: int
    ) -> None:
        request = take_apart(command, first, second, extension)
        self._asking = client
        answer: Answer = Status.BAD_PARAM if request is None else self.execute(request, at)
        result, data = answer if isinstance(answer, tuple) else (answer, b"")
        if self.pins.changed:
            self._told += self._tell_unwatched(at, reconfigured=command in RECONFIGURES)
        packed = reply(command, first, second, result, data)
        state = self._clients[client]
        if state.busy_until is None:
            self._told.append(SendBytes(client, packed))
        else:
            state.owed = packed

    # --- time -----------------------------------------------------------------------------------

    def _let_time_pass(self, at: int) -> list[Output]:
        """Let the circuit do what was due, each at its own time."""
        due = self.circuit.next_timer()
        while due is not None and due <= at:
            self.circuit.handle_timer(due)
            self.pins.refresh(due)
            later = self.circuit.next_timer()
            due = later if later is None or later > due else None
        return self._tell_unwatched(at, reconfigured=False)

    def _tell_unwatched(self, at: int, *, reconfigured: bool) -> list[Output]:
        if not self.pins.changed:
            return []
        self.pins.changed = False
        return self._tell(self.notifier.tell_unwatched(at, reconfigured=reconfigured))

    def _tell(self, reports: list[tuple[int, bytes]]) -> list[Output]:
        return [SendBytes(client, data) for client, data in reports]

    def _catch_up(self, at: int) -> None:
        """Look at the samples before it changes who watches what, and how."""
        self._told += self._tell(self.notifier.handle_timer(at))

    # --- the commands ---------------------------------------------------------------------------

    def _may(self, gpio: int) -> int:
        """Say whether a GPIO may be changed; one that does not exist fails for itself later."""
        refused = gpio < GPIOS and not self.pins.permitted >> gpio & 1
        return Status.NOT_PERMITTED if refused else 0

    def _gpio_commands(self) -> dict[str, Handler]:
        pins, outputs, may = self.pins, self.outputs, self._may
        return {
            "MODES": lambda r, at: may(r.first) or outputs.set_mode(r.first, r.second, at),
            "MODEG": lambda r, at: pins.pins[r.first].mode if r.first < GPIOS else Status.BAD_GPIO,
            "PUD": lambda r, at: may(r.first) or self._set_pull(r.first, r.second, at),
            "READ": lambda r, at: pins.read(r.first, at) if r.first < GPIOS else Status.BAD_GPIO,
            "WRITE": lambda r, at: may(r.first) or outputs.write(r.first, r.second, at),
            "BR1": lambda r, at: pins.levels(at) & BANK,
            "BR2": lambda r, at: pins.levels(at) >> USER_GPIOS,
            "BC1": lambda r, at: outputs.write_bank(r.first, 0, 0, at),
            "BC2": lambda r, at: outputs.write_bank(r.first, 0, USER_GPIOS, at),
            "BS1": lambda r, at: outputs.write_bank(r.first, 1, 0, at),
            "BS2": lambda r, at: outputs.write_bank(r.first, 1, USER_GPIOS, at),
            "TRIG": lambda r, at: (
                may(r.first) or outputs.trigger(r.first, r.second, r.words[0], at)
            ),
        }

    def _pwm_commands(self) -> dict[str, Handler]:
        outputs, may = self.outputs, self._may
        return {
            "PWM": lambda r, at: may(r.first) or outputs.set_pwm(r.first, r.second, at),
            "PRS": lambda r, at: may(r.first) or outputs.set_range(r.first, r.second, at),
            "PFS": lambda r, at: may(r.first) or outputs.set_frequency(r.first, r.second, at),
            "SERVO": lambda r, at: may(r.first) or outputs.set_servo(r.first, r.second, at),
            "PRG": lambda r, at: outputs.get_range(r.first),
            "PFG": lambda r, at: outputs.get_frequency(r.first),
            "PRRG": lambda r, at: outputs.get_real_range(r.first),
            "GDC": lambda r, at: outputs.get_duty(r.first),
            "GPW": lambda r, at: outputs.get_servo(r.first),
            "HP": lambda r, at: (
                may(r.first) or outputs.set_hardware_pwm(r.first, r.second, r.words[0], at)
            ),
            "HC": lambda r, at: may(r.first & 0xFFFFFF) or outputs.set_clock(r.first, r.second, at),
        }

    def _notify_commands(self) -> dict[str, Handler]:
        notifier = self.notifier

        def after_a_look(handler: Handler) -> Handler:
            def carry_out(request: Request, at: int) -> Answer:
                self._catch_up(at)
                return handler(request, at)

            return carry_out

        looking: dict[str, Handler] = {
            "NOIB": lambda r, at: notifier.open(self._asking, at),
            "NB": lambda r, at: notifier.begin(r.first, r.second, at),
            "NP": lambda r, at: notifier.pause(r.first, at),
            "NC": lambda r, at: notifier.close(r.first, at),
            "FG": lambda r, at: notifier.set_glitch_filter(r.first, r.second, at),
            "FN": lambda r, at: notifier.set_noise_filter(r.first, r.second, r.words[0], at),
            "WDOG": lambda r, at: notifier.set_watchdog(r.first, r.second, at),
        }
        return {
            **{name: after_a_look(handler) for name, handler in looking.items()},
            "NO": lambda r, at: Status.BAD_PATHNAME,  # no pipes: notifications come in band
            "EVM": lambda r, at: notifier.monitor_events(r.first, r.second),
            "EVT": lambda r, at: notifier.trigger_event(r.first, at),
        }

    def _other_commands(self) -> dict[str, Handler]:
        return {
            "TICK": lambda r, at: self.notifier.tick(at),
            "HWVER": lambda r, at: self._revision,
            "PIGPV": lambda r, at: VERSION,
            "HELP": lambda r, at: 0,
            "MICS": lambda r, at: self._wait(r.first, 1000, HIGHEST_MICROS, at),
            "MILS": lambda r, at: self._wait(r.first, 1_000_000, HIGHEST_MILLIS, at),
            "PADS": self._set_pad,
            "PADG": lambda r, at: self._pads[r.first] if r.first < PADS else Status.BAD_PAD,
            "CGI": lambda r, at: self._internals,
            "CSI": self._set_internals,
            "CF1": lambda r, at: max(r.first, r.second, *r.data, 0),
            "CF2": lambda r, at: _with_bytes(r.data[::-1][: r.second]),
        }

    def _set_pull(self, gpio: int, pull: int, at: int) -> int:
        if gpio >= GPIOS:
            return Status.BAD_GPIO
        if pull > 2:
            return Status.BAD_PUD
        self.pins.set_pull(gpio, pull, at)
        return 0

    def _wait(self, count: int, unit_ns: int, highest: int, at: int) -> int:
        if count > highest:
            return Status.BAD_MICS_DELAY if unit_ns == 1000 else Status.BAD_MILS_DELAY
        self._clients[self._asking].busy_until = at + count * unit_ns
        return 0

    def _set_pad(self, request: Request, at: int) -> int:
        if request.first >= PADS:
            return Status.BAD_PAD
        lowest, highest = PAD_STRENGTH_MA
        if not lowest <= request.second <= highest:
            return Status.BAD_STRENGTH
        self._pads[request.first] = (request.second + 1) // 2 * 2  # the chip knows even ones
        return 0

    def _set_internals(self, request: Request, at: int) -> int:
        self._internals = request.first
        return 0


def _open_serial(request: Request, at: int) -> int:
    """No serial device can be opened; a name that is none is told apart, as the original does."""
    is_name = request.data.startswith((b"/dev/tty", b"/dev/serial"))
    return Status.SER_OPEN_FAILED if is_name else Status.BAD_SER_DEVICE


def _says(status: int) -> Handler:
    return lambda request, at: status


NOT_SIMULATED: dict[str, Handler] = {
    "SERO": _open_serial,
    **dict.fromkeys(
        ("SERC", "SERRB", "SERWB", "SERR", "SERW", "SERDA", "FC", "FR", "FW", "FS"),
        _says(Status.BAD_HANDLE),
    ),
    **dict.fromkeys(("FO", "FL"), _says(Status.NO_FILE_ACCESS)),
    **dict.fromkeys(("SLRO", "BSCX"), _says(Status.UNKNOWN_COMMAND)),
    **dict.fromkeys(("SLR", "SLRC", "SLRI"), _says(Status.NOT_SERIAL_GPIO)),
    "SHELL": _says(SHELL_NOT_FOUND),
}
"""What is not there, and what an original without it would answer."""


def _with_bytes(data: bytes) -> tuple[int, bytes]:
    return len(data), data
