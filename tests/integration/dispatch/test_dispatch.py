import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

import optimizer
from gateway.bus import FactCommitted, SettingChanged
from gateway.demo_opening import not_set_up
from gateway.domain.events import SessionStarted
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.session import SessionPhase
from gateway.domain.topology import Cabinet, Mode
from gateway.errors import RequestError, StoreError
from gateway.services.arrivals import Place
from gateway.services.group_admissions import UNUSED_S
from gateway.services.group_view import CabinetState
from gateway.services.loads import LoadReading
from optimizer import CabinetProblem
from tests.integration.dispatch.yard import (
    EPOCH,
    Yard,
    later,
    sampled_until,
    site_of,
    until,
    yard,
)

ROOM_DA = 630 - 10 - 100  # limit less margin less the pump at its worst


def all_set_up(place: Yard) -> bool:
    return all((s.default or s.own) is not None for s in place.links.stations.values())


async def settled(place: Yard, *, n_station: int) -> None:
    for number in range(1, n_station + 1):
        place.boot(number)
    await until(lambda: all_set_up(place))
    open_rows = "SELECT count(*) FROM limit_command WHERE outcome = 'sent'"
    await until(lambda: place.rows(open_rows) == [(0,)])


def trust_rows(place: Yard) -> list[tuple[object, ...]]:
    return place.rows("SELECT is_proven, leftovers_known FROM station_trust")


@pytest.mark.quirk(10)
async def test_a_booted_station_that_holds_our_limits_only_just_gets_its_floor(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        place.boot(1)
        await settled(place, n_station=1)
        await asyncio.sleep(0.1)
        assert set(place.station(1).log) == {"SetChargingProfile"}
        assert place.limit_da(1) == 0


@pytest.mark.use_case("K10")
@pytest.mark.action16("ClearChargingProfile to the station")
async def test_unknown_leftovers_are_cleared_and_the_floor_is_set_again(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1), proven=False) as place:
        place.station(1).leftovers = True
        place.boot(1)
        await until(lambda: trust_rows(place) == [(0, 1)])
        assert place.station(1).log == [
            "SetChargingProfile",
            "ClearChargingProfile",
            "ClearChargingProfile",
            "SetChargingProfile",
        ]
        assert not place.station(1).leftovers
        assert place.limit_da(1) == 0


@pytest.mark.parametrize("purpose", ["session", "default"])
async def test_what_was_not_surely_cleared_is_not_known_and_the_floor_is_set_again(
    tmp_path: Path, purpose: str
) -> None:
    async with yard(tmp_path, site_of(1), proven=False) as place:
        place.station(1).keeps = purpose
        place.boot(1)
        await until(lambda: place.station(1).log.count("SetChargingProfile") == 2)
        await asyncio.sleep(0.2)
        assert place.limit_da(1) == 0  # at once, without waiting for the next try
        assert trust_rows(place) in ([], [(0, 0)])
        evse = place.dispatch.evse(StationId("CP1"), 1)
        assert evse is not None
        assert evse.bound_da == 320


async def test_defaults_for_single_evses_are_cleared_when_one_for_all_takes_over(
    tmp_path: Path,
) -> None:
    site = site_of(1, floor_da=100)
    first = site.stations[0].evses[0]
    other = replace(
        first, ref=EvseRef(station_id=StationId("CP1"), evse_id=2), floor_da=60
    )
    two = replace(site.stations[0], evses=(first, other))
    async with yard(tmp_path, replace(site, stations=(two,))) as place:
        await settled(place, n_station=1)
        await until(lambda: {c.evse_id for c in place.station(1).limits} == {1, 2})
        stations = place.links.stations
    even = replace(two, evses=(replace(first, floor_da=60), other))
    async with yard(
        tmp_path, replace(site, stations=(even,)), stations=stations
    ) as place:
        place.station(1).log.clear()
        place.boot(1)
        await until(lambda: "ClearChargingProfile" in place.station(1).log)
        await until(lambda: trust_rows(place) == [(1, 1)])
        assert place.station(1).limits[-1].evse_id == 0
        await until(lambda: bound_da(place) == 60)


