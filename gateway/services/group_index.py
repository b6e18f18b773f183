"""Which group a cabinet, a station or a measurement belongs to."""

from collections.abc import Callable

from gateway.domain.ids import CabinetId, StationId
from gateway.domain.topology import Battery, Load, Pv, Site
from gateway.errors import RequestError
from gateway.services.group_runner import GroupRunner


class Groups:
    """The runners of all groups, found by what belongs to them. Loop thread only.

    Attributes:
        runners: By root cabinet.
        root_of: Root of every cabinet.
        loads: Root of every load, feeder meter, PV inverter and battery.
    """

    def __init__(self, site: Callable[[], Site]) -> None:
        self.runners: dict[CabinetId, GroupRunner] = {}
        self.root_of: dict[CabinetId, CabinetId] = {}
        self.loads: dict[str, CabinetId] = {}
        self._site = site

    def index(self, site: Site) -> None:
        """Note anew what belongs to which group."""
        self.root_of = {
            cabinet.id: site.path(cabinet.id)[-1].id for cabinet in site.cabinets
        }
        assets: tuple[Load | Battery | Pv, ...] = (
            *site.loads,
            *site.batteries,
            *site.pvs,
        )
        self.loads = {a.id: self.root_of[a.cabinet_id] for a in assets}
        for cabinet in site.cabinets:
            if cabinet.feeder_meter is not None:
                self.loads[cabinet.feeder_meter] = self.root_of[cabinet.id]

    def of_cabinet(self, cabinet_id: CabinetId) -> GroupRunner | None:
        """The runner of a cabinet's group."""
        root = self.root_of.get(cabinet_id)
        return None if root is None else self.runners.get(root)

    def of_station(self, station_id: StationId) -> GroupRunner | None:
        """The runner that has a station in its state."""
        station = self._site().station(station_id)
        if station is None or station.cabinet_id is None:
            return None
        runner = self.of_cabinet(station.cabinet_id)
        if runner is None or station_id not in runner.state.stations:
            return None
        return runner

    def required(self, cabinet_id: CabinetId) -> GroupRunner:
        """The runner of a cabinet's group.

        Raises:
            RequestError: 404 unknown cabinet.
        """
        runner = self.of_cabinet(cabinet_id)
        if runner is None:
            raise RequestError(404, "unknown_cabinet", f"no cabinet {cabinet_id!r}")
        return runner
