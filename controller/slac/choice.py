"""Which of the chargers that heard us is ours: the vehicle's choice by attenuation.

The standard finds a charger at up to 10 dB, calls it doubtful (to be validated) up to 20 dB, and
takes none beyond. Real chargers report 8 to 41 dB for the vehicle at their own cable, so a vehicle
that keeps to it charges nowhere: by default a charger counts at any attenuation, and there is doubt
only if the next one is not clearly farther away.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from controller.slac import attenuation, timing

if TYPE_CHECKING:
    from collections.abc import Mapping


class Policy(Enum):
    """How much attenuation is accepted."""

    FIELD = "field"
    STANDARD = "standard"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A charger that may be ours; `in_doubt` if it has to prove it."""

    mac: bytes
    mean_db: float
    in_doubt: bool


def ranked(results: Mapping[bytes, bytes], policy: Policy) -> list[Candidate]:
    """Order the chargers by the mean of the profile that each reported, the nearest first."""
    means = sorted((attenuation.mean_db(profile), mac) for mac, profile in results.items())
    direct = timing.C_EV_MATCH_SIGNALATTN_DIRECT_DB
    found = []
    for number, (mean, mac) in enumerate(means):
        if policy is Policy.STANDARD:
            if mean > timing.C_EV_MATCH_SIGNALATTN_INDIRECT_DB:
                break
            found.append(Candidate(mac, mean, mean > direct))
            continue
        others = [other for other, _ in means[:number] + means[number + 1 :]]
        clear = not others or min(others) - mean >= timing.PEV_CLEAR_LEAD_DB
        found.append(Candidate(mac, mean, mean > direct and not clear))
    return found
