"""Bugs of billing and metering that others had, each as a session over a real socket.

Where they were reported stands with each test. What we must never do is bill what was
not delivered; what is doubtful must wait with its reason.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api_site import ApiSite, api_site
from tests.support.billed import (
    DRIVER,
    Talk16,
    Talk201,
    ago,
    bill_of,
    element,
    judged,
    newest,
    put_tariff,
    register,
    wire,
)
from tests.support.ocpi import CPO, PLACE, check
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")

KWH = ("ENERGY", "0.40")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    billing = {"currency": "EUR", "default_tariff": "day", "pricing_messages": True}
    folder = tmp_path_factory.mktemp("site")
    async with api_site(folder, billing=billing, cpo=CPO, site=PLACE) as running:
        await running.call("PUT", f"/id-tokens/{DRIVER}", {})
        yield running


@asynccontextmanager
async def online(
    site: ApiSite, name: str, *elements: dict[str, Any], version: str = "1.6"
) -> AsyncIterator[RawStation]:
    """A station with a tariff of its own."""
    tariff = f"of-{name}"
    await put_tariff(site, tariff, *(elements or (element(KWH),)))
    await site.register(name, tariff_id=tariff)
    async with site.station(name, version) as station:
        await station.boot()
        yield station


async def sessions(site: ApiSite, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await site.call("GET", f"/sessions?station_id={name}")
    return found


async def cdr(site: ApiSite, session_id: str) -> Any:
    return check(await site.call("GET", f"/sessions/{session_id}/cdr"))


async def told_cost(
    talk: Talk201, at: datetime, wh: float | None = None, **more: Any
) -> float:
    """The running cost in an answer; one is without it until it is at hand."""
    async with asyncio.timeout(30):
        while True:
            answer = await talk.event("Updated", at, wh, **more)
            if "totalCost" in answer:
                cost: float = answer["totalCost"]
                return cost


@pytest.mark.quirk(21)
async def test_a_lifetime_register_after_a_begin_of_zero_is_not_billed_as_a_session(
    site: ApiSite,
) -> None:
    """CitrineOS PR 1060: 910 kWh billed for 0.083; a begin of 0 while offline."""
    async with online(site, "ODO-201", version="2.0.1") as station:
        talk = Talk201(station, "odometer")
        began = ago(site, hours=5)
        await talk.event("Started", began, 0, context="Transaction.Begin")
        await talk.event("Updated", began + timedelta(minutes=1), 910_000)
        end = began + timedelta(hours=4)
        await talk.event("Ended", end, 910_083, context="Transaction.End")
    bill = await bill_of(site, "ODO-201")
    assert bill["state"] == "held"
    assert bill["energy_milliwh"] in {None, 83_000}


@pytest.mark.quirk(21)
async def test_a_lifetime_register_after_a_start_of_zero_waits_on_1_6_as_well(
    site: ApiSite,
) -> None:
    """CitrineOS PR 1060, as a 1.6 station would do it."""
    async with online(site, "ODO-16") as station:
        talk = Talk16(station)
        number = await talk.start(ago(site, hours=5), 0)
        await talk.meter(ago(site, minutes=299), 910_000, number=number)
        await talk.stop(number, ago(site, minutes=10), 910_083)
    bill = await bill_of(site, "ODO-16")
    assert bill["state"] == "held"
    assert bill["energy_milliwh"] in {None, 83_000}


@pytest.mark.quirk(23)
async def test_a_batch_without_energy_resets_no_total(site: ApiSite) -> None:
    """CitrineOS PR 868: a batch of power alone set the total to zero."""
    async with online(site, "BATCH", version="2.0.1") as station:
        talk = Talk201(station, "batch")
        began = ago(site, minutes=60)
        await talk.event("Started", began, 1000, context="Transaction.Begin")
        await talk.event("Updated", began + timedelta(minutes=20), 5000)
        before = await newest(site, "BATCH")
        power = {"value": 7000, "measurand": "Power.Active.Import"}
        clock = {"value": 47, "measurand": "SoC", "context": "Sample.Clock"}
        at = began + timedelta(minutes=30)
        assert await told_cost(talk, at, samples=[power, clock]) == 1.6
        assert await told_cost(talk, at) == 1.6
        after = await newest(site, "BATCH")
        assert before["energy_milliwh"] == after["energy_milliwh"] == 4_000_000
        end = began + timedelta(minutes=40)
        await talk.event("Ended", end, 9000, context="Transaction.End")
    bill = await bill_of(site, "BATCH")
    assert (bill["state"], bill["amount_minor"]) == ("settled", 320)


@pytest.mark.quirk(19)
async def test_a_stop_that_is_sent_again_and_again_is_billed_once(
    site: ApiSite,
) -> None:
    """CitrineOS PR 880: every retry of the stop was added to the total."""
    async with online(site, "RETRY") as station:
        talk = Talk16(station)
        number = await talk.start(ago(site, minutes=60))
        end = ago(site, minutes=10)
        answers = [await talk.stop(number, end, 11_000) for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]
    async with site.station("RETRY") as station:
        await station.boot()
        assert await Talk16(station).stop(number, end, 11_000) == answers[0]
    (session,) = await sessions(site, "RETRY")
    bill = await bill_of(site, "RETRY")
    assert (bill["state"], bill["amount_minor"]) == ("settled", 400)
    assert (await cdr(site, session["session_id"]))["total_energy"] == 10


@pytest.mark.quirk(19)
async def test_a_stop_that_differs_from_the_first_changes_no_settled_bill(
    site: ApiSite,
) -> None:
    """EVerest #907 and SteVe #156: second stops with other registers."""
    async with online(site, "SECOND") as station:
        talk = Talk16(station)
        number = await talk.start(ago(site, minutes=60))
        await talk.stop(number, ago(site, minutes=10), 11_000)
        before = await bill_of(site, "SECOND")
        await talk.stop(number, ago(site, minutes=5), 99_000)
    after = await bill_of(site, "SECOND")
    assert after == before
    assert (after["state"], after["amount_minor"]) == ("settled", 400)


