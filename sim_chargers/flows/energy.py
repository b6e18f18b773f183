"""Flows about prices, meters, limits and displays (I, J, K, O)."""

from datetime import timedelta
from typing import Final

from sim_chargers.blocks.cost import COST_VENDOR
from sim_chargers.charger_v16 import ChargerV16
from sim_chargers.charger_v201 import ChargerV201
from sim_chargers.clock import to_wire
from sim_chargers.external_limit import clear_limit, set_limit
from sim_chargers.flows.stage import V16, V201, Flow, Stage
from sim_chargers.profiles import Purpose

EXTERNAL_LIMIT_A: Final = 10.0
NEED_WH: Final = 20_000
STAY: Final = timedelta(hours=2)
ALIGNED_S: Final = 60


async def _california(stage: Stage) -> None:
    station = stage.station
    assert isinstance(station, ChargerV16), "1.6 only"
    station.keys["CustomDisplayCostAndPrice"] = "true"
    transfer = {"vendorId": COST_VENDOR, "answered": "Accepted"}
    transaction = await stage.charge()
    await stage.heard("DataTransfer", messageId="RunningCost", **transfer)
    stage.check(transaction.wire_id in station.costs.running, "for another session")
    await stage.finish()
    await stage.heard("DataTransfer", messageId="FinalCost", **transfer)
    stage.check(transaction.wire_id in station.costs.final, "for another session")
    await stage.sent("DataTransfer", messageId="ConnectorUnplugged")


async def _user_price(stage: Stage) -> None:
    await stage.heard(
        "DataTransfer",
        vendorId=COST_VENDOR,
        messageId="SetUserPrice",
        answered="Accepted",
    )
    stage.check(stage.station.costs.prices, "no price is shown")


async def _costs(stage: Stage) -> None:
    transaction = await stage.charge()
    await stage.heard("CostUpdated", transactionId=transaction.wire_id)
    await stage.finish()


async def _aligned(stage: Stage) -> None:
    station = stage.station
    if isinstance(station, ChargerV201):
        station.model.put("AlignedDataCtrlr", "Interval", str(ALIGNED_S))
    elif isinstance(station, ChargerV16):
        station.keys["ClockAlignedDataInterval"] = str(ALIGNED_S)
    found = await stage.sent("MeterValues")
    value = found.payload["meterValue"][0]["sampledValue"][0]
    stage.check(value["context"] == "Sample.Clock", f"a {value['context']} came first")
    if isinstance(station, ChargerV201):
        station.model.put("AlignedDataCtrlr", "Interval", "0")
    elif isinstance(station, ChargerV16):
        station.keys["ClockAlignedDataInterval"] = "0"


async def _limits(stage: Stage) -> None:
    await stage.charge()
    await stage.heard("SetChargingProfile", answered="Accepted")
    await stage.heard("GetCompositeSchedule", answered="Accepted")
    await stage.heard("ClearChargingProfile", answered="Accepted")
    await stage.finish()


async def _profiles_report(stage: Stage) -> None:
    await stage.heard("SetChargingProfile", answered="Accepted")
    await stage.heard("GetChargingProfiles", answered="Accepted")
    await stage.sent("ReportChargingProfiles", tbc=False)


async def _needs(stage: Stage) -> None:
    station = stage.station
    evse = stage.connector.evse.spec
    transaction = await stage.charge()
    needs = {
        "requestedEnergyTransfer": "AC_three_phase",
        "departureTime": to_wire(station.now() + STAY),
        "acChargingParameters": {
            "energyAmount": NEED_WH,
            "evMinCurrent": 6,
            "evMaxCurrent": 16,
            "evMaxVoltage": round(evse.nominal_v),
        },
    }
    answer = await stage.say(
        "NotifyEVChargingNeeds",
        {"evseId": stage.connector.number, "chargingNeeds": needs},
    )
    stage.check(answer["status"] != "Rejected", "the needs were rejected")
    await stage.heard(
        "SetChargingProfile", evseId=stage.connector.number, answered="Accepted"
    )
    own = [p for p in station.profiles if p.purpose is Purpose.TX]
    stage.check(own, f"no profile for transaction {transaction.wire_id}")
    wire = own[0].wire["chargingSchedule"]
    assert isinstance(wire, list), "2.0.1 has a list of schedules"
    schedule = {
        "timeBase": to_wire(station.now()),
        "evseId": stage.connector.number,
        "chargingSchedule": wire[0],
    }
    answer = await stage.say("NotifyEVChargingSchedule", schedule)
    stage.check(answer["status"] == "Accepted", "the car's schedule was rejected")
    await stage.finish()