@pytest.mark.quirk(10)
@pytest.mark.use_case("K07")
async def test_a_station_that_may_forget_its_floor_counts_at_its_rating_after_a_boot(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        await place.dispatch.set_proof(
            StationId("CP1"),
            is_proven=True,
            leftovers_known=True,
            evidence={"tested": ["default", "step", "drop"]},
        )
        await settled(place, n_station=1)
        await until(lambda: bound_da(place) == 0)
        place.station(1).default = None
        place.station(1).mood = "deaf"
        place.boot(1)
        await until(lambda: bound_da(place) == 320)
        place.station(1).mood = "ok"
        place.boot(1)
        await until(lambda: bound_da(place) == 0)


async def test_a_shipped_proof_holds_for_the_firmware_that_boots_first(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        place.boot(1, firmware="1")
        await until(lambda: bound_da(place) == 0)
        place.boot(1, firmware="2")
        await until(lambda: bound_da(place) == 320)
        evse = place.dispatch.evse(StationId("CP1"), 1)
        assert evse is not None
        assert evse.doubt == "firmware_changed"


def bound_da(place: Yard, number: int = 1) -> int | None:
    evse = place.dispatch.evse(StationId(f"CP{number}"), 1)
    return None if evse is None else evse.bound_da


@pytest.mark.use_case("K02")
@pytest.mark.action16("SetChargingProfile to the station")
async def test_a_session_charges_and_what_happened_is_recorded_and_sealed(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(2)) as place:
        await settled(place, n_station=2)
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)
        await until(lambda: any(kind == "dispatch" for kind, _, _ in place.leaves))
        place.report(1, current_a=31.8)
        view = place.dispatch.view(CabinetId("A"))
        assert view is not None
        assert view.cabinets[0].state is CabinetState.CONTROL
        assert view.cabinets[0].worst_case_da == (420, 420, 420)
        assert view.plan is not None
        assert view.plan.sessions[0].is_default
        outcomes = place.rows("SELECT outcome FROM limit_command WHERE is_held = 1")
        assert ("accepted",) in outcomes
        assert {kind for kind, _, _ in place.leaves} == {"plan", "dispatch"}
        assert place.rows("SELECT count(*) FROM session_promise") == [(1,)]


async def test_three_cars_never_hold_more_than_the_cabinet_has(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(3)) as place:
        await settled(place, n_station=3)
        for number in (1, 2, 3):
            place.report(number)
        highest = 0
        n_look = 0
        async with asyncio.timeout(30):  # at last it is used
            while n_look < 150 or place.total_da() < ROOM_DA - 60:
                await asyncio.sleep(0.01)
                n_look, highest = n_look + 1, max(highest, place.total_da())
                for number in (1, 2, 3):
                    limit_da = place.limit_da(number)
                    place.report(number, current_a=(limit_da or 0) / 10)
        assert highest <= ROOM_DA


async def test_an_increase_waits_until_the_meter_shows_the_decrease(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(2, limit_a=43)) as place:
        await settled(place, n_station=2)
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)
        place.report(1, current_a=32.0)
        await place.dispatch.set_manual_limit(StationId("CP1"), 1, 60)
        await until(lambda: place.limit_da(1) == 60)
        place.report(2)
        place.report(1, current_a=32.0)  # still on its way down
        await asyncio.sleep(0.3)
        assert (place.limit_da(2) or 0) == 0
        await sampled_until(place, 1, 6.0, lambda: (place.limit_da(2) or 0) >= 200)


@pytest.mark.parametrize("mood", ["timeout", "internal", "garbled", "deaf"])
async def test_without_a_clear_answer_old_and_new_limits_count(
    tmp_path: Path, mood: str
) -> None:
    async with yard(tmp_path, site_of(2, limit_a=43)) as place:
        await settled(place, n_station=2)
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)
        place.station(1).mood = mood
        place.report(1, current_a=6.0)
        await place.dispatch.set_manual_limit(StationId("CP1"), 1, 60)
        await until(lambda: place.station(1).log.count("SetChargingProfile") >= 3)
        place.report(2)
        await asyncio.sleep(0.3)
        evse = place.dispatch.evse(StationId("CP1"), 1)
        assert evse is not None
        assert evse.bound_da == 320
        assert place.total_da() <= 320


async def test_a_refusal_before_acting_keeps_the_old_limit(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        await settled(place, n_station=1)
        await asyncio.sleep(0.1)
        place.station(1).mood = "reject"
        place.report(1)
        await until(
            lambda: "refused" in str(place.rows("SELECT outcome FROM limit_command"))
        )
        await until(lambda: bound_da(place) == 0)


async def test_a_restarted_gateway_knows_what_stations_may_hold(
    tmp_path: Path,
) -> None:
    site = site_of(2, limit_a=43)
    async with yard(tmp_path, site) as place:
        await settled(place, n_station=2)
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)
        stations, sessions = place.links.stations, place.sessions
        stations[StationId("CP1")].online = False
        now = place.clock.now()
    async with yard(
        tmp_path, site, stations=stations, sessions=sessions, epoch=now
    ) as place:
        evse = place.dispatch.evse(StationId("CP1"), 1)
        await asyncio.sleep(0.1)
        evse = place.dispatch.evse(StationId("CP1"), 1)
        assert evse is not None
        assert evse.bound_da == 320
        place.report(2)
        await asyncio.sleep(0.3)
        assert place.total_da() <= 430 - 10 - 100


