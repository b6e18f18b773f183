"""The built-in site opens to drivers when its stations hold their safe limits.

An installer commissions stations before the first driver comes. The simulated ones are
set up within the first second; on a machine without time to spare it takes longer.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.domain.ids import StationId
from gateway.services.dispatch import Dispatch

LOOK_S: Final = 0.1
LOOKS: Final = 600
"""How often the demo looks before drivers come all the same: for a minute."""


def not_set_up(dispatch: Dispatch) -> list[StationId]:
    """Stations that have not taken their safe limits, or count at their ratings."""
    return sorted(
        station.station.id
        for runner in dispatch.runners().values()
        for station in runner.state.stations.values()
        if not station.is_online
        or station.needs_setup
        or not all(runner.state.is_trusted(one) for one in station.evses)
    )


async def until_set_up(
    dispatch: Dispatch,
    *,
    say: Callable[[str], None],
    is_over: Callable[[], bool],
    looks: int = LOOKS,
) -> None:
    """Wait until all stations are set up, though not for ever.

    Args:
        dispatch: Of the running demo.
        say: Tells the user.
        is_over: Whether the demo ends already.
        looks: How often, one tenth of a second after the other.
    """
    say("waiting for the stations to take their safe limits")
    for _ in range(looks):
        if is_over() or not not_set_up(dispatch):
            return
        await asyncio.sleep(LOOK_S)
    missing = ", ".join(not_set_up(dispatch))
    if missing:
        say(f"drivers come although safe limits are not taken yet: {missing}")
