"""Volts, amperes, watts and watt-hours as DIN 70121 carries them. Pure and quick."""

from functools import lru_cache

from controller.v2g.messages.din import PhysicalValue, Unit

V, A, W, WH = Unit.V, Unit.A, Unit.W, Unit.Wh
"""Members of an enum take time to find; every message has some of these."""

MOST = 3.2e7  # just below 32767 x 10^3, the largest physical value


def physical(amount: float, unit: Unit) -> PhysicalValue:
    """Return an amount in tenths where they fit, else with fewer digits; clamped, never raising.

    Tenths are what most cars and chargers send for volts and amperes.
    """
    tenths = amount * 10.0
    if -32768.0 < tenths < 32767.0:
        return _tenths(round(tenths), unit)
    if amount != amount:  # not a number: say nothing rather than something wrong
        return PhysicalValue(multiplier=0, unit=unit, value=0)
    return _coarse(min(max(amount, -MOST), MOST), unit)


@lru_cache(maxsize=64)
def limit(amount: float, unit: Unit) -> PhysicalValue:
    """Return an amount that stays the same for many messages; see `physical`."""
    return physical(amount, unit)


@lru_cache(maxsize=512)
def _tenths(value: int, unit: Unit) -> PhysicalValue:
    """Return a value in tenths: amounts come again and again, limits in every message."""
    return PhysicalValue(multiplier=-1, unit=unit, value=value)


_coarse = lru_cache(maxsize=64)(PhysicalValue.from_si)
"""Large amounts are limits and capacities: the same in every message of a session."""
