"""Managing a modem: a machine that carries out the steps of a plan, one at a time.

A plan (`manage_plans`) is a generator: it yields steps - ask this, collect answers, wait for the
restart - and is given what came of each. So what is done with a modem reads from top to bottom,
while this machine alone knows how to wait: every step has a time-out and a number of tries, every
request goes out again when no answer came, and a plan that does not catch the failure of a step
ends with one line that says what was missing.

Nothing here can be left hanging: a plan is a finite list of bounded steps. `stage` says at any
moment what an interruption would leave behind (see `Stage`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from controller.errors import WireError
from controller.machine import TableMachine, row
from controller.plc import wire
from controller.plc.chips import NO_FIRMWARE
from controller.plc.wire_vendor import VsSwVerCnf, VsSwVerReq
from controller.signals import Output, SendFrame

if TYPE_CHECKING:
    from controller.plc.layout import Mme

ANSWER_WAIT_S = 0.5
"""Wait before a question is repeated: real modems answer in 0.5 ms, the slowest key confirm of 354
captured ones took 294 ms."""
ANSWER_TRIES = 3
COLLECT_S = 0.3
"""How long answers of several modems are gathered once the first is there."""
READ_WAIT_S = 5.0
"""A piece of a module, as plctool waits for it."""
SESSION_WAIT_S = 60.0
"""The start of a write session, as plctool waits for it: the modem may erase memory first."""
WRITE_WAIT_S = 90.0
"""A written piece, and the commit, as plctool waits for them."""
RESTART_POLL_S = 0.5
RESTART_MIN_S = 5.0
"""A modem that answers earlier without having been silent has not restarted yet (plctool: 5 s)."""
RESTART_MAX_S = 30.0
"""Restarts take 3 to 7 s; one with freshly written flash memory longer."""


class Stage(Enum):
    """What an interruption leaves behind, in words for the user."""

    READING = "nothing was changed in the modem"
    STAGING = (
        "the modem's flash memory is as it was, but a write session is open: "
        "restart the modem (ccs-pilot modem reset)"
    )
    COMMITTING = (
        "the modem was writing its flash memory: leave it powered for two minutes, then look "
        "(ccs-pilot modem info); if it is damaged, write the backup (ccs-pilot modem restore)"
    )
    RESTARTING = "everything was written, nothing was verified: look with ccs-pilot modem info"


class ManageError(Exception):
    """A step or a plan failed; the text is one line for the user."""


class NoAnswer(ManageError):  # noqa: N818 - it is the answer that is missing, not a fault
    """All tries of a question are used up."""


# --- what the machine says --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress(Output):
    """Something that takes a while begins."""

    text: str


@dataclass(frozen=True, slots=True)
class KeepParameters(Output):
    """Store the modem's present parameter file before anything is written."""

    mac: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class ManageDone(Output):
    """The plan is carried out; `result` is what it found."""

    result: Any


@dataclass(frozen=True, slots=True)
class ManageFailed(Output):
    """The plan ended early."""

    reason: str


# --- steps ---------------------------------------------------------------------------------------


def any_answer(mme: Mme) -> bool:
    """Take the first answer of the right type."""
    return True


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a request until a fitting answer comes; gives the message, or raises NoAnswer."""

    mme: Mme
    expects: type[Mme]
    to: bytes = wire.LOCAL_MODEM
    wait_s: float = ANSWER_WAIT_S
    tries: int = ANSWER_TRIES
    fits: Callable[[Any], bool] = any_answer


@dataclass(frozen=True, slots=True)
class Collect:
    """Send a request and gather every answer; gives a list of frames, empty after all tries."""

    mme: Mme
    expects: type[Mme]
    to: bytes = wire.LOCAL_MODEM
    wait_s: float = ANSWER_WAIT_S
    tries: int = ANSWER_TRIES


@dataclass(frozen=True, slots=True)
class AwaitRestart:
    """Wait until the modem has been silent and runs its firmware again; gives its version."""

    mac: bytes | None = None
    """Its address, where it is known."""
    at_once: bool = False
    """It ran only its boot loader before: the first answer of a firmware is enough."""


@dataclass(frozen=True, slots=True)
class Enter:
    """From now on an interruption means this."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class Say:
    """Give an output to the outside."""

    output: Output


Step = Ask | Collect | AwaitRestart | Enter | Say
Plan = Generator[Step, Any, Any]


class ManageState(Enum):
    """What the machine waits for."""

    IDLE = "nothing to do"
    BETWEEN = "between two steps"
    ASKING = "asking"
    COLLECTING = "collecting"
    RESTARTING = "waiting for the restart"


S = ManageState
BUSY = [S.ASKING, S.COLLECTING, S.RESTARTING]

