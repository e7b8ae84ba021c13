"""How the tests are split (tests/README.md): nothing is named that is not there, no status lost."""

from __future__ import annotations

import pytest

from tests.__main__ import NOTHING, halves, is_broken, stops_at_first, worst
from tests.conftest import ALONE, HERE, WALKS, is_in

OK, FAILED, INTERRUPTED = 0, 1, 2


@pytest.mark.parametrize("name", ALONE + WALKS)
def test_what_is_named_is_there(name: str) -> None:
    assert (HERE / name).exists()


def test_a_folder_means_all_that_is_in_it() -> None:
    assert is_in(HERE / "pair" / "test_pair.py", ALONE)
    assert not is_in(HERE / "slac" / "test_pair.py", ALONE)
    assert not is_in(HERE / "pairs.py", ALONE)


@pytest.mark.parametrize(
    ("words", "which"),
    [
        ([], ["beside", "alone"]),
        (["-k", "unplug", "-x"], ["beside", "alone"]),
        (["tests"], ["beside", "alone"]),
        (["tests/slac"], ["beside"]),
        (["tests/test_soak.py::test_a_small_leak_is_found"], ["beside"]),
        (["tests/pair"], ["alone"]),
        (["tests/test_main.py::test_version", "--no-cov"], ["alone"]),
        (["tests/pigpiod"], ["beside", "alone"]),
        (["tests/slac", "tests/pair"], ["beside", "alone"]),
        (["tests/nowhere.py"], ["beside", "alone"]),
    ],
)
def test_only_what_is_named_is_started(words: list[str], which: list[str]) -> None:
    assert halves(words) == which


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        ([OK, OK], OK),
        ([NOTHING, OK], OK),
        ([OK, NOTHING], OK),
        ([NOTHING, NOTHING], NOTHING),
        ([FAILED, OK], FAILED),
        ([OK, FAILED], FAILED),
        ([FAILED, NOTHING], FAILED),
        ([INTERRUPTED], INTERRUPTED),
        ([OK, -11], -11),
    ],
)
def test_the_worse_status_counts(codes: list[int], status: int) -> None:
    assert worst(codes) == status


def test_no_figures_of_a_run_that_broke() -> None:
    assert not is_broken([OK, FAILED])
    assert not is_broken([NOTHING, OK])
    assert is_broken([OK, INTERRUPTED])
    assert is_broken([OK, -9])


@pytest.mark.parametrize("word", ["-x", "--exitfirst", "--maxfail=2"])
def test_a_run_that_stops_at_the_first_failure(word: str) -> None:
    assert stops_at_first(["tests/slac", word])
    assert not stops_at_first(["tests/slac", "-k", "x"])
