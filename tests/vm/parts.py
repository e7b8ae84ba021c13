"""The outside of the simulated parts: what a wire on the header does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class GpioSim:
    """A chip of gpio-sim: drive its inputs, see its outputs."""

    folder: Path

    def drive(self, line: int, high: bool) -> None:
        """Put a level on an input."""
        (self.folder / f"sim_gpio{line}" / "pull").write_text("pull-up" if high else "pull-down")

    def level(self, line: int) -> bool:
        """Read the level of a line, as a meter would."""
        return (self.folder / f"sim_gpio{line}" / "value").read_text().strip() == "1"