EVERYTHING = (
    element(KWH, ("TIME", "6"), ("PARKING_TIME", "1"), ("FLAT", "0.50"), max_kwh=5),
    element(("ENERGY", "0.60"), ("TIME", "6"), ("PARKING_TIME", "1")),
)


async def test_the_price_told_last_is_that_of_bill_and_record(site: ApiSite) -> None:
    """CitrineOS PRs 903 and 944: the live price and the CDR's were computed apart."""
    async with online(site, "LIVE", *EVERYTHING, version="2.0.1") as station:
        talk = Talk201(station, "live")
        began = ago(site, minutes=60)
        await talk.event("Started", began, 1000, context="Transaction.Begin")
        told = []
        for minutes, wh in ((15, 4300), (30, 8000), (45, 8000)):
            at = began + timedelta(minutes=minutes)
            told.append(await told_cost(talk, at, wh))
        end = began + timedelta(minutes=59)
        last = await talk.event("Ended", end, 8000, context="Transaction.End")
    assert told == sorted(told)
    bill = await bill_of(site, "LIVE")
    # 5 kWh at 0.40, 2 at 0.60, half an hour at 6, 29 minutes at 1, a fee of 0.50
    assert (bill["state"], bill["amount_minor"]) == ("settled", 200 + 120 + 300 + 98)
    assert last["totalCost"] == 7.18
    record = await cdr(site, bill["session_id"])
    assert str(record["total_cost"]["incl_vat"]) == "7.18"


async def test_minutes_of_standing_are_billed_as_such_whatever_the_station_says(
    site: ApiSite,
) -> None:
    """CitrineOS #225: idle minutes at the charging rate; ``timeSpentCharging``."""
    times = element(KWH, ("TIME", "6"), ("PARKING_TIME", "1"))
    for name, spent_s in (("IDLE", 1800), ("BOAST", 3600)):
        async with online(site, name, times, version="2.0.1") as station:
            talk = Talk201(station, name)
            began = ago(site, minutes=70)
            await talk.event("Started", began, 1000, context="Transaction.Begin")
            full = began + timedelta(minutes=30)
            info = {"chargingState": "SuspendedEV", "timeSpentCharging": 1800}
            await talk.event("Updated", full, 11_000, info=info)
            await talk.event(
                "Ended",
                began + timedelta(minutes=60),
                11_000,
                context="Transaction.End",
                info={"timeSpentCharging": spent_s, "chargingState": "Idle"},
            )
        bill = await bill_of(site, name)
        assert (bill["state"], bill["amount_minor"]) == ("settled", 400 + 300 + 50)
        record = await cdr(site, bill["session_id"])
        assert (record["total_time"], record["total_parking_time"]) == (1, 0.5)


