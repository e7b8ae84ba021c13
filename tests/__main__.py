"""All tests, as `make test` runs them: `python -m tests [what pytest takes]`.

Two halves, one after the other. `beside`: what is computed or happens in virtual time, a process on
each core. `alone`: real processes and signals at their real times, in turn, with nothing beside
them (which those are: `ALONE` in tests/conftest.py). The coverage of both is printed once at the
end; the exit status is the worse one. Plain `pytest` runs the same tests in one process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import coverage
import pytest

from tests.conftest import ALONE, HERE, is_in

ROOT = HERE.parent
NOTHING = pytest.ExitCode.NO_TESTS_COLLECTED


def main(words: list[str]) -> int:
    """Run both halves; returns the exit status."""
    measured = "--no-cov" not in words
    codes: list[int] = []
    with tempfile.TemporaryDirectory(prefix="ccs-tests-") as folder:
        for half in halves(words):
            codes.append(run(half, words, Path(folder), measured=measured))
            if codes[-1] == pytest.ExitCode.INTERRUPTED or (codes[-1] and stops_at_first(words)):
                break
        if measured and not is_broken(codes):
            report(Path(folder))
    return worst(codes)


def halves(words: list[str]) -> list[str]:
    """Which halves there is something of in the files and folders that are named."""
    named = [ROOT / word.partition("::")[0] for word in words if not word.startswith("-")]
    paths = [path for path in named if path.exists()] or [HERE]
    alone = [HERE / name for name in ALONE]
    found = {
        "beside": any(not is_in(path, ALONE) for path in paths),
        "alone": any(is_in(p, ALONE) or any(a.is_relative_to(p) for a in alone) for p in paths),
    }
    return [half for half, is_there in found.items() if is_there]


def run(half: str, words: list[str], folder: Path, *, measured: bool) -> int:
    """One half by a pytest of its own; returns its exit status."""
    command = [sys.executable, "-m", "pytest", "-q", "--half", half]
    cores = len(os.sched_getaffinity(0))
    if half == "beside" and cores > 1:
        command += ["-n", str(cores), "--dist", "worksteal"]
    if measured:
        command += ["--cov", "--cov-report="]
    env = os.environ | {"COVERAGE_FILE": str(folder / f"{half}.coverage")}
    process = subprocess.Popen([*command, *words], cwd=ROOT, env=env)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the shell has told them both
            continue


def stops_at_first(words: list[str]) -> bool:
    return any(word in ("-x", "--exitfirst") or word.startswith("--maxfail") for word in words)


def is_broken(codes: list[int]) -> bool:
    """Whether pytest itself could not go on: an interrupt, wrong arguments."""
    return not set(codes) <= {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, NOTHING}


def worst(codes: list[int]) -> int:
    """Nothing to run in one half is fine, if there is something in the other."""
    ran = [code for code in codes if code != NOTHING]
    return max(ran, key=abs) if ran else NOTHING


def report(folder: Path) -> None:
    """Print the coverage of both halves."""
    found = [str(path) for path in folder.glob("*.coverage")]
    if not found:
        return
    both = coverage.Coverage(data_file=str(folder / "both"))
    both.combine(found)
    both.report(skip_covered=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
