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


def is_usable(profile: bytes) -> bool:
    """Say whether a profile measured anything: some groups, and not all of them zero."""
    return any(profile)


def average(profiles: Sequence[bytes], fallback: bytes = FALLBACK_PROFILE) -> bytes:
    """Average per group over the usable profiles; `fallback` when there is none.

    A profile that is too short counts for the groups it has, one that is too long is cut; groups
    that no profile has take the fallback's value. Always `GROUPS` values.
    """
    usable = [p for p in profiles if is_usable(p)]
    mean = bytearray(fallback[:GROUPS].ljust(GROUPS, bytes([FALLBACK_DB])))
    for group in range(GROUPS):
        heard = [p[group] for p in usable if group < len(p)]
        if heard:
            mean[group] = round(sum(heard) / len(heard))
    return bytes(mean) if any(mean) else fallback


def mean_db(profile: bytes) -> float:
    """Mean over the groups; infinite without any group, so that such a charger is chosen last."""
    return sum(profile) / len(profile) if profile else float("inf")
