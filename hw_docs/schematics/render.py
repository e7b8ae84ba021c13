"""Renders every schematic to an SVG beside its source (python -m hw_docs.schematics.render)."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("chain", "watchdog", "cp_loss", "cp_frontend", "over_voltage")
MISSING = "schemdraw is not installed: `pip install schemdraw` (it is in the extra `dev`)"


def stamp() -> str:
    """Return the comment that says which version of schemdraw made a file."""
    import schemdraw

    return f"<!-- schemdraw {schemdraw.__version__} -->\n"


def render(name: str) -> str:
    """Return the SVG of one schematic."""
    text: str = importlib.import_module(f"hw_docs.schematics.{name}").draw()
    return text + stamp()


def main() -> int:
    """Write all of them."""
    try:
        stamp()
    except ImportError:
        sys.stderr.write(MISSING + "\n")
        return 2
    for name in NAMES:
        (HERE / f"{name}.svg").write_text(render(name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
