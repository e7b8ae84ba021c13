"""Attenuation profiles: how loud a vehicle was heard, per carrier group, in dB.

The charger averages the profiles that its modem measured of each sound; the vehicle takes the
charger with the lowest mean. Modems in the field are not all alike: QCA7000 and 7005 measure 58
groups, QCA7420 adapters report profiles of no group at all, and a result of all zeros makes a
Hyundai Ioniq ignore the charger. So nothing here divides by a number of groups that came from
outside, and a fallback stands in when nothing usable was measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUPS = 58
"""Carrier groups (ISO 15118-3 Annex A)."""
FALLBACK_DB = 20
"""A plausible value for a cable: real chargers report means of 8 to 41 dB."""
FALLBACK_PROFILE = bytes([FALLBACK_DB]) * GROUPS
"""Used where a modem measured nothing; `flat` makes another one."""


def is_usable(profile: bytes) -> bool:
    """Say whether a profile measured anything: some groups, and not all of them zero."""
    return any(profile)


def average(
    profiles: Sequence[bytes],
    fallback: bytes = FALLBACK_PROFILE,
    receive_path_db: float = 0.0,
) -> bytes:
    """Average per group over the usable profiles; `fallback` when there is none.

    A profile that is too short counts for the groups it has, one that is too long is cut; groups
    that no profile has take the fallback's value. `receive_path_db` is what the charger's own
    coupling takes away, and is not the cable's (captured chargers subtract 4 to 11 dB). Always
    `GROUPS` values; a group that was heard has at least 1 dB.
    """
    usable = [p for p in profiles if is_usable(p)]
    mean = bytearray(fallback[:GROUPS].ljust(GROUPS, bytes([FALLBACK_DB])))
    for group in range(GROUPS):
        heard = [p[group] for p in usable if group < len(p)]
        if heard:
            measured = round(sum(heard) / len(heard) - receive_path_db)
            mean[group] = min(max(measured, 1 if receive_path_db else 0), 0xFF)
    return bytes(mean) if any(mean) else FALLBACK_PROFILE


def mean_db(profile: bytes) -> float:
    """Mean over the groups; infinite if nothing was measured, so that it is chosen last."""
    return sum(profile) / len(profile) if is_usable(profile) else float("inf")


def flat(mean: float) -> bytes:
    """Return a profile of one value, at least 1 dB: a vehicle may take zeros for a defect."""
    return bytes([min(max(round(mean), 1), 0xFF)]) * GROUPS