async def test_a_pause_is_no_charging_because_the_car_goes_on_after_it(
    site: ApiSite,
) -> None:
    """CitrineOS #225 and PR 1112: a car that is full, and heats in the morning."""
    times = element(KWH, ("TIME", "6"), ("PARKING_TIME", "0.10"))
    async with online(site, "HEATS", times) as station:
        talk, began = Talk16(station), ago(site, hours=10)
        number = await talk.start(began, 1000)
        for hours, wh in ((1, 11_000), (2, 11_000), (5, 11_000), (9, 11_000)):
            await talk.meter(began + timedelta(hours=hours), wh, number=number)
        await talk.stop(number, began + timedelta(hours=9.25), 13_000)
    bill = await bill_of(site, "HEATS")
    assert (bill["state"], bill["amount_minor"]) == ("settled", 480 + 750 + 80)


@pytest.mark.quirk(20)
async def test_a_queue_of_a_month_is_billed_session_by_session_at_its_own_times(
    site: ApiSite,
) -> None:
    """Queues of months (reddit r/ocpp; MicroOcpp #454): each as if it had been told."""
    night = element(("ENERGY", "0.10"), start_time="22:00", end_time="06:00")
    async with online(site, "QUEUE", night, element(KWH)) as station:
        talk = Talk16(station)
        today = site.gateway.clock.now().replace(hour=0, minute=0, second=0)
        number, wh = 0, 1000
        for days in range(31, 0, -1):
            began = today - timedelta(days=days) + timedelta(hours=20, minutes=30)
            number = await talk.start(began, wh)
            wh += 4000
            await talk.stop(number, began + timedelta(minutes=60), wh)
    found = await sessions(site, "QUEUE")
    assert len(found) == 31
    for session in found:
        assert session["ended_at"] is not None
    bill = await bill_of(site, "QUEUE")
    assert bill["state"] == "settled"
    # 20:30 to 21:30 in UTC: in winter 21:30 to 22:30 at the site.
    assert bill["amount_minor"] == 80 + 20


@pytest.mark.quirk(20)
async def test_a_session_from_the_queue_costs_what_was_asked_when_it_began(
    site: ApiSite,
) -> None:
    """A tariff that changed while the station was offline must not reach back."""
    async with online(site, "LATE", element(("ENERGY", "0.30"))) as station:
        began = site.gateway.clock.now()
        await put_tariff(site, "of-LATE", element(("ENERGY", "9.00")))
        talk = Talk16(station)
        number = await talk.start(began)
        await talk.stop(number, began + timedelta(milliseconds=1), 1010)
        old = await bill_of(site, "LATE")
        assert (old["tariff_id"], old["amount_minor"]) == ("of-LATE", 0)
        assert old["parts"][0]["price_micro_per_kwh"] == 300_000
        number = await talk.start(site.gateway.clock.now(), 1010)
        await talk.stop(number, site.gateway.clock.now(), 1020)
        new = await bill_of(site, "LATE")
        assert new["parts"][0]["price_micro_per_kwh"] == 9_000_000


NIGHT = element(("ENERGY", "0.10"), start_time="00:00", end_time="03:00")