@pytest.mark.quirk(25)
async def test_an_unproven_station_counts_at_its_rating_and_more_are_not_admitted(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(3), proven=False) as place:
        await settled(place, n_station=3)
        cabinet = place.dispatch.cabinet(CabinetId("A"))
        assert cabinet is not None
        assert cabinet.state is CabinetState.COMMISSIONING
        assert place.dispatch.admission(StationId("CP1"), 1)
        place.report(1)
        await until(lambda: not place.dispatch.admission(StationId("CP2"), 1))
        await until(lambda: place.limit_da(1) == 320)  # reserved anyway


async def test_cards_shown_at_once_are_let_in_as_far_as_ratings_fit(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(3)) as place:
        for number in (1, 2, 3):  # proven, back after a power cut, and they say nothing
            place.station(number).mood = "deaf"
            place.boot(number)
        sent = "SELECT count(DISTINCT station_id) FROM limit_command"
        await until(lambda: place.rows(sent) == [(3,)])
        assert not_set_up(place.dispatch) == ["CP1", "CP2", "CP3"]
        let_in = place.dispatch.admission
        # One rating of 32 A fits into the 52 A, before any session has begun.
        assert let_in(StationId("CP2"), 0)
        assert not let_in(StationId("CP1"), 0)
        assert not let_in(StationId("CP3"), 1)
        assert let_in(StationId("CP2"), 1), "the session of the card that was shown"
        place.report(2)
        assert not let_in(StationId("CP1"), 1)
        for number in (1, 2, 3):
            place.station(number).mood = "ok"
            place.boot(number)
        await until(lambda: not not_set_up(place.dispatch))
        assert let_in(StationId("CP1"), 1)
        assert let_in(StationId("CP3"), 1)


async def test_a_card_that_nobody_used_keeps_others_out_for_a_while_only(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(2), proven=False) as place:
        await settled(place, n_station=2)
        assert place.dispatch.admission(StationId("CP1"), 0)
        assert not place.dispatch.admission(StationId("CP2"), 0)
        place.clock.ahead += timedelta(seconds=(UNUSED_S + 1) * place.clock.speed)
        assert place.dispatch.admission(StationId("CP2"), 0)


async def test_changed_firmware_is_unproven_again(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        await place.dispatch.set_proof(
            StationId("CP1"), is_proven=True, firmware="1", leftovers_known=True
        )
        place.boot(1, firmware="1")
        await until(lambda: place.limit_da(1) == 0)
        place.boot(1, firmware="2")

        def doubted() -> bool:
            evse = place.dispatch.evse(StationId("CP1"), 1)
            return evse is not None and evse.doubt == "firmware_changed"

        await until(doubted)


@pytest.mark.quirk(25)
async def test_a_station_that_draws_more_than_allowed_is_found_out(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1), speed=600) as place:
        await settled(place, n_station=1)
        await place.dispatch.set_manual_limit(StationId("CP1"), 1, 60)
        place.report(1)
        await until(lambda: place.limit_da(1) == 60)

        def caught() -> bool:
            place.report(1, current_a=20.0)
            evse = place.dispatch.evse(StationId("CP1"), 1)
            return evse is not None and evse.doubt == "ignored_limit"

        await until(caught)
        trust = "SELECT is_proven FROM station_trust"
        await until(lambda: place.rows(trust) == [(0,)])  # written beside


@pytest.mark.use_case("K06")
@pytest.mark.quirk(26)
async def test_a_limit_is_refreshed_before_it_decays_and_decays_without_us(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1), speed=400) as place:
        await settled(place, n_station=1)
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)
        for _ in range(90):  # three times the hold time
            await asyncio.sleep(0.1)
            assert place.limit_da(1) == 320
        station, clock = place.station(1), place.clock
    await until(lambda: station.limit_da(clock.now()) == 0)  # nobody is there any more


