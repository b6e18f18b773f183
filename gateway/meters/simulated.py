"""Devices that are nothing but a formula, to try out what reads and tells devices."""

from dataclasses import dataclass
from datetime import datetime

from gateway.clock import Clock
from gateway.errors import DeviceError
from gateway.meters.port import Measured

HOUR_S = 3600.0


@dataclass(slots=True, kw_only=True)
class SimulatedBattery:
    """A battery that does what it is told, as far as its energy allows.

    Attributes:
        clock: Energy flows in its time.
        capacity_wh: What it holds at most.
        energy_wh: What it holds.
        efficiency: Of storing and giving back together; it is lost when charging.
        power_w: What it draws from the supply; negative: what it gives.
        is_reachable: False: it neither answers nor obeys.
    """

    clock: Clock
    capacity_wh: float
    energy_wh: float
    max_charge_w: int
    max_discharge_w: int
    efficiency: float = 0.9
    power_w: float = 0.0
    is_reachable: bool = True
    stepped_at: datetime | None = None

    async def read(self) -> Measured:
        """See `Device`."""
        self._check()
        self._step()
        return Measured(
            power_w=self.power_w,
            energy_wh=self.energy_wh,
            soc_percent=100 * self.energy_wh / self.capacity_wh,
        )

    async def set_power_w(self, power_w: int) -> None:
        """See `Device`."""
        self._check()
        self._step()
        self.power_w = float(
            max(-self.max_discharge_w, min(self.max_charge_w, power_w))
        )

    def _check(self) -> None:
        if not self.is_reachable:
            raise DeviceError("the simulated battery is out of reach")

    def _step(self) -> None:
        """Let the energy flow that flowed since the last look."""
        now = self.clock.now()
        if self.stepped_at is not None:
            hours = (now - self.stepped_at).total_seconds() / HOUR_S
            share = self.efficiency if self.power_w > 0 else 1.0
            self.energy_wh += self.power_w * share * hours
            if not 0 <= self.energy_wh <= self.capacity_wh:
                self.energy_wh = min(max(self.energy_wh, 0.0), self.capacity_wh)
                self.power_w = 0.0
        self.stepped_at = now
