"""What batteries that are read said last of themselves, controlled or not."""

from dataclasses import dataclass
from datetime import datetime

from gateway.domain.topology import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a battery said.

    Attributes:
        power_w: What it drew; negative: what it gave.
        energy_wh: What it held.
    """

    at: datetime
    power_w: float | None
    energy_wh: float | None


class BatteryLevels:
    """The newest word of each battery. Written by the loop, read by any thread."""

    def __init__(self, site: Site) -> None:
        self._capacity_wh = {one.id: one.capacity_wh for one in site.batteries}
        self._heard: dict[str, Heard] = {}

    def of(self, battery_id: str) -> Heard | None:
        """What a battery said last; ``None``: nothing."""
        return self._heard.get(battery_id)

    def heard(
        self,
        battery_id: str,
        *,
        power_w: float | None,
        energy_wh: float | None,
        soc_percent: float | None,
        at: datetime,
    ) -> None:
        """A battery said what it does and holds."""
        if energy_wh is None and soc_percent is not None:
            energy_wh = self._capacity_wh.get(battery_id, 0) * soc_percent / 100
        self._heard[battery_id] = Heard(at=at, power_w=power_w, energy_wh=energy_wh)
