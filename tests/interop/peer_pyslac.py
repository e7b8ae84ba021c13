"""pyslac's EVSE on one interface, run by the interpreter of its own environment."""

import asyncio
import logging
import sys

from pyslac.environment import Config  # type: ignore[import-not-found]
from pyslac.session import (  # type: ignore[import-not-found]
    SlacEvseSession,
    SlacSessionController,
)

STAY_S = 60.0


async def main(interface: str) -> None:
    config = Config()
    config.load_envs()
    controller = SlacSessionController()
    session = SlacEvseSession("DE*TST*E1", interface, config)
    await session.evse_set_key()
    await controller.process_cp_state(session, "B")
    await asyncio.sleep(STAY_S)


logging.basicConfig(level=logging.INFO)
asyncio.run(main(sys.argv[1]))