async def test_a_lower_threshold_and_a_jumping_load_reduce_limits(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(2)) as place:
        await settled(place, n_station=2)
        place.report(1)
        place.report(2)
        await until(lambda: place.total_da() >= 500)
        for number in (1, 2):
            place.report(number, current_a=(place.limit_da(number) or 0) / 10)
        await place.dispatch.set_threshold(
            CabinetId("A"), limit_da=(400, 400, 400), limit_w=None
        )
        await until(lambda: place.total_da() <= 400 - 110)
        await place.dispatch.put_reading(
            LoadReading(
                load_id="pump",
                measured_at=place.clock.now(),
                current_da=(200, 200, 200),
            )
        )
        await until(lambda: place.total_da() <= 400 - 10 - 220)
        with pytest.raises(RequestError) as refused:
            await place.dispatch.set_threshold(
                CabinetId("A"), limit_da=(50, 50, 50), limit_w=None
            )
        assert refused.value.status == 409


async def test_advice_is_computed_and_nothing_is_sent(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        await place.dispatch.set_mode(CabinetId("A"), Mode.ADVISE)
        await asyncio.sleep(0.1)
        place.station(1).log.clear()
        place.boot(1)
        place.report(1)
        await until(lambda: any(p.sessions for p in place.solver.problems))
        await asyncio.sleep(0.1)
        assert place.station(1).log == []


async def test_a_plug_in_is_urgent_and_the_end_of_a_step_is_not(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        await settled(place, n_station=1)
        asked = len(place.solver.urgent)
        place.report(1)
        await until(lambda: any(p.sessions for p in place.solver.problems))
        assert all(place.solver.urgent[asked:])
        await until(lambda: place.limit_da(1) == 320)
        asked = 0
        while asked < len(
            place.solver.urgent
        ):  # what the new limit itself gives reason to
            asked = len(place.solver.urgent)
            await asyncio.sleep(1.2)
        (runner,) = place.dispatch.runners().values()
        runner._next_step_at = place.clock.now()
        runner._core.wake.set()
        await until(lambda: len(place.solver.urgent) > asked)
        assert not place.solver.urgent[asked]


async def test_an_ended_session_frees_its_current_for_the_next(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(2, limit_a=43)) as place:
        await settled(place, n_station=2)
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)
        place.report(2)
        await asyncio.sleep(0.2)
        assert (place.limit_da(2) or 0) == 0
        place.report(1, phase=SessionPhase.ENDED)
        await until(lambda: place.limit_da(2) == 320)


async def test_an_operators_own_call_makes_the_rating_count_or_is_refused(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(2, limit_a=43)) as place:
        await settled(place, n_station=2)
        station_id = StationId("CP1")
        guard = place.dispatch.operator_guard
        await guard(station_id, "ChangeConfiguration", {"key": "HeartbeatInterval"})
        await until(lambda: bound_da(place) == 0)
        await guard(station_id, "Reset", {"type": "Hard"})
        evse = place.dispatch.evse(station_id, 1)
        assert evse is not None
        assert (evse.bound_da, evse.doubt) == (320, "operator_call")
        with pytest.raises(RequestError) as refused:
            await guard(StationId("CP2"), "SetChargingProfile", {})
        assert (refused.value.status, refused.value.code) == (
            409,
            "would_exceed_limit",
        )
        await guard(StationId("CP2"), "SetChargingProfile", {}, override=True)
        cabinet = place.dispatch.cabinet(CabinetId("A"))
        assert cabinet is not None
        assert cabinet.state is CabinetState.COMMISSIONING


async def test_a_group_that_stumbles_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.services.dispatch.RESTART_S", 0.1)
    async with yard(tmp_path, site_of(1)) as place:
        await settled(place, n_station=1)
        solve = place.solver.solve

        async def stumble(_problem: object) -> object:
            raise RuntimeError("a fault nobody thought of")

        monkeypatch.setattr(place.solver, "solve", stumble)
        place.report(1)
        await asyncio.sleep(0.3)
        monkeypatch.setattr(place.solver, "solve", solve)
        await until(lambda: place.limit_da(1) == 320)


async def test_a_full_disk_stops_limits_from_being_sent_not_from_counting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        await settled(place, n_station=1)
        run = place.writer.run

        async def full(_job: object) -> object:
            raise StoreError("disk full")

        monkeypatch.setattr(place.writer, "run", full)
        sent_before = len(place.station(1).limits)
        place.report(1)
        await asyncio.sleep(0.3)
        assert len(place.station(1).limits) == sent_before
        monkeypatch.setattr(place.writer, "run", run)
        place.report(1, current_a=0.0)
        await until(lambda: (place.limit_da(1) or 0) > 0)


async def test_a_backlog_of_an_older_session_does_not_hide_the_running_one(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        await settled(place, n_station=1)
        running = place.report(1)
        await until(lambda: place.limit_da(1) == 320)
        old = msgspec.structs.replace(
            running,
            session_id=SessionId("old"),
            started_at=later(EPOCH, hours=-9),
        )
        event = SessionStarted(
            evse=running.evse,
            occurred_at=EPOCH,
            received_at=EPOCH,
            transaction_id="77",
            id_token=None,
            register_milliwh=0,
        )
        for phase in (SessionPhase.RUNNING, SessionPhase.ENDED):
            place.bus.publish(
                FactCommitted(
                    offset=3,
                    event=event,
                    session=msgspec.structs.replace(old, phase=phase),
                    is_backlog=True,
                )
            )
        await asyncio.sleep(0.2)
        evse = place.dispatch.evse(StationId("CP1"), 1)
        assert evse is not None
        assert evse.session_id == running.session_id


async def test_a_site_clock_that_jumps_forward_frees_nothing(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(2, limit_a=43), speed=1) as place:
        await settled(place, n_station=2)
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)
        place.drop(1)  # its own clock goes on as before
        place.report(2)
        await asyncio.sleep(0.2)
        place.clock.ahead = timedelta(hours=1)
        place.boot(2)
        place.report(2)
        await asyncio.sleep(0.4)
        assert bound_da(place, 1) == 320
        assert (place.station(2).session or place.station(2).default) is not None
        assert place.limit_da(2) == 0


async def test_a_station_that_is_moved_on_paper_goes_on_counting_here(
    tmp_path: Path,
) -> None:
    site = site_of(2, limit_a=43)
    other = Cabinet(id=CabinetId("B"), limit_da=(630, 630, 630))
    site = replace(site, cabinets=(*site.cabinets, other))
    async with yard(tmp_path, site) as place:
        await settled(place, n_station=2)
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)
        place.report(1, current_a=32.0)
        station = site.stations[0]
        evses = tuple(replace(e, cabinet_id=other.id) for e in station.evses)
        place.wired[0] = site.with_station(
            replace(station, cabinet_id=other.id, evses=evses)
        )
        place.bus.publish(SettingChanged(subject="station/CP1", at=place.clock.now()))
        place.report(2)
        await until(lambda: place.dispatch.evse(StationId("CP2"), 1) is not None)
        await asyncio.sleep(0.3)
        assert (place.limit_da(2) or 0) == 0
        moved = place.dispatch.evse(StationId("CP1"), 1)
        assert moved is not None
        assert (moved.cabinet_id, moved.bound_da) == (other.id, 320)


