"""Both dialects against a tiny central system over real sockets."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sim_chargers.charger import Charger
from sim_chargers.clock import SiteClock
from sim_chargers.events import Events
from sim_chargers.evse import EvseSpec
from sim_chargers.fleet import make_charger
from sim_chargers.life import Surroundings
from sim_chargers.scenario import StationSpec
from sim_chargers.tls import TlsFiles
from sim_chargers.tokens import TokenEntry
from sim_chargers.vehicle import Vehicle
from tests.integration.sim.tiny_csms import TinyCsms, tiny_csms

SPEED = 200.0
PASSWORD = "pw"
VERSIONS = ["1.6", "2.0.1"]


def car(**changes: Any) -> Vehicle:
    values = {"capacity_wh": 60_000.0, "stored_wh": 20_000.0, "wake_s": 2.0}
    return Vehicle(**{**values, **changes})


@asynccontextmanager
async def station(
    csms: TinyCsms,
    version: str,
    *names: str,
    n_evse: int = 1,
    tls: TlsFiles | None = None,
    station_id: str = "CP1",
    password: str = PASSWORD,
    **spec: Any,
) -> AsyncIterator[Charger]:
    """Run one station, and its physics in turns of 10 ms, until the block ends."""
    around = Surroundings(
        url=csms.url,
        clock=SiteClock(speed=SPEED),
        events=Events(stream=io.StringIO()),
        call_timeout_s=1.0,
        tls=tls or TlsFiles(),
    )
    evses = tuple(EvseSpec(evse_id=number + 1) for number in range(n_evse))
    plan = StationSpec(
        id=station_id, ocpp=version, evses=evses, password=password, **spec
    )
    charger = make_charger(plan, around, frozenset(names))
    charger.link.backoff_first_s = 0.05

    async def physics() -> None:
        last = charger.clock.now()
        while True:
            await asyncio.sleep(0.01)
            now = charger.clock.now()
            charger.step(now, (now - last).total_seconds())
            charger.observe()
            last = now

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(charger.run()), group.create_task(physics())]
        async with asyncio.timeout(30):
            await charger.has_booted.wait()
        yield charger
        for task in tasks:
            task.cancel()


def lines(charger: Charger, event: str) -> list[dict[str, Any]]:
    stream = charger.around.events.stream
    assert isinstance(stream, io.StringIO)
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in found if line["event"] == event]


async def charging(csms: TinyCsms, charger: Charger) -> str:
    """Start a session and return its transaction id."""
    await settled(charger, 10)
    assert charger.plug_in(1, car())
    await settled(charger, 10)
    assert await charger.present_token(1, "CARD")
    await csms.until(lambda: lines(charger, "session_started"))
    return str(lines(charger, "session_started")[0]["transaction"])


async def settled(charger: Charger, seconds: float = 60.0) -> None:
    await charger.clock.sleep(seconds)


def default_profile(version: str, limit: float, number: int = 1) -> dict[str, Any]:
    schedule = {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        "startSchedule": "2020-01-01T00:00:00Z",
    }
    profile: dict[str, Any] = {
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
    }
    if version == "1.6":
        profile |= {"chargingProfileId": number, "chargingSchedule": schedule}
        return {"connectorId": 0, "csChargingProfiles": profile}
    profile |= {"id": number, "chargingSchedule": [{"id": 1, **schedule}]}
    return {"evseId": 0, "chargingProfile": profile}


async def test_a_1_6_session_from_boot_to_stop() -> None:
    async with tiny_csms(TinyCsms(password="pw")) as csms, station(csms, "1.6") as cp:
        await charging(csms, cp)
        await settled(cp, 400)
        assert await cp.present_token(1, "CARD")
        await csms.until(lambda: lines(cp, "session_ended"))
        await settled(cp, 20)
        cp.unplug(1)
        await csms.until(
            lambda: csms.of("StatusNotification")[-1]["status"] == "Available"
        )
        assert csms.actions()[:2] == ["BootNotification", "StatusNotification"]
        (start,), (stop,) = csms.of("StartTransaction"), csms.of("StopTransaction")
        states = [
            s["status"] for s in csms.of("StatusNotification") if s["connectorId"] == 1
        ]
        assert states[:2] == ["Available", "Preparing"]
        assert states[-3:] == ["Charging", "Finishing", "Available"]
        assert stop["reason"] == "Local"
        (line,) = lines(cp, "session_ended")
        assert (
            line["energy_milliwh"] == (stop["meterStop"] - start["meterStart"]) * 1000
        )
        assert line["energy_milliwh"] > 0
        registers = [
            int(v["sampledValue"][0]["value"])
            for m in csms.of("MeterValues")
            for v in m["meterValue"]
        ]
        assert len(registers) >= 4
        assert registers == sorted(registers)
        assert start["meterStart"] <= registers[0]
        assert registers[-1] <= stop["meterStop"]


async def test_a_2_0_1_session_from_boot_to_stop() -> None:
    async with tiny_csms() as csms, station(csms, "2.0.1") as cp:
        transaction_id = await charging(csms, cp)
        await settled(cp, 400)
        cp.unplug(1)
        await csms.until(lambda: lines(cp, "session_ended"))
        events = csms.of("TransactionEvent")
        assert [e["seqNo"] for e in events] == list(range(len(events)))
        kinds = [e["eventType"] for e in events]
        assert kinds[0] == "Started"
        assert kinds[-1] == "Ended"
        assert set(kinds[1:-1]) == {"Updated"}
        assert {e["transactionInfo"]["transactionId"] for e in events} == {
            transaction_id
        }
        assert events[-1]["transactionInfo"]["stoppedReason"] == "EVDisconnected"
        triggers = {e["triggerReason"] for e in events}
        assert {"Authorized", "ChargingStateChanged", "MeterValuePeriodic"} <= triggers
        readings = [
            e["meterValue"][0]["sampledValue"][0]["value"] * 1000 for e in events
        ]
        assert readings == sorted(readings)
        (line,) = lines(cp, "session_ended")
        assert line["register_stop_milliwh"] == round(readings[-1])


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_limit_is_obeyed_and_lifted(version: str) -> None:
    async with tiny_csms() as csms, station(csms, version) as cp:
        answer = await csms.call(
            "CP1", "SetChargingProfile", default_profile(version, 10.0)
        )
        assert answer["status"] == "Accepted"
        await charging(csms, cp)
        await settled(cp)
        assert cp.connectors[1].evse.site_a == pytest.approx((10.0, 10.0, 10.0))
        await csms.call("CP1", "SetChargingProfile", default_profile(version, 0.0))
        await settled(cp)
        assert cp.connectors[1].evse.site_a == (0.0, 0.0, 0.0)
        cleared = await csms.call("CP1", "ClearChargingProfile", {})
        assert cleared == {"status": "Accepted"}
        await settled(cp)
        assert cp.connectors[1].evse.site_a[0] == pytest.approx(16.0)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_liar_accepts_a_limit_and_ignores_it(version: str) -> None:
    async with tiny_csms() as csms, station(csms, version, "lie") as cp:
        answer = await csms.call(
            "CP1", "SetChargingProfile", default_profile(version, 8.0)
        )
        assert answer["status"] == "Accepted"
        await charging(csms, cp)
        await settled(cp)
        assert cp.connectors[1].evse.site_a[0] == pytest.approx(16.0)


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_station_maximum_caps_the_sum_of_its_evses(version: str) -> None:
    async with tiny_csms() as csms, station(csms, version, n_evse=2) as cp:
        payload = default_profile(version, 20.0)
        profile = payload.get("csChargingProfiles") or payload["chargingProfile"]
        profile["chargingProfilePurpose"] = (
            "ChargePointMaxProfile" if version == "1.6" else "ChargingStationMaxProfile"
        )
        assert (await csms.call("CP1", "SetChargingProfile", payload))[
            "status"
        ] == "Accepted"
        for number in (1, 2):
            cp.plug_in(number, car())
            assert await cp.present_token(number, f"CARD{number}")
        await settled(cp)
        currents = [c.evse.site_a[0] for c in cp.connectors.values()]
        assert sum(currents) == pytest.approx(20.0)


@pytest.mark.parametrize("version", VERSIONS)
async def test_messages_of_an_outage_arrive_in_order_afterwards(version: str) -> None:
    async with tiny_csms() as csms, station(csms, version) as cp:
        await charging(csms, cp)
        await settled(cp)
        cp.link.unplug_cable()
        await asyncio.sleep(0.1)
        seen_before = len(csms.seen)
        await settled(cp, 400)
        cp.unplug(1)
        waiting = len(cp.outbox)
        assert waiting >= 3
        assert len(csms.seen) == seen_before
        cp.link.plug_cable()
        await csms.until(lambda: lines(cp, "session_ended"))
        late = csms.seen[seen_before:]
        assert "BootNotification" not in [s.action for s in late]
        last = next(
            s.payload for s in reversed(late) if s.action != "StatusNotification"
        )
        stamps = [
            s.payload.get("timestamp") or s.payload["meterValue"][0]["timestamp"]
            for s in late
            if s.action != "StatusNotification"
        ]
        assert stamps == sorted(stamps)
        if version == "1.6":
            assert last["reason"] == "EVDisconnected"
        else:
            assert last["offline"] is True
            assert [e["seqNo"] for e in csms.of("TransactionEvent")] == sorted(
                e["seqNo"] for e in csms.of("TransactionEvent")
            )


async def test_a_transaction_begun_offline_gets_its_id_before_it_is_stopped() -> None:
    async with tiny_csms() as csms, station(csms, "1.6") as cp:
        cp.tokens.listed["card"] = TokenEntry()
        cp.link.unplug_cable()
        await asyncio.sleep(0.1)
        cp.plug_in(1, car())
        assert await cp.present_token(1, "CARD")
        await settled(cp, 200)
        assert await cp.present_token(1, "CARD")
        cp.link.plug_cable()
        await csms.until(lambda: lines(cp, "session_ended"))
        (stop,) = csms.of("StopTransaction")
        assert (
            str(stop["transactionId"]) == lines(cp, "session_started")[0]["transaction"]
        )
        assert stop["transactionId"] > 1000


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_message_without_an_answer_is_sent_again(version: str) -> None:
    async with tiny_csms() as csms, station(csms, version) as cp:
        start = "StartTransaction" if version == "1.6" else "TransactionEvent"
        csms.mute.add(start)
        cp.plug_in(1, car())
        assert await cp.present_token(1, "CARD")
        await csms.until(lambda: len(csms.of(start)) >= 2)
        csms.mute.clear()
        await csms.until(lambda: lines(cp, "session_started"))
        assert csms.of(start)[0] == csms.of(start)[1]


async def test_a_refused_message_is_tried_three_times_and_then_given_up() -> None:
    async with tiny_csms() as csms, station(csms, "1.6") as cp:
        csms.refuse["StartTransaction"] = ["InternalError"] * 3
        cp.plug_in(1, car())
        assert await cp.present_token(1, "CARD")
        await csms.until(lambda: len(csms.of("StartTransaction")) == 3)
        await csms.until(lambda: csms.of("MeterValues"))
        assert csms.of("MeterValues")[0]["transactionId"] == -1
        assert len(csms.of("StartTransaction")) == 3


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_security_error_leads_to_a_boot(version: str) -> None:
    async with tiny_csms() as csms, station(csms, version) as cp:
        action = "StartTransaction" if version == "1.6" else "TransactionEvent"
        csms.refuse[action] = ["SecurityError"]
        cp.plug_in(1, car())
        assert await cp.present_token(1, "CARD")
        await csms.until(lambda: lines(cp, "session_started"))
        assert len(csms.of("BootNotification")) == 2


async def test_a_pending_station_is_silent_until_it_is_accepted() -> None:
    csms = TinyCsms(registration=["Pending", "Rejected"])
    async with tiny_csms(csms), station(csms, "1.6"):
        await csms.until(lambda: "StatusNotification" in csms.actions())
        assert csms.actions()[:4] == ["BootNotification"] * 3 + ["StatusNotification"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_refused_card_starts_nothing(version: str) -> None:
    csms = TinyCsms(token_status={"BAD": "Blocked"})
    async with tiny_csms(csms), station(csms, version) as cp:
        cp.plug_in(1, car())
        before = cp.connectors[1].evse.register_milliwh
        assert not await cp.present_token(1, "BAD")
        await settled(cp)
        assert cp.connectors[1].evse.register_milliwh == before
        assert cp.connectors[1].transaction is None
        assert await cp.present_token(1, "GOOD")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_remote_start_waits_for_the_car_and_a_remote_stop_ends_it(
    version: str,
) -> None:
    async with tiny_csms() as csms, station(csms, version) as cp:
        if version == "1.6":
            start = ("RemoteStartTransaction", {"connectorId": 1, "idTag": "APP"})
        else:
            token = {"idToken": "APP", "type": "Central"}
            start = (
                "RequestStartTransaction",
                {"evseId": 1, "remoteStartId": 9, "idToken": token},
            )
        assert (await csms.call("CP1", *start))["status"] == "Accepted"
        await asyncio.sleep(0.05)
        assert cp.plug_in(1, car())
        await csms.until(lambda: lines(cp, "session_started"))
        transaction_id = lines(cp, "session_started")[0]["transaction"]
        if version == "1.6":
            stop = ("RemoteStopTransaction", {"transactionId": int(transaction_id)})
        else:
            stop = ("RequestStopTransaction", {"transactionId": transaction_id})
            assert (
                csms.of("TransactionEvent")[0]["transactionInfo"]["remoteStartId"] == 9
            )
        assert (await csms.call("CP1", *stop))["status"] == "Accepted"
        await csms.until(lambda: lines(cp, "session_ended"))
        assert (await csms.call("CP1", *stop))["status"] == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_reset_ends_the_session_and_boots_again(version: str) -> None:
    async with tiny_csms() as csms, station(csms, version) as cp:
        await charging(csms, cp)
        kind = "Soft" if version == "1.6" else "Immediate"
        answer = await csms.call("CP1", "Reset", {"type": kind})
        assert answer == {"status": "Accepted"}
        await csms.until(lambda: len(csms.of("BootNotification")) == 2)
        await csms.until(lambda: lines(cp, "session_ended"))
        assert cp.connectors[1].evse.vehicle is not None


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_unknown_call_is_not_implemented(version: str) -> None:
    async with tiny_csms() as csms, station(csms, version):
        answer = await csms.call_raw("CP1", "Nonsense", {})
        assert answer[0] == 4
        assert answer[2] == "NotImplemented"


async def test_calls_of_1_6_have_answers_by_the_schema() -> None:
    async with tiny_csms() as csms, station(csms, "1.6") as cp:
        later = "2099-01-01T00:00:00Z"
        calls: list[tuple[str, dict[str, Any]]] = [
            ("GetConfiguration", {"key": ["HeartbeatInterval", "Unheard"]}),
            ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "30"}),
            ("ChangeConfiguration", {"key": "NumberOfConnectors", "value": "3"}),
            ("GetCompositeSchedule", {"connectorId": 1, "duration": 3600}),
            ("TriggerMessage", {"requestedMessage": "MeterValues"}),
            ("ClearCache", {}),
            ("GetLocalListVersion", {}),
            ("SendLocalList", {"listVersion": 2, "updateType": "Full"}),
            (
                "ReserveNow",
                {
                    "connectorId": 1,
                    "expiryDate": later,
                    "idTag": "ME",
                    "reservationId": 4,
                },
            ),
            ("CancelReservation", {"reservationId": 4}),
            ("UnlockConnector", {"connectorId": 1}),
            ("DataTransfer", {"vendorId": "x"}),
            ("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}),
            ("UpdateFirmware", {"location": "ftp://x/f", "retrieveDate": later}),
            ("GetDiagnostics", {"location": "ftp://x/"}),
        ]
        for action, payload in calls:
            await csms.call("CP1", action, payload)
        await csms.until(lambda: csms.of("DiagnosticsStatusNotification"))
        assert cp.heartbeat_interval_s == 30.0
        await csms.until(
            lambda: csms.of("StatusNotification")[-1]["status"] == "Unavailable"
        )


async def test_calls_of_2_0_1_have_answers_by_the_schema() -> None:
    async with tiny_csms() as csms, station(csms, "2.0.1") as cp:
        later = "2099-01-01T00:00:00Z"
        interval = {
            "component": {"name": "OCPPCommCtrlr"},
            "variable": {"name": "HeartbeatInterval"},
        }
        await csms.call(
            "CP1", "SetChargingProfile", default_profile("2.0.1", 12.0, number=77)
        )
        calls: list[tuple[str, dict[str, Any]]] = [
            ("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}),
            ("GetVariables", {"getVariableData": [interval]}),
            (
                "SetVariables",
                {"setVariableData": [{**interval, "attributeValue": "30"}]},
            ),
            ("GetCompositeSchedule", {"evseId": 1, "duration": 3600}),
            ("GetChargingProfiles", {"requestId": 2, "chargingProfile": {}}),
            ("GetTransactionStatus", {}),
            ("TriggerMessage", {"requestedMessage": "StatusNotification"}),
            ("ClearCache", {}),
            ("GetLocalListVersion", {}),
            ("SendLocalList", {"versionNumber": 2, "updateType": "Full"}),
            (
                "ReserveNow",
                {
                    "id": 4,
                    "expiryDateTime": later,
                    "idToken": {"idToken": "ME", "type": "ISO14443"},
                    "evseId": 1,
                },
            ),
            ("CancelReservation", {"reservationId": 4}),
            ("UnlockConnector", {"evseId": 1, "connectorId": 1}),
            ("DataTransfer", {"vendorId": "x"}),
            ("ChangeAvailability", {"operationalStatus": "Inoperative"}),
        ]
        for action, payload in calls:
            await csms.call("CP1", action, payload)
        await csms.until(lambda: csms.of("ReportChargingProfiles"))
        parts = csms.of("NotifyReport")
        assert [p["seqNo"] for p in parts] == list(range(len(parts)))
        assert [p["tbc"] for p in parts] == [True] * (len(parts) - 1) + [False]
        report = csms.of("ReportChargingProfiles")[0]
        assert report["chargingProfile"][0]["id"] == 77
        assert cp.heartbeat_interval_s == 30.0


@pytest.mark.parametrize("version", VERSIONS)
async def test_clock_aligned_samples_come_for_idle_and_busy_connectors(
    version: str,
) -> None:
    async with tiny_csms() as csms, station(csms, version, n_evse=2) as cp:
        await charging(csms, cp)
        if version == "1.6":
            change = {"key": "ClockAlignedDataInterval", "value": "60"}
            await csms.call("CP1", "ChangeConfiguration", change)
        else:
            row = {
                "component": {"name": "AlignedDataCtrlr"},
                "variable": {"name": "Interval"},
                "attributeValue": "60",
            }
            await csms.call("CP1", "SetVariables", {"setVariableData": [row]})
        await csms.until(lambda: csms.of("MeterValues"))

        def contexts(values: list[dict[str, Any]]) -> set[str]:
            return {v["meterValue"][0]["sampledValue"][0]["context"] for v in values}

        if version == "1.6":
            both = csms.of("MeterValues")
            await csms.until(
                lambda: (
                    {
                        m["connectorId"]
                        for m in csms.of("MeterValues")
                        if contexts([m]) == {"Sample.Clock"}
                    }
                    == {1, 2}
                )
            )
            assert contexts(both) <= {"Sample.Clock", "Sample.Periodic"}
        else:
            assert contexts(csms.of("MeterValues")) == {"Sample.Clock"}
            assert csms.of("MeterValues")[0]["evseId"] == 2
            await csms.until(
                lambda: "Sample.Clock" in contexts(csms.of("TransactionEvent"))
            )


async def test_a_changed_password_is_used_at_the_next_connection() -> None:
    async with tiny_csms(TinyCsms(password="pw")) as csms, station(csms, "1.6"):
        csms.password = "another-password"
        change = {"key": "AuthorizationKey", "value": "another-password"}
        first = csms.sockets["CP1"]
        assert (await csms.call("CP1", "ChangeConfiguration", change)) == {
            "status": "Accepted"
        }
        await csms.until(lambda: csms.sockets.get("CP1") not in (None, first))


@pytest.mark.parametrize("version", VERSIONS)
async def test_duplicated_frames_do_not_confuse_the_station(version: str) -> None:
    async with tiny_csms() as csms, station(csms, version, "duplicate-frames") as cp:
        await charging(csms, cp)
        await settled(cp)
        assert await cp.present_token(1, "CARD")
        await csms.until(lambda: lines(cp, "session_ended"))
        assert len(lines(cp, "session_started")) == 1
        start = "StartTransaction" if version == "1.6" else "TransactionEvent"
        assert csms.of(start)[0] == csms.of(start)[1]
        assert cp.link.traffic.strays > 0