@pytest.mark.quirk(24)
@pytest.mark.parametrize(
    ("name", "began", "hours", "amount_minor"),
    [
        # 01:00 to 04:00, without the hour from 02:00: one at night, one by day
        ("SPRING", datetime(2026, 3, 29, 0, tzinfo=UTC), 2, 60 + 240),
        # 01:00 to 04:00, with the hour from 02:00 twice: three at night, one by day
        ("AUTUMN", datetime(2026, 10, 24, 23, tzinfo=UTC), 4, 90 + 120),
    ],
)
async def test_a_night_in_which_the_clock_is_changed_is_as_long_as_it_is(
    site: ApiSite, name: str, began: datetime, hours: int, amount_minor: int
) -> None:
    """Local time in stations and tariffs: evcc #10399, Home Assistant #512."""
    async with online(site, name, NIGHT, element(KWH)) as station:
        talk = Talk16(station)
        number = await talk.start(began)
        await talk.stop(number, began + timedelta(hours=hours), 13_000)
    bill = await bill_of(site, name)
    assert (bill["state"], bill["amount_minor"]) == ("settled", amount_minor)
    record = await cdr(site, bill["session_id"])
    assert record["total_time"] == hours
    volumes = [one["dimensions"][0]["volume"] for one in record["charging_periods"]]
    assert sum(volumes) == 12


async def test_midnight_and_the_end_of_the_month_are_the_sites(site: ApiSite) -> None:
    """Weekdays and dates count at the moment of delivery, in the site's zone."""
    began = datetime(2026, 5, 31, 20, tzinfo=UTC)  # Sunday, 22:00 in Berlin
    async with online(
        site,
        "MONTH",
        element(("ENERGY", "0.20"), day_of_week=["SUNDAY"]),
        element(("ENERGY", "0.50"), start_date="2026-06-01", end_date="2026-06-02"),
        element(KWH),
    ) as station:
        talk = Talk16(station)
        number = await talk.start(began)
        await talk.stop(number, began + timedelta(hours=4), 9000)
    bill = await bill_of(site, "MONTH")
    assert (bill["state"], bill["amount_minor"]) == ("settled", 80 + 200)
    starts = [
        one["start_date_time"]
        for one in (await cdr(site, bill["session_id"]))["charging_periods"]
    ]
    assert starts == ["2026-05-31T20:00:00Z", "2026-05-31T22:00:00Z"]


@pytest.mark.quirk(17)
@pytest.mark.parametrize("number", [0, -1, 4711])
async def test_a_number_that_nobody_gave_ends_no_session_of_others_and_bills_nothing(
    site: ApiSite, number: int
) -> None:
    """Home Assistant #1749, EVerest #495, CVE-2026-28230 (SteVe), OCPP.Core #34."""
    victim, rogue = f"VICTIM{number}", f"ROGUE{number}"
    async with online(site, victim) as honest, online(site, rogue) as other:
        real = await Talk16(honest).start(ago(site, minutes=30))
        for wrong in (number, real):
            await Talk16(other).stop(wrong, ago(site, minutes=1), 500_000)
            await Talk16(other).meter(ago(site, minutes=1), 500_000, number=wrong)
        (session,) = await sessions(site, victim)
        assert (session["ended_at"], session["energy_milliwh"]) == (None, 0)
        for one in await sessions(site, rogue):
            bill = await judged(site, one["session_id"])
            assert (bill["state"], bill["amount_minor"]) == ("held", None)
        await Talk16(honest).stop(real, ago(site, minutes=1), 3000)
    bill = await bill_of(site, victim)
    assert (bill["state"], bill["amount_minor"]) == ("settled", 80)


@pytest.mark.quirk(18)
async def test_a_start_that_is_sent_again_after_the_stop_begins_nothing(
    site: ApiSite,
) -> None:
    """SteVe #1294 and #1295 (Coppoletta): the same start after its stop."""
    async with online(site, "AGAIN") as station:
        talk = Talk16(station)
        began = ago(site, minutes=60)
        number = await talk.start(began)
        await talk.stop(number, ago(site, minutes=30), 11_000)
        assert await talk.start(began) == number
    (session,) = await sessions(site, "AGAIN")
    assert session["ended_at"] is not None
    assert (await bill_of(site, "AGAIN"))["amount_minor"] == 400


@pytest.mark.quirk(18)
async def test_a_second_start_bills_no_watt_hour_twice(site: ApiSite) -> None:
    """SteVe #1294: several starts on one connector."""
    async with online(site, "TWICE") as station:
        talk = Talk16(station)
        await talk.start(ago(site, minutes=60), 1000)
        number = await talk.start(ago(site, minutes=40), 5000, idTag="OTHER")
        await talk.stop(number, ago(site, minutes=10), 9000)
    found = await sessions(site, "TWICE")
    assert sum(one["energy_milliwh"] for one in found) == 8_000_000
    first = min(found, key=lambda one: str(one["started_at"]))
    assert first["ended_at"] is not None


