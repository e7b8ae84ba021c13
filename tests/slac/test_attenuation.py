"""Averages over profiles that are not as the standard has them."""

from __future__ import annotations

import pytest

from controller.slac.attenuation import (
    FALLBACK_DB,
    FALLBACK_PROFILE,
    GROUPS,
    average,
    is_usable,
    mean_db,
)

OWN = bytes([33]) * GROUPS


@pytest.mark.parametrize(
    ("profiles", "expected"),
    [
        ([bytes([10]) * 58, bytes([20]) * 58], bytes([15]) * 58),
        ([bytes([10]) * 58], bytes([10]) * 58),
        ([bytes([10]) * 58, b""], bytes([10]) * 58),  # QCA7420: profiles of no group
        ([bytes([10]) * 58, bytes(58)], bytes([10]) * 58),  # all zero: nothing was measured
        ([], OWN),
        ([b"", b""], OWN),
        ([bytes(58)] * 10, OWN),  # the Ioniq ignores a charger that reports 0 dB
        ([bytes([10]) * 3], bytes([10]) * 3 + bytes([33]) * 55),
        ([bytes([10]) * 99], bytes([10]) * 58),
        ([b"\1" + bytes(57), bytes(57) + b"\1", *[b"\0\1" + bytes(56)] * 2], None),
    ],
)
def test_average(profiles: list[bytes], expected: bytes | None) -> None:
    mean = average(profiles, OWN)
    assert len(mean) == GROUPS
    assert any(mean)
    if expected is not None:
        assert mean == expected


def test_short_fallback_is_filled() -> None:
    assert average([], b"\x05") == b"\x05" + bytes([FALLBACK_DB]) * 57
    assert average([]) == FALLBACK_PROFILE


@pytest.mark.parametrize(
    ("profile", "usable", "mean"),
    [(b"", False, float("inf")), (bytes(58), False, float("inf")), (b"\x0a\x14", True, 15.0)],
)
def test_single_profiles(profile: bytes, usable: bool, mean: float) -> None:
    assert is_usable(profile) is usable
    assert mean_db(profile) == mean