TABLE = [
    row("begin", S.IDLE, S.BETWEEN),
    row("ask", S.BETWEEN, S.ASKING, do="send_request"),
    row("answer", S.ASKING, S.BETWEEN, when="is_asked_for", do="take_answer"),
    row("timeout", S.ASKING, "=", when="has_tries_left", do="send_request"),
    row("timeout", S.ASKING, S.BETWEEN, do="note_silence"),
    row("collect", S.BETWEEN, S.COLLECTING, do="send_request"),
    row("answer", S.COLLECTING, None, when="is_asked_for", do="gather"),
    row("timeout", S.COLLECTING, S.BETWEEN, when="heard_any", do="take_gathered"),
    row("timeout", S.COLLECTING, "=", when="has_tries_left", do="send_request"),
    row("timeout", S.COLLECTING, S.BETWEEN, do="take_gathered"),
    row("await_restart", S.BETWEEN, S.RESTARTING, do="begin_waiting"),
    row("answer", S.RESTARTING, S.BETWEEN, when=["is_version", "is_back"], do="take_version"),
    row("answer", S.RESTARTING, None, when="is_version", do="note_still_there"),
    row("timeout", S.RESTARTING, "=", when="may_still_come", do="poll_version"),
    row("timeout", S.RESTARTING, S.BETWEEN, do="note_no_restart"),
    row("finish", S.BETWEEN, S.IDLE),
    row("cancel", [S.BETWEEN, *BUSY], S.IDLE),
]