@pytest.mark.quirk(21)
async def test_a_stop_below_its_start_gives_no_money_back(site: ApiSite) -> None:
    """OCPP.Core #33; Grizzl-E, Home Assistant #2093: -4076 kWh."""
    async with online(site, "NEGATIVE") as station:
        talk = Talk16(station)
        number = await talk.start(ago(site, minutes=60), 4_080_000)
        await talk.meter(ago(site, minutes=30), 2000, number=number)
        await talk.stop(number, ago(site, minutes=10), 4000)
    bill = await bill_of(site, "NEGATIVE")
    assert bill["state"] == "held"
    assert bill["totals"] is None
    assert (await newest(site, "NEGATIVE"))["energy_milliwh"] == 0


@pytest.mark.quirk(21)
async def test_a_register_that_drops_to_zero_for_once_costs_nothing(
    site: ApiSite,
) -> None:
    """Drop-outs to 0 in the middle (CitrineOS, Home Assistant #1069)."""
    async with online(site, "DROP") as station:
        talk = Talk16(station)
        number = await talk.start(ago(site, minutes=60), 500_000)
        await talk.meter(ago(site, minutes=50), 502_000, number=number)
        await talk.meter(ago(site, minutes=40), 0, number=number)
        await talk.meter(ago(site, minutes=30), 506_000, number=number)
        await talk.stop(number, ago(site, minutes=10), 510_000)
    bill = await bill_of(site, "DROP")
    assert (bill["state"], bill["amount_minor"]) == ("held", 400)
    assert (await newest(site, "DROP"))["energy_milliwh"] == 10_000_000


@pytest.mark.quirk(21)
async def test_a_value_after_the_stop_raises_no_bill(site: ApiSite) -> None:
    """Home Assistant #1069: the first value after the stop is higher than it."""
    async with online(site, "AFTER") as station:
        talk = Talk16(station)
        number = await talk.start(ago(site, minutes=60))
        await talk.stop(number, ago(site, minutes=10), 11_000)
        before = await bill_of(site, "AFTER")
        assert (before["state"], before["amount_minor"]) == ("settled", 400)
        await talk.meter(ago(site, minutes=9), 19_000, number=number)
    after = await bill_of(site, "AFTER")
    assert (after["state"], after["amount_minor"]) == ("settled", 400)


@pytest.mark.quirk(22)
@pytest.mark.parametrize(
    ("name", "value", "unit"),
    [
        ("KILO", "6.0", "kWh"),
        ("SPACE", " 6000.0", "Wh"),
        ("NOISE", "6000.000000000001", "Wh"),
        ("DEFAULT", "6000", None),
    ],
)
async def test_a_value_in_any_usual_spelling_is_the_same_energy(
    site: ApiSite, name: str, value: str, unit: str | None
) -> None:
    """evcc, CitrineOS 1.6.2: missing units, spaces, binary noise."""
    async with online(site, name) as station:
        talk = Talk16(station)
        number = await talk.start(ago(site, minutes=60))
        more = {} if unit is None else {"unit": unit}
        values = [register(ago(site, minutes=30), value, **more)]
        payload = {"connectorId": 1, "transactionId": number, "meterValue": values}
        await station.ask("MeterValues", payload)
        assert (await newest(site, name))["energy_milliwh"] == 5_000_000
        await talk.stop(number, ago(site, minutes=10), 11_000)
    bill = await bill_of(site, name)
    assert (bill["state"], bill["amount_minor"]) == ("settled", 400)


