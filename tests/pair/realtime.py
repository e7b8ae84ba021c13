"""A realtime process whose hardware are a plant's wires: all else is `ccs-pilot realtime`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from controller import service
from controller.errors import ControllerError
from tests.pair.wiring import WiredHardware


def main() -> int:
    parser = argparse.ArgumentParser()
    service.add_arguments_realtime(parser)
    parser.add_argument("--wires", type=Path, required=True)
    args = parser.parse_args()
    side, config = service.side_of(args)
    return service.serve_realtime(side, config, lambda config, side: WiredHardware(args.wires))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ControllerError as error:
        sys.exit(f"realtime: {error}")