async def _external(stage: Stage) -> None:
    station = stage.station
    assert isinstance(station, ChargerV201), "2.0.1 only"
    await stage.charge()
    set_limit(station, stage.connector.number, EXTERNAL_LIMIT_A)
    await stage.sent("NotifyChargingLimit")
    await stage.until(
        lambda: 0 < stage.connector.evse.offered <= EXTERNAL_LIMIT_A,
        "charging below the external limit",
    )
    clear_limit(station, stage.connector.number)
    await stage.sent("ClearedChargingLimit")
    await stage.until(
        lambda: stage.connector.evse.offered > EXTERNAL_LIMIT_A,
        "charging above it again",
    )
    await stage.finish()


async def _display(stage: Stage) -> None:
    await stage.heard("SetDisplayMessage", answered="Accepted")
    await stage.heard("GetDisplayMessages", answered="Accepted")
    await stage.sent("NotifyDisplayMessages", tbc=False)
    await stage.heard("ClearDisplayMessage", answered="Accepted")


async def _display_transaction(stage: Stage) -> None:
    station = stage.station
    assert isinstance(station, ChargerV201), "2.0.1 only"
    transaction = await stage.charge()
    found = await stage.heard("SetDisplayMessage", answered="Accepted")
    message = found.payload["message"]
    is_own = message.get("transactionId") == transaction.wire_id
    stage.check(is_own, "the message is not about the transaction")
    await stage.finish()
    await stage.until(lambda: message["id"] not in station.display, "it is taken away")


FLOWS: Final = (
    Flow(
        name="california-pricing",
        line="shows running and final cost, tells when the cable is taken",
        play=_california,
        waits_for=("DataTransfer",),
        versions=V16,
    ),
    Flow(
        name="user-price",
        line="shows a driver's own price",
        play=_user_price,
        waits_for=("DataTransfer",),
        versions=V16,
    ),
    Flow(
        name="cost-updates",
        line="shows the running cost",
        play=_costs,
        waits_for=("CostUpdated",),
        versions=V201,
    ),
    Flow(
        name="clock-aligned",
        line="reads its meters at the full minute",
        play=_aligned,
    ),
    Flow(
        name="smart-charging",
        line="takes a limit while it charges, composes, forgets it",
        play=_limits,
        waits_for=(
            "SetChargingProfile",
            "GetCompositeSchedule",
            "ClearChargingProfile",
        ),
    ),
    Flow(
        name="profiles-report",
        line="reports the profiles that it was given",
        play=_profiles_report,
        waits_for=("SetChargingProfile", "GetChargingProfiles"),
        versions=V201,
    ),
    Flow(
        name="charging-needs",
        line="a car says what it needs, and follows the schedule it gets",
        play=_needs,
        waits_for=("SetChargingProfile",),
        versions=V201,
    ),
    Flow(
        name="external-limit",
        line="is limited by the building for a while",
        play=_external,
        versions=V201,
    ),
    Flow(
        name="display-messages",
        line="shows a message, lists it, takes it away",
        play=_display,
        waits_for=("SetDisplayMessage", "GetDisplayMessages", "ClearDisplayMessage"),
        versions=V201,
    ),
    Flow(
        name="display-transaction",
        line="shows a message as long as its session runs",
        play=_display_transaction,
        waits_for=("SetDisplayMessage",),
        versions=V201,
    ),
)