async def test_a_doubt_that_cannot_be_stored_stops_the_call_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        await settled(place, n_station=1)
        run = place.writer.run

        async def full(_job: object) -> object:
            raise StoreError("disk full")

        monkeypatch.setattr(place.writer, "run", full)
        with pytest.raises(StoreError):
            await place.dispatch.operator_guard(
                StationId("CP1"), "Reset", {"type": "Hard"}
            )
        assert bound_da(place) == 320
        monkeypatch.setattr(place.writer, "run", run)
        place.report(1)
        doubt = "SELECT is_proven, doubt FROM station_trust"
        await until(lambda: place.rows(doubt) == [(0, "operator_call")])


async def test_nobody_waits_for_ever_for_a_group_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.services.dispatch.VERDICT_WITHIN_S", 0.1)
    async with yard(tmp_path, site_of(1)) as place:
        runner = place.dispatch.runner(StationId("CP1"))
        assert runner is not None
        monkeypatch.setattr(runner, "offer", lambda _item: None)
        with pytest.raises(RequestError) as refused:
            await place.dispatch.operator_guard(StationId("CP1"), "Reset", {})
        assert refused.value.status == 503


async def test_plans_of_mode_auto_heed_the_cars_that_still_come(tmp_path: Path) -> None:
    class Full:
        async def foreseen(
            self, problem: CabinetProblem, places: Mapping[EvseRef, Place]
        ) -> CabinetProblem:
            assert problem.mode is optimizer.Mode.AUTO
            assert {place.cabinets for place in places.values()} == {("A",)}
            return replace(problem, mode=optimizer.Mode.FINISH)

    async with yard(tmp_path, site_of(1), mode="auto", arrivals=Full()) as place:
        await settled(place, n_station=1)
        place.report(1)
        await until(lambda: any(p.sessions for p in place.solver.problems))
        modes = {problem.mode for problem in place.solver.problems}
        assert modes == {optimizer.Mode.FINISH}
