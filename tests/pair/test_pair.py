"""The pair of processes in real time, with real signals, at every phase, many times over.

What a round does and what must be so is told in `rounds`. Several rigs play side by side, each a
process with its own plant. CCS_PILOT_PAIR_ROUNDS says how many rounds there are in all: 24 in
passing, 200 in CI (about two minutes).
"""

from __future__ import annotations

import faulthandler
import json
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from controller.errors import PortError
from controller.signals import Phase
from controller.site_link import free_udp_port
from tests.pair.rig import ROOT, TooLateError
from tests.pair.rounds import Outcome
from tests.pair.worker import KINDS, Table

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = int(os.environ.get("CCS_PILOT_PAIR_ROUNDS", "24"))
WORKERS = ("real", "peer", "real", "peer", "peer")
ROUND_S = 30.0
"""Patience for one; on an idle machine it takes three seconds."""
JUDGED = 0.5
"""At least so many of the rounds must have shown something, however busy the machine is."""


def shares(rounds: int) -> list[int]:
    """How many rounds each worker plays."""
    workers = WORKERS if rounds >= 100 else WORKERS[:4]
    return [rounds // len(workers) + (n < rounds % len(workers)) for n in range(len(workers))]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    try:
        free_udp_port()
    except PortError as error:
        pytest.skip(str(error))
    faulthandler.cancel_dump_traceback_later()  # 200 rounds take longer than pytest's patience
    folder = tmp_path_factory.mktemp("pair")
    seed = int(os.environ.get("CCS_PILOT_PAIR_SEED", str(os.getpid())))
    sys.stdout.write(f"CCS_PILOT_PAIR_SEED={seed}\n")
    running = []
    for number, share in enumerate(shares(ROUNDS)):
        words = ["-m", "tests.pair.worker", WORKERS[number], "--rounds", str(share)]
        words += ["--seed", str(seed + number), "--first", str(number * 7 + seed % 60)]
        words += ["--folder", str(folder / str(number))]
        running.append(start(words, folder / f"{number}.txt"))
    try:
        for process in running:
            process.wait(ROUND_S * max(shares(ROUNDS)))
    finally:
        for process in running:
            process.kill()
            process.wait()
    lines = [path.read_text().splitlines() for path in sorted(folder.glob("*.txt"))]
    broken = [text for text in lines if not all(line.startswith("{") for line in text)]
    assert not broken, "\n".join(broken[0])
    return [Outcome(**json.loads(line)) for text in lines for line in text]


def start(words: list[str], to: Path) -> subprocess.Popen[bytes]:
    with to.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT
        )


pytestmark = pytest.mark.timeout(ROUND_S * max(shares(ROUNDS)) + 60.0)


def test_every_round_ends_safe_with_its_reason_and_the_next_vehicle_charges(
    outcomes: list[Outcome],
) -> None:
    sys.stdout.write("\n".join(outcome.line for outcome in outcomes) + "\n")
    wrong = [outcome for outcome in outcomes if outcome.wrong and not outcome.is_void]
    assert not wrong, "\n".join(outcome.line for outcome in wrong)
    assert len(outcomes) == ROUNDS
    judged = sum(not outcome.is_void for outcome in outcomes)
    assert judged >= JUDGED * ROUNDS, "this machine stands still too often to judge"


def test_they_struck_where_something_was_closed(outcomes: list[Outcome]) -> None:
    """Otherwise nothing was proved."""
    closed = [outcome for outcome in outcomes if outcome.safe_after_s is not None]
    assert Phase.CHARGE.value in {outcome.phase for outcome in closed}
    assert len(closed) > 0.25 * ROUNDS or ROUNDS < 24


def test_all_kinds_of_faults_are_played() -> None:
    """The plan of 200 rounds has every fault in a charge, and each phase."""
    import random

    from tests.pair import rounds
    from tests.pair.peer import FAULTS

    played: set[tuple[object, ...]] = set()

    class Note:
        """Takes the place of a rig: notes what would be done."""

    def real(rig: object, victim: str, action: object, phase: Phase, delay_s: float) -> None:
        played.add((victim, action, phase))

    def peer(rig: object, fault: str, phase: Phase, delay_s: float) -> None:
        played.add((fault, phase))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "play_real", real)
        patch.setattr(rounds, "play_peer", peer)
        patch.setattr(rounds, "step_clock", lambda rig, seconds: played.add(("clock",)))
        for kind, count in (("real", 80), ("peer", 120)):
            pick = KINDS[kind](random.Random(1), 0)
            for _ in range(count):
                next(pick)(Note())  # type: ignore[arg-type]
    assert {(*fault, Phase.CHARGE) for fault in rounds.REAL_FAULTS} <= played
    assert {(fault, Phase.CHARGE) for fault in FAULTS} <= played
    assert {phase for *_, phase in played} >= set(rounds.REAL_PHASES)
    assert ("clock",) in played


def test_a_process_that_stood_still_may_say_so_after_the_failure(tmp_path: Path) -> None:
    class StandsStill:
        """A rig in which a session fails before the process at fault runs again."""

        plant = SimpleNamespace(worst_late_s=0.0)
        told_s = 0.0

        def marks(self) -> dict[str, int]:
            return {}

        def go_on(self, seconds: float) -> None:
            self.told_s = 0.15

        def stalled_s(self, marks: dict[str, int]) -> float:
            return self.told_s

        def story(self) -> str:
            return "the loop turned 150 ms late"

        def close(self) -> None: ...

    def fails(rig: object) -> Outcome:
        raise TooLateError("the session failed before charge")

    table = Table(tmp_path, scripted=True)
    table.rig = StandsStill()  # type: ignore[assignment]
    outcome = table._try(fails)
    assert outcome.is_void
    assert "150 ms late" in outcome.line
