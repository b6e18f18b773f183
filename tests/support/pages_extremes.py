"""Sites at the edges of what the pages must show: a crowd, and nobody.

``python -m tests.support.pages_extremes crowded`` (or ``empty``, ``usual``) serves one.
"""

import asyncio
import sys
from datetime import timedelta
from typing import Any, Final

from typing_extensions import override

from gateway.clock import ScaledClock
from tests.support.pages_site import EPOCH, FakeSite, serve
from tests.support.pages_station import bare_station

LONG: Final = "Parkhaus-Nordwest-Untergeschoss-2-Stellplatz-"
"""Of a name of 48 characters, without its last three."""
CABINETS: Final = (
    "Hauptverteilung-Parkhaus-Nordwest-Untergeschoss-Zwei",
    "Unterverteilung-Stellplaetze-101-bis-130-Fahrzeugflotte-Nacht",
    "Unterverteilung_ohne_einen_einzigen_Trennstrich_im_ganzen_Namen",
)
N_STATION: Final = 28


class CrowdedSite(FakeSite):
    """30 EVSEs with names of 48 characters behind 3 cabinets; much is wrong."""

    @override
    def stations(self) -> list[dict[str, Any]]:
        known = super().stations()
        crowd = [
            known[n % 9]
            | {
                "station_id": f"{LONG}{n:03d}",
                "vendor": "Voltwerk Ladesysteme Deutschland GmbH & Co. KG",
                "online": n % 4 != 3,
                "last_seen_at": (EPOCH - timedelta(minutes=7 * n)).isoformat(),
                "cabinet_id": CABINETS[n % 3],
            }
            for n in range(N_STATION)
        ]
        two = crowd[0]["evses"][0]
        crowd[0] |= {"evses": [two, two | {"evse_id": 2}, two | {"evse_id": 3}]}
        return crowd

    @override
    def cabinets(self) -> list[dict[str, Any]]:
        one, two = super().cabinets()
        return [
            one | {"cabinet_id": CABINETS[0]},
            two | {"cabinet_id": CABINETS[1], "parent": CABINETS[0]},
            two
            | {
                "cabinet_id": CABINETS[2],
                "parent": CABINETS[0],
                "state": "over_limit",
                "load_source": "bound",
            },
        ]

    @override
    def plan(self, cabinet_id: str) -> dict[str, Any] | None:
        plan = super().plan("A")
        assert plan is not None
        rows = [
            row | {"station_id": f"{LONG}{n:03d}"}
            for n, row in enumerate(plan["rows"][:3])
        ]
        return plan | {"rows": rows, "why": f"{cabinet_id} is full on L1 until 23:00"}

    @override
    def history(self, cabinet_id: str) -> list[tuple[str, float, float]]:
        return super().history("A")

    @override
    def site(self) -> dict[str, Any]:
        return super().site() | {
            "name": "Parkhaus Nordwest am Hauptbahnhof, Untergeschoss 2",
            "n_station": N_STATION,
            "n_online": 21,
            "n_session": 24,
            "n_left_out": 7,
            "power_w": 1_061_200.0,
            "supply_w": 1_200_000.0,
            "limit_w": 1_186_250.0,
            "undecided": {"bills": 100, "proposals": 1},
            "knocking": [
                {
                    "station_id": f"{LONG}999",
                    "reason": "unknown station",
                    "attempts": 4711,
                    "last_seen_at": EPOCH.isoformat(),
                }
            ],
        }


class EmptySite(FakeSite):
    """A fresh installation: nothing is registered yet, or has never come."""

    @override
    async def station(self, station_id: str) -> dict[str, Any] | None:
        (first, *_) = super().stations()
        bare = bare_station(first, self.clock.now())
        return bare | {"station_id": station_id}

    @override
    def stations(self) -> list[dict[str, Any]]:
        return []

    @override
    def cabinets(self) -> list[dict[str, Any]]:
        return []

    @override
    def site(self) -> dict[str, Any]:
        nothing = dict.fromkeys(
            ("allowed_w", "supply_w", "limit_w", "pv_w", "price", "plan_price_unit")
        )
        return super().site() | {
            **nothing,
            "n_station": 0,
            "n_online": 0,
            "n_session": 0,
            "n_left_out": 0,
            "power_w": 0.0,
        }


SITES: Final = {"usual": FakeSite, "crowded": CrowdedSite, "empty": EmptySite}


def site_of_kind(kind: str) -> FakeSite:
    """A fresh site: ``usual``, ``crowded`` or ``empty``."""
    return SITES[kind](ScaledClock.starting_at(EPOCH, 1.0))


if __name__ == "__main__":
    asyncio.run(serve(site_of_kind(sys.argv[1])))
