"""Devices that are nothing but formulas, to try out a site before its meters are there.

A load draws more by day than by night, PV follows the sun of an equinox, a battery does
what it is told, and a feeder meter is the sum of what is simulated behind it.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from gateway.clock import Clock
from gateway.domain.ids import CabinetId
from gateway.domain.topology import Battery, Cabinet, Load, Pv, Site
from gateway.errors import DeviceError
from gateway.meters.port import Device, Measured

HOUR_S: Final = 3600.0
SUNRISE_H: Final = 6.0
SUNSET_H: Final = 18.0
DAY_SHARE: Final = 0.5
NIGHT_SHARE: Final = 0.15
"""Of its worst case that a load draws."""
FIRST_CHARGE: Final = 0.5
"""Of its capacity that a battery holds at the start."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A device whose power follows a formula.

    Attributes:
        power_w: Import positive, now.
    """

    power_w: Callable[[], float]

    async def read(self) -> Measured:
        """See `Device`."""
        return Measured(power_w=self.power_w())

    async def set_power_w(self, power_w: int) -> None:
        """See `Device`.

        Raises:
            DeviceError: Always.
        """
        raise DeviceError(f"it is no battery: {power_w} W are not for it")


@dataclass(slots=True, kw_only=True)
class SimulatedBattery:
    """A battery that does what it is told, as far as its energy allows.

    Attributes:
        clock: Energy flows in its time.
        energy_wh: What it holds.
        power_w: What it draws from the supply; negative: what it gives.
        is_reachable: False: it neither answers nor obeys.
    """

    battery: Battery
    clock: Clock
    energy_wh: float
    power_w: float = 0.0
    is_reachable: bool = True
    stepped_at: datetime | None = None

    async def read(self) -> Measured:
        """See `Device`."""
        self._check()
        self.step()
        share = self.energy_wh / self.battery.capacity_wh
        return Measured(
            power_w=self.power_w, energy_wh=self.energy_wh, soc_percent=100 * share
        )

    async def set_power_w(self, power_w: int) -> None:
        """See `Device`."""
        self._check()
        self.step()
        least_w, most_w = -self.battery.max_discharge_w, self.battery.max_charge_w
        self.power_w = float(max(least_w, min(most_w, power_w)))

    def step(self) -> None:
        """Let the energy flow that flowed since the last look."""
        now = self.clock.now()
        if self.stepped_at is not None:
            hours = (now - self.stepped_at).total_seconds() / HOUR_S
            share = self.battery.efficiency if self.power_w > 0 else 1.0
            self.energy_wh += self.power_w * share * hours
            if not 0 <= self.energy_wh <= self.battery.capacity_wh:
                self.energy_wh = min(max(self.energy_wh, 0.0), self.battery.capacity_wh)
                self.power_w = 0.0
        self.stepped_at = now

    def _check(self) -> None:
        if not self.is_reachable:
            raise DeviceError("the simulated battery is out of reach")


class SimulatedSite:
    """Everything of a site whose readings are made up.

    Args:
        site: For what there is, where it hangs, and the time zone.
        clock: Site time.
        made_up: Ids of what is simulated; the rest is measured and not in the sums.
    """

    def __init__(self, site: Site, *, clock: Clock, made_up: Collection[str]) -> None:
        self._site = site
        self._clock = clock
        self._zone = ZoneInfo(site.timezone)
        self._loads = [one for one in site.loads if one.id in made_up]
        self._pvs = [one for one in site.pvs if one.id in made_up]
        self._batteries = {
            one.id: SimulatedBattery(
                battery=one, clock=clock, energy_wh=FIRST_CHARGE * one.capacity_wh
            )
            for one in site.batteries
            if one.id in made_up
        }

    @property
    def batteries(self) -> Mapping[str, SimulatedBattery]:
        """The simulated batteries by id."""
        return self._batteries

    def device(self, meter_id: str) -> Device:
        """The device of a load, PV, battery or feeder meter.

        Raises:
            KeyError: Nothing of that id is there.
        """
        if meter_id in self._batteries:
            return self._batteries[meter_id]
        formulas: dict[str | None, Callable[[], float]] = {
            **{c.feeder_meter: partial(self.feeder_w, c) for c in self._site.cabinets},
            **{load.id: partial(self.load_w, load) for load in self._loads},
            **{pv.id: partial(self._pv_import_w, pv) for pv in self._pvs},
        }
        return Formula(formulas[meter_id])

    def load_w(self, load: Load) -> float:
        """What a load draws now."""
        is_day = SUNRISE_H <= self._hour() < SUNSET_H
        worst_w = load.worst_case_da / 10 * len(load.phases) * self._site.phase_v
        return worst_w * (DAY_SHARE if is_day else NIGHT_SHARE)

    def pv_w(self, pv: Pv) -> float:
        """What PV delivers now."""
        share = (self._hour() - SUNRISE_H) / (SUNSET_H - SUNRISE_H)
        return pv.peak_w * math.sin(math.pi * share) if 0 < share < 1 else 0.0

    def _pv_import_w(self, pv: Pv) -> float:
        return -self.pv_w(pv)

    def feeder_w(self, cabinet: Cabinet) -> float:
        """What a cabinet draws now; negative: it feeds in."""
        below: set[CabinetId] = {one.id for one in self._site.subtree(cabinet.id)}
        batteries = [
            one for one in self._batteries.values() if one.battery.cabinet_id in below
        ]
        for battery in batteries:
            battery.step()
        return (
            sum(self.load_w(one) for one in self._loads if one.cabinet_id in below)
            - sum(self.pv_w(one) for one in self._pvs if one.cabinet_id in below)
            + sum(one.power_w for one in batteries)
        )

    def _hour(self) -> float:
        local = self._clock.now().astimezone(self._zone)
        return local.hour + local.minute / 60 + local.second / HOUR_S
