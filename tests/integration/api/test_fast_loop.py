"""A feeder meter above its limit cuts real stations at once, and everybody is told."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.bus import CabinetWatched, Subscription
from gateway.domain.ids import StationId
from gateway.errors import ConfigError
from tests.support.api_site import PASSWORD, ApiSite, api_site

FEEDER = "/loads/grid-meter/reading"
CABINET: dict[str, Any] = {
    "id": "main",
    "limit_a": [50, 50, 50],
    "net_limit_a": [50, 50, 50],
    "export_limit_a": [20, 20, 20],
    "feeder_meter": "grid-meter",
    "feeder_stale_after_s": 5,
}


async def put(site: ApiSite, path: str, amps: float) -> None:
    now = site.parts.clock.now().isoformat().replace("+00:00", "Z")
    await site.call("PUT", path, {"at": now, "current_a": [amps] * 3}, status=204)


async def cabinet(site: ApiSite) -> dict[str, Any]:
    (found,) = await site.call("GET", "/cabinets")
    return dict(found)


def _event(
    site: ApiSite, kind: str, number: int, sampled: list[dict[str, Any]]
) -> dict[str, Any]:
    at = site.parts.clock.now().isoformat()
    said: dict[str, Any] = {
        "eventType": kind,
        "timestamp": at,
        "triggerReason": "Authorized" if kind == "Started" else "MeterValuePeriodic",
        "seqNo": number,
        "transactionInfo": {"transactionId": "T1", "chargingState": "Charging"},
        "evse": {"id": 1, "connectorId": 1},
    }
    if kind == "Started":
        said["idToken"] = {"idToken": "CAR", "type": "Central"}
    if sampled:
        said["meterValue"] = [{"timestamp": at, "sampledValue": sampled}]
    return said


async def in_state(site: ApiSite, state: str) -> None:
    """Wait until the cabinet is."""

    async def is_so() -> bool:
        return bool((await cabinet(site))["state"] == state)

    await site.until(is_so)


async def proven(site: ApiSite, station_id: StationId) -> None:
    """Store a proof and wait until it counts."""
    dispatch = site.gateway.dispatch
    await dispatch.set_proof(station_id, is_proven=True, leftovers_known=True)

    async def counts() -> bool:
        trust = dispatch.trust(station_id)
        return trust is not None and trust.is_proven

    await site.until(counts)


async def planned(site: ApiSite) -> None:
    """Wait for a plan of both; the first one waits for its worker."""
    async with asyncio.timeout(60):
        while True:
            made = await site.send("GET", "/cabinets/main/plan")
            if made.status_code == 200 and len(made.json()["rows"]) == 2:
                return
            await asyncio.sleep(0.05)


async def heard(said: Subscription, kind: str) -> CabinetWatched:
    """The first notice of a kind."""
    async with asyncio.timeout(30):
        async for notice in said:
            if isinstance(notice, CabinetWatched) and notice.kind == kind:
                return notice
    raise AssertionError(kind)


class Cars:
    """Two stations of either version, each with a car."""

    def __init__(self, site: ApiSite) -> None:
        self.old = site.station("OLD")
        self.new = site.station("NEW", "2.0.1")
        self.site = site
        self.number = 0
        self._seq = 0

    async def plug(self) -> None:
        await self.old.boot()
        await self.new.boot()
        start = {
            "connectorId": 1,
            "idTag": "CAR",
            "meterStart": 0,
            "timestamp": self.site.parts.clock.now().isoformat(),
        }
        self.number = (await self.old.ask("StartTransaction", start))["transactionId"]
        await self.new.ask("TransactionEvent", _event(self.site, "Started", 0, []))

    async def say(self, amps: float) -> None:
        """Both meters say so."""
        at = self.site.parts.clock.now().isoformat()
        sampled = [
            {"value": f"{amps}", "measurand": "Current.Import", "phase": p, "unit": "A"}
            for p in ("L1", "L2", "L3")
        ]
        row = {"timestamp": at, "sampledValue": sampled}
        said = {"connectorId": 1, "transactionId": self.number, "meterValue": [row]}
        await self.old.ask("MeterValues", said)
        self._seq += 1
        parts = [
            {"value": amps, "measurand": "Current.Import", "phase": p}
            for p in ("L1", "L2", "L3")
        ]
        event = _event(self.site, "Updated", self._seq, parts)
        await self.new.ask("TransactionEvent", event)

    def limits_a(self) -> tuple[float, float]:
        """What each was told last for its transaction."""
        old = [
            one["csChargingProfiles"]
            for one in self.old.calls("SetChargingProfile")
            if one["csChargingProfiles"]["chargingProfilePurpose"] == "TxProfile"
        ]
        new = [
            one["chargingProfile"]
            for one in self.new.calls("SetChargingProfile")
            if one["chargingProfile"]["chargingProfilePurpose"] == "TxProfile"
        ]
        if not old or not new:
            return (0.0, 0.0)
        (schedule,) = new[-1]["chargingSchedule"]
        periods = old[-1]["chargingSchedule"]["chargingSchedulePeriod"]
        first = schedule["chargingSchedulePeriod"]
        return (float(periods[0]["limit"]), float(first[0]["limit"]))


async def test_what_a_feeder_meter_shows_is_cut_at_once_told_and_explained(
    tmp_path: Path,
) -> None:
    passwords = {"OLD": PASSWORD, "NEW": PASSWORD}
    more: dict[str, Any] = {
        "cabinet": [CABINET],
        "optimizer": {"deadline_s": 2.0, "workers": 1, "fast_loop_s": 0.5},
    }
    async with api_site(tmp_path, passwords, **more) as site:
        await site.call("PUT", "/id-tokens/CAR", {})
        for name in passwords:
            await proven(site, StationId(name))
        lost = await cabinet(site)
        assert (lost["state"], lost["feeder_a"]) == ("feeder_lost", None)
        assert "worst case" in lost["note"]
        cars = Cars(site)
        async with cars.old, cars.new:
            await cars.plug()
            await planned(site)
            await cars.say(6.0)
            await until_limits(cars, at_least=16)
            await cars.say(16.0)
            await put(site, FEEDER, 42.0)
            await in_state(site, "control")
            calm = await cabinet(site)
            assert calm["feeder_a"] == [42.0] * 3
            assert calm["note"] is None
            with site.parts.bus.subscribe("test", of=(CabinetWatched,)) as said:
                await put(site, FEEDER, 60.0)
                told = await heard(said, "cut")
                assert "shows 60/60/60 A where 50/50/50 A" in told.text
                assert "No limit reaches 28/28/28 A" in told.text
                await until_limits(cars, at_most=11)
            assert sum(cars.limits_a()) <= 22  # 50 A less 28 A
            assert min(cars.limits_a()) >= 6  # their floors
            await cars.say(min(cars.limits_a()))
            await put(site, FEEDER, 48.0)
            await in_state(site, "shedding")
            held = await cabinet(site)
            assert held["withheld_a"] == [18.0] * 3  # less what was counted anyway
            assert "are held back" in held["note"]


async def until_limits(
    cars: Cars, *, at_least: float = 0, at_most: float = 1e9
) -> None:
    """Wait until both stations were told so."""
    async with asyncio.timeout(60):
        while not all(at_least <= a <= at_most for a in cars.limits_a()):  # noqa: ASYNC110 - stations set no event
            await asyncio.sleep(0.02)


async def test_more_that_is_fed_in_than_may_be_is_told(tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "cabinet": [CABINET],
        "optimizer": {"deadline_s": 2.0, "workers": 1, "fast_loop_s": 0.5},
        "pv": [{"id": "roof", "cabinet": "main", "phases": "L1L2L3", "peak_w": 30_000}],
    }
    async with api_site(tmp_path, **more) as site:
        with site.parts.bus.subscribe("test", of=(CabinetWatched,)) as said:
            await put(site, FEEDER, -25.0)
            told = await heard(said, "exporting")
        assert "5/5/5 A more are fed in" in told.text
        assert "lower roof" in told.text
        await in_state(site, "control")


@pytest.mark.parametrize(
    ("member", "value", "key"),
    [
        ("net_limit_a", [50, 50], "cabinet[0].net_limit_a"),
        ("export_limit_a", [50], "cabinet[0].export_limit_a"),
        ("feeder_stale_after_s", 0, "cabinet[0].feeder_stale_after_s"),
        ("breaker_a", 0, "cabinet[0].breaker_a"),
    ],
)
async def test_bad_limits_of_a_feeder_are_named(
    tmp_path: Path, member: str, value: object, key: str
) -> None:
    with pytest.raises(ConfigError, match=key.replace("[", r"\[")):
        async with api_site(tmp_path, cabinet=[CABINET | {member: value}]):
            raise AssertionError("it started")
