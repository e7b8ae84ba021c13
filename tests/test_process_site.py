"""A process of a simulated site: what it does in a step, and that it does nothing between two."""

from __future__ import annotations

import select
import threading
from typing import TYPE_CHECKING

import pytest

from controller import ipc
from controller.loop import LoopTimer
from controller.process_site import Site
from controller.signals import DutyRequest, Heartbeat, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP_S = 0.02
PATIENCE_S = 20.0


class Stage:
    """A stepped process on a thread, the site and the other half in the test's hands."""

    def __init__(self) -> None:
        ours, theirs = ipc.pair()
        near, self.far = ipc.pair()
        ours.settimeout(PATIENCE_S)
        self.site = ipc.Channel(ours, may_wait=True)
        self.other = ipc.Channel(near)
        self.log: list[tuple[str, float]] = []
        self.process = Site(theirs.detach(), paced=True)
        self.other.on_signal(lambda item, now: self.log.append((type(item).__name__, now)))
        self.process.loop.watch(self.other.fileno(), self.other.receive)
        self.process.loop.add(LoopTimer(STEP_S, lambda now: self.log.append(("frame", now)), 0.0))
        self.thread = threading.Thread(target=self.process.loop.run)
        self.thread.start()

    def step(self, now: float) -> None:
        """Hand out a step and wait for its end."""
        self.site.send(ipc.TICK, ipc.TIME.pack(now))
        assert self.site.sock.recv(ipc.LARGEST)[:1] == ipc.DONE

    def say(self, *items: DutyRequest | Heartbeat) -> None:
        """Let the other half say something, and the process read it if it would."""
        sender = ipc.Channel(self.far)
        for item in items:
            sender.send_signal(item)
        select.select([], [], [], 0.05)

    def close(self) -> None:
        self.site.close()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        self.process.loop.close()
        self.process.channel.close()
        self.other.close()
        self.far.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


def test_what_comes_between_two_steps_belongs_to_the_next(stage: Stage) -> None:
    """A command sent between two steps would race with the site's next readings."""
    stage.step(0.0)
    stage.say(DutyRequest(1.0))
    assert stage.log == [("frame", 0.0)]
    stage.step(STEP_S)
    assert stage.log[1:] == [("DutyRequest", STEP_S), ("frame", STEP_S)]


def test_a_heartbeat_of_the_next_step_is_not_of_the_future(stage: Stage) -> None:
    """The other half may be told the time first; what it says then is read at that time."""
    stage.step(0.0)
    stage.say(Heartbeat(1, Phase.IDLE, STEP_S))
    stage.step(STEP_S)
    assert stage.log[1:] == [("Heartbeat", STEP_S), ("frame", STEP_S)]


def test_what_comes_in_a_step_is_done_in_it(stage: Stage) -> None:
    stage.say(DutyRequest(1.0))
    stage.step(0.0)
    assert ("DutyRequest", 0.0) in stage.log


def test_it_ends_with_the_site(stage: Stage) -> None:
    stage.step(0.0)
    stage.site.close()
    stage.thread.join(PATIENCE_S)
    assert not stage.thread.is_alive()