@pytest.mark.quirk(23)
async def test_the_main_meter_and_clock_aligned_values_are_no_sessions_energy(
    site: ApiSite,
) -> None:
    """KEBA's connector 0 (OCPP.Core), CitrineOS PR 868 (``Sample.Clock``)."""
    async with online(site, "MAIN") as station:
        talk = Talk16(station)
        number = await talk.start(ago(site, minutes=60))
        for minutes, wh in ((45, 800_000), (30, 900_000)):
            await talk.meter(ago(site, minutes=minutes), wh, connectorId=0)
        aligned = register(ago(site, minutes=30), 6000, context="Sample.Clock")
        await station.ask("MeterValues", {"connectorId": 1, "meterValue": [aligned]})
        assert (await newest(site, "MAIN"))["energy_milliwh"] == 5_000_000
        await talk.stop(number, ago(site, minutes=10), 11_000)
    bill = await bill_of(site, "MAIN")
    assert (bill["state"], bill["amount_minor"]) == ("settled", 400)


PHASES = [{"value": "2000", "phase": phase} for phase in ("L1", "L2", "L3")]


@pytest.mark.quirk(22)
@pytest.mark.parametrize(
    ("name", "values", "energy_milliwh"),
    [
        ("PHASES", PHASES, 5_000_000),
        ("BOTH", [{"value": "6000"}, *PHASES], 5_000_000),
        ("COMMA", [{"value": "6000,5"}], 5_000_500),
        ("NONE", [{"value": "N/A"}], 0),
    ],
)
async def test_phases_are_summed_or_left_out_and_never_counted_twice(
    site: ApiSite, name: str, values: list[dict[str, str]], energy_milliwh: int
) -> None:
    """CitrineOS 1.6.2 (phases counted beside their sum), evcc (decimal commas)."""
    async with online(site, name) as station:
        talk = Talk16(station)
        number = await talk.start(ago(site, minutes=60))
        sample = {"timestamp": wire(ago(site, minutes=30)), "sampledValue": values}
        payload = {"connectorId": 1, "transactionId": number, "meterValue": [sample]}
        await station.ask("MeterValues", payload)
        assert (await newest(site, name))["energy_milliwh"] == energy_milliwh
        await talk.stop(number, ago(site, minutes=10), 11_000)
    bill = await bill_of(site, name)
    assert (bill["state"], bill["amount_minor"]) == ("settled", 400)


@pytest.mark.quirk(20)
async def test_a_stop_of_which_nothing_is_known_is_answered_and_bills_nothing(
    site: ApiSite,
) -> None:
    """SteVe #156: an error as an answer, and the station repeats it for ever."""
    async with online(site, "NOTHING") as station:
        await Talk16(station).stop(77, ago(site, minutes=10), 11_000)
        assert await sessions(site, "NOTHING") == []


@pytest.mark.quirk(24)
async def test_a_time_with_an_offset_is_the_instant_that_it_names(
    site: ApiSite,
) -> None:
    """Offsets such as +02 (Monta's emulator #5, #53): a night of 02:00 to 03:00."""
    hour = element(("ENERGY", "0.10"), start_time="02:00", end_time="03:00")
    async with online(site, "OFFSET", hour, element(KWH)) as station:
        talk = Talk16(station)
        at = datetime(2026, 6, 1, tzinfo=UTC)
        number = await talk.start(at, timestamp="2026-06-01T02:00:00+02")
        await talk.stop(number, at, 3000, timestamp="2026-06-01T04:30:00+03:30")
    bill = await bill_of(site, "OFFSET")
    assert (bill["state"], bill["amount_minor"]) == ("settled", 20)


async def test_of_a_member_that_comes_twice_the_last_counts_and_others_are_noted(
    site: ApiSite,
) -> None:
    """OCPP.Core #36 (CVE-2023-49956): extra and duplicate members of a frame."""
    async with online(site, "EXTRA") as station:
        number = await Talk16(station).start(ago(site, minutes=60))
        members = (
            f'"transactionId":{number},"timestamp":"{wire(ago(site, minutes=10))}",'
            '"meterStop":99000,"meterStop":11000,"extra":{"meterStop":5}'
        )
        await station.exchange("x1", f'[2,"x1","StopTransaction",{{{members}}}]')
        bill = await bill_of(site, "EXTRA")
        assert (bill["state"], bill["amount_minor"]) == ("settled", 400)
        (noted,) = await site.call("GET", "/stations/EXTRA/deviations")
        assert (noted["kind"], noted["detail"]) == (
            "extra_member",
            "unknown member extra",
        )