class Manager(TableMachine):
    """Carries out one plan over one link; `handle_timer` starts it."""

    TABLE = TABLE
    INITIAL = S.IDLE
    DEADLINE_S: ClassVar = {
        S.ASKING: ANSWER_WAIT_S,  # each step brings its own
        S.COLLECTING: COLLECT_S,
        S.RESTARTING: RESTART_POLL_S,
    }
    ENDLESS = (S.IDLE, S.BETWEEN)

    def __init__(self, mac: bytes, plan: Plan) -> None:
        super().__init__()
        self.mac = mac
        self.stage = Stage.READING
        self._plan = plan
        self._step: Step | None = None
        self._value: Any = None
        self._failure: ManageError | None = None
        self._tries_left = 0
        self._gathered: list[wire.Frame] = []
        self._waiting_since = 0.0
        self._was_silent = False
        self._answered = True
        self._boot_loader = False
        self._deadline_at = 0.0  # the first handle_timer starts the plan

    @property
    def has_ended(self) -> bool:
        """Ask whether the plan is over."""
        return bool(self.state is S.IDLE and self._deadline_at is None)

    # --- verbs ---

    def receive_frame(self, frame: bytes, now: float) -> list[Output]:
        """Take a frame from the link; all that does not answer the present step is ignored."""
        if not wire.is_homeplug(frame) or frame[0:6] != self.mac:
            return []
        try:
            self.rx = wire.parse(frame)
        except WireError:
            return []
        self.now = now
        before = self.state
        self.answer()
        if before is not S.BETWEEN and self.state is S.BETWEEN:
            self._go_on()
        return self.drain()

    def handle_timer(self, now: float) -> list[Output]:
        """Repeat, give up, or begin."""
        if self._deadline_at is None or now < self._deadline_at:
            return []
        if self.state is S.IDLE:
            self.now = now
            self.begin()
        else:
            self.out = super().handle_timer(now)
        if self.state is S.BETWEEN:
            self._go_on()
        return self.drain()

    def interrupt(self) -> list[Output]:
        """End now; the failure says what is left behind."""
        if not self.has_ended:
            self.cancel()
            self._deadline_at = None
            self._plan.close()
            self.out.append(ManageFailed(f"interrupted: {self.stage.value}"))
        return self.drain()

    # --- the plan ---

    def _go_on(self) -> None:
        """Run the plan to its next step that waits."""
        while self.state is S.BETWEEN:
            try:
                self._step = self._resume()
            except StopIteration as stop:
                self.out.append(ManageDone(stop.value))
                self.finish()
            except (ManageError, WireError) as error:  # what a modem sends never raises
                self.out.append(ManageFailed(str(error)))
                self.finish()
            else:
                self._begin(self._step)

    def _resume(self) -> Step:
        value, self._value = self._value, None
        failure, self._failure = self._failure, None
        return self._plan.send(value) if failure is None else self._plan.throw(failure)

    def _begin(self, step: Step) -> None:
        if isinstance(step, Enter):
            self.stage = step.stage
        elif isinstance(step, Say):
            self.out.append(step.output)
        elif isinstance(step, AwaitRestart):
            self.await_restart()
        else:
            self._tries_left = step.tries
            self._gathered = []
            if isinstance(step, Ask):
                self.ask()
            else:
                self.collect()

    def _arm_deadline(self) -> None:
        super()._arm_deadline()
        if self.state in (S.ASKING, S.COLLECTING) and isinstance(self._step, Ask | Collect):
            self._deadline_at = self.now + self._step.wait_s

    # --- triggers (declared for the type checker; the table replaces them) ---

    def begin(self) -> bool:
        """Begin the plan."""
        return False

    def ask(self) -> bool:
        """Begin an `Ask`."""
        return False

    def collect(self) -> bool:
        """Begin a `Collect`."""
        return False

    def await_restart(self) -> bool:
        """Begin an `AwaitRestart`."""
        return False

    def answer(self) -> bool:
        """Take a frame for our address."""
        return False

    def finish(self) -> bool:
        """End: the plan is over."""
        return False

    def cancel(self) -> bool:
        """End: the user said so."""
        return False

    # --- guards ---

    def is_asked_for(self) -> bool:
        """Ask whether the frame answers the present step."""
        step, frame = self._step, self.rx
        if not isinstance(step, Ask | Collect) or type(frame.mme) is not step.expects:
            return False
        if step.to not in (wire.LOCAL_MODEM, wire.BROADCAST, frame.src):
            return False
        return isinstance(step, Collect) or step.fits(frame.mme)

    def has_tries_left(self) -> bool:
        """Ask whether the request may be repeated."""
        return self._tries_left > 0

    def heard_any(self) -> bool:
        """Ask whether a modem has answered."""
        return bool(self._gathered)

    def is_version(self) -> bool:
        """Ask whether this is the version of the modem that restarts."""
        wanted = self._step.mac if isinstance(self._step, AwaitRestart) else None
        return type(self.rx.mme) is VsSwVerCnf and wanted in (None, self.rx.src)

    def is_back(self) -> bool:
        """Ask whether it has really restarted and runs its firmware."""
        runs = not self.rx.mme.version.startswith(NO_FIRMWARE)
        at_once = isinstance(self._step, AwaitRestart) and self._step.at_once
        waited = self.now - self._waiting_since >= RESTART_MIN_S
        return runs and (at_once or self._was_silent or waited)

    def may_still_come(self) -> bool:
        """Ask whether the wait for the restart goes on."""
        return self.now - self._waiting_since < RESTART_MAX_S

    # --- actions ---

    def send_request(self) -> None:
        """Send the request of the step."""
        if isinstance(self._step, Ask | Collect):
            self._tries_left -= 1
            self._send(self._step.to, self._step.mme)

    def take_answer(self) -> None:
        """Hand the message to the plan."""
        self._value = self.rx.mme

    def note_silence(self) -> None:
        """Let the plan know that no answer came."""
        if isinstance(self._step, Ask):
            waited_s = self._step.wait_s * self._step.tries
            self._failure = NoAnswer(
                f"no answer to {self._step.mme.name} after {self._step.tries} tries "
                f"({waited_s:g} s): is the modem still powered and connected?"
            )

    def gather(self) -> None:
        """Keep an answer; the others have a moment more."""
        known = {frame.src for frame in self._gathered}
        if self.rx.src not in known:
            self._gathered.append(self.rx)
            if len(self._gathered) == 1:
                self._deadline_at = self.now + COLLECT_S

    def take_gathered(self) -> None:
        """Hand all answers to the plan."""
        self._value = self._gathered

    def begin_waiting(self) -> None:
        """Note when the wait began; the first question goes out after one poll period."""
        self._waiting_since = self.now
        self._was_silent, self._answered, self._boot_loader = False, True, False

    def poll_version(self) -> None:
        """Note whether the last question was answered, and ask again."""
        self._was_silent = self._was_silent or not self._answered
        self._answered = False
        self._send(wire.LOCAL_MODEM, VsSwVerReq())

    def note_still_there(self) -> None:
        """Remember that it answers: it has not gone down yet (or only its boot loader runs)."""
        self._answered = True
        self._boot_loader = self.rx.mme.version.startswith(NO_FIRMWARE)

    def take_version(self) -> None:
        """Hand the version to the plan."""
        self._value = self.rx

    def note_no_restart(self) -> None:
        """Let the plan know that the modem did not come back."""
        if self._boot_loader:
            self._failure = ManageError(
                "after the restart only the modem's boot loader runs: its flash memory is empty or "
                "damaged; start it with ccs-pilot modem boot, then restore its backup"
            )
            return
        self._failure = NoAnswer(
            f"the modem did not come back {RESTART_MAX_S:g} s after its restart: "
            "take its power away for ten seconds and look again (ccs-pilot modem list)"
        )

    def _send(self, to: bytes, mme: Mme) -> None:
        self.out.append(SendFrame(wire.build(to, self.mac, mme)))
