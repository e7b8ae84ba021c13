"""Plays rounds in one rig, one after the other, and writes each outcome as a line of JSON.

`python -m tests.pair.worker real --rounds 10 --seed 3 --folder /tmp/x`; the last line says done.
Several of them side by side use a machine better than one: most of a round is waiting.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from controller.errors import ControllerError
from controller.signals import Phase
from tests.pair import rounds
from tests.pair.peer import FAULTS
from tests.pair.rig import Rig, bring_up

TRIES = 4
"""Of a round in which the machine stood still."""

TELL_S = 0.5
"""A process that was not given the processor says so when it runs again: after the failure."""

Play = Callable[[Rig], rounds.Outcome]


def real_rounds(rng: random.Random, first: int) -> Iterator[Play]:
    """Every fault in every phase, in an order of its own; `first` says where to begin."""
    number = first
    while True:
        phase = rounds.REAL_PHASES[number % len(rounds.REAL_PHASES)]
        if number % 12 == 10 and phase is Phase.CHARGE:
            seconds = rng.choice([-31_536_000.0, -3600.0, -1.0, 1.0, 3600.0, 31_536_000.0])
            yield lambda rig, seconds=seconds: rounds.step_clock(rig, seconds)  # type: ignore[misc]
        else:
            fault = rounds.REAL_FAULTS[(number // 2 + number) % len(rounds.REAL_FAULTS)]
            delay_s = rounds.random_delay_s(rng, phase)
            yield lambda rig, a=(*fault, phase, delay_s): rounds.play_real(rig, *a)  # type: ignore[misc]
        number += 1


def peer_rounds(rng: random.Random, first: int) -> Iterator[Play]:
    """Every misbehaviour in every phase."""
    names = list(FAULTS)
    number = first
    while True:
        phase = rounds.PEER_PHASES[number % len(rounds.PEER_PHASES)]
        fault = names[number % len(names)]
        delay_s = rounds.random_delay_s(rng, phase)
        yield lambda rig, a=(fault, phase, delay_s): rounds.play_peer(rig, *a)  # type: ignore[misc]
        number += 1


KINDS = {"real": real_rounds, "peer": peer_rounds}


class Table:
    """One rig after the other: one that was left in disorder is replaced."""

    def __init__(self, folder: Path, *, scripted: bool) -> None:
        self._folder = folder
        self._scripted = scripted
        self._count = 0
        self.rig: Rig | None = None

    def play(self, one: Play) -> rounds.Outcome:
        """Play a round; again if the machine stood still and so something was wrong."""
        for voids in range(TRIES):
            outcome = self._try(one)
            outcome.voids = voids
            if not outcome.is_void:
                break
        return outcome

    def _try(self, one: Play) -> rounds.Outcome:
        marks: dict[str, int] = {}
        try:
            rig = self.rig = self.rig or self._bring_up()
            marks = rig.marks()
            rig.plant.worst_late_s = 0.0
            outcome = one(rig)
            outcome.stalled_s = rig.stalled_s(marks)
        except (AssertionError, ControllerError) as error:  # TooLateError among them
            outcome = rounds.Outcome("?", "?", wrong=[str(error)])
            outcome.stalled_s = 1.0
            if self.rig is not None:
                outcome.stalled_s = self._stalled_s(self.rig, marks)
                outcome.wrong.append(f"a moment later: {self.rig.story()}")
            self.close()
        return outcome

    @staticmethod
    def _stalled_s(rig: Rig, marks: dict[str, int]) -> float:
        """How long the machine stood still, also for a process that has yet to say so."""
        with contextlib.suppress(AssertionError):
            rig.go_on(TELL_S)
        return rig.stalled_s(marks)

    def _bring_up(self) -> Rig:
        self._count += 1
        return bring_up(self._folder / str(self._count), scripted=self._scripted)

    def close(self) -> None:
        if self.rig is not None:
            self.rig.close()
            self.rig = None


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, required=True)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    table = Table(args.folder, scripted=args.kind == "peer")
    try:
        pick = KINDS[args.kind](rng, args.first)
        for _ in range(args.rounds):
            outcome = table.play(next(pick))
            sys.stdout.write(json.dumps(dataclasses.asdict(outcome)) + "\n")
            sys.stdout.flush()
    finally:
        table.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
