"""Flows about settings, resets, lists and odd jobs (B, D, F, G; 1.6: chapter 5)."""

from typing import Final

from sim_chargers.charger_v201 import ChargerV201
from sim_chargers.flows.stage import V201, Flow, Stage
from sim_chargers.twists import Twist

VENDOR: Final = "com.example.wattproof-sim"
READS: Final = ("GetConfiguration", "GetVariables")
WRITES: Final = ("ChangeConfiguration", "SetVariables")
TRIGGERS: Final = ("TriggerMessage", "ExtendedTriggerMessage")
BOOT: Final = "BootNotification"


async def _settings(stage: Stage) -> None:
    await stage.heard(*READS)
    await stage.heard(*WRITES)


async def _reboot_required(stage: Stage) -> None:
    found = await stage.heard(*WRITES)
    answer = found.answer or {}
    rows = answer.get("setVariableResult", [{"attributeStatus": answer.get("status")}])
    status = rows[0]["attributeStatus"]
    stage.check(status == "RebootRequired", f"the setting was {status} at once")
    await stage.heard("Reset", answered="Accepted")
    await stage.sent(BOOT, answered="Accepted")


async def _reset(stage: Stage) -> None:
    await stage.heard("Reset", answered="Accepted")
    await stage.sent(BOOT, answered="Accepted")


async def _reset_charging(stage: Stage) -> None:
    await stage.charge()
    await stage.heard("Reset", answered="Accepted")
    await stage.ended()
    await stage.sent(BOOT, answered="Accepted")
    stage.leave()


async def _reset_on_idle(stage: Stage) -> None:
    await stage.charge()
    await stage.heard("Reset", answered="Scheduled")
    await stage.finish()
    await stage.sent(BOOT, answered="Accepted")


async def _reset_evse(stage: Stage) -> None:
    await stage.heard("Reset", evseId=stage.connector.number, answered="Accepted")
    await stage.sent("StatusNotification", connectorStatus="Unavailable")
    await stage.sent("StatusNotification", connectorStatus="Available")


async def _network(stage: Stage) -> None:
    station = stage.station
    assert isinstance(station, ChargerV201), "2.0.1 only"
    await stage.heard("SetNetworkProfile", answered="Accepted")
    await stage.heard("SetVariables")
    priority = station.model.text("OCPPCommCtrlr", "NetworkConfigurationPriority")
    wanted = station.network.urls(priority, station.around.url)[0]
    await stage.heard("Reset", answered="Accepted")
    await stage.sent(BOOT, answered="Accepted")
    stage.check(station.link.url == wanted, f"connected to {station.link.url}")


async def _reports(stage: Stage) -> None:
    await stage.heard("GetBaseReport", answered="Accepted")
    await stage.sent("NotifyReport", tbc=False)
    await stage.heard("GetReport", answered="Accepted")
    await stage.sent("NotifyReport", tbc=False)


async def _local_list(stage: Stage) -> None:
    await stage.heard("SendLocalList", updateType="Full", answered="Accepted")
    await stage.heard("GetLocalListVersion")
    await stage.heard("SendLocalList", updateType="Differential", answered="Accepted")


async def _list_fails(stage: Stage) -> None:
    stage.twist(Twist.LIST_FAILS)
    await stage.heard("SendLocalList", answered="Failed")


async def _list_mismatch(stage: Stage) -> None:
    stage.station.tokens.version = max(stage.station.tokens.version, 1_000_000)
    await stage.heard("SendLocalList", answered="VersionMismatch")


async def _cache(stage: Stage) -> None:
    await stage.charge()
    stage.check(stage.station.tokens.cache, "nothing is in the cache")
    await stage.finish()
    await stage.heard("ClearCache", answered="Accepted")
    stage.check(not stage.station.tokens.cache, "the cache is not empty")


async def _unlock(stage: Stage) -> None:
    await stage.heard("UnlockConnector", answered="Unlocked")


async def _unlock_fails(stage: Stage) -> None:
    stage.twist(Twist.UNLOCK_FAILS)
    await stage.heard("UnlockConnector", answered="UnlockFailed")


async def _triggers(stage: Stage) -> None:
    found = await stage.heard(*TRIGGERS, answered="Accepted")
    wanted = str(found.payload["requestedMessage"])
    # The extended trigger of 1.6 means the signed message by this name.
    signed = "Signed" + wanted
    await stage.sent(wanted, signed)


async def _availability(stage: Stage) -> None:
    await stage.charge()
    await stage.heard("ChangeAvailability", answered="Scheduled")
    await stage.finish()
    await stage.sent("StatusNotification", **_state(stage, "Unavailable"))
    await stage.heard("ChangeAvailability", answered="Accepted")
    await stage.sent("StatusNotification", **_state(stage, "Available"))


async def _data_transfer(stage: Stage) -> None:
    payload = {"vendorId": VENDOR, "messageId": "Hello", "data": "from the simulator"}
    answer = await stage.say("DataTransfer", payload)
    stage.tell(f"answered {answer.get('status')}")


def _state(stage: Stage, status: str) -> dict[str, str]:
    is_v201 = isinstance(stage.station, ChargerV201)
    return {"connectorStatus" if is_v201 else "status": status}


FLOWS: Final = (
    Flow(
        name="settings",
        line="lets its settings be read and written",
        play=_settings,
        waits_for=(*READS, *WRITES),
    ),
    Flow(
        name="reboot-required",
        line="takes a setting over with the next restart only",
        play=_reboot_required,
        waits_for=(*WRITES, "Reset"),
    ),
    Flow(
        name="reset",
        line="restarts when it is told to",
        play=_reset,
        waits_for=("Reset",),
    ),
    Flow(
        name="reset-while-charging",
        line="is told to restart while it charges: ends the session, boots",
        play=_reset_charging,
        waits_for=("Reset",),
    ),
    Flow(
        name="reset-on-idle",
        line="is told to restart when the car has left",
        play=_reset_on_idle,
        waits_for=("Reset",),
        versions=V201,
    ),
    Flow(
        name="reset-evse",
        line="restarts one EVSE only",
        play=_reset_evse,
        waits_for=("Reset",),
        versions=V201,
    ),
    Flow(
        name="network-profile",
        line="moves to another address after a restart",
        play=_network,
        waits_for=("SetNetworkProfile", "SetVariables", "Reset"),
        versions=V201,
    ),
    Flow(
        name="reports",
        line="reports its device model in parts",
        play=_reports,
        waits_for=("GetBaseReport", "GetReport"),
        versions=V201,
    ),
    Flow(
        name="local-list",
        line="takes a local list, tells its version, takes changes",
        play=_local_list,
        waits_for=("SendLocalList", "GetLocalListVersion"),
    ),
    Flow(
        name="local-list-fails",
        line="cannot store a local list",
        play=_list_fails,
        waits_for=("SendLocalList",),
    ),
    Flow(
        name="local-list-mismatch",
        line="has a newer local list than the changes are for",
        play=_list_mismatch,
        waits_for=("SendLocalList",),
    ),
    Flow(
        name="cache-cleared",
        line="remembers a card until it is told to forget",
        play=_cache,
        waits_for=("ClearCache",),
    ),
    Flow(
        name="unlock",
        line="unlocks its connector",
        play=_unlock,
        waits_for=("UnlockConnector",),
    ),
    Flow(
        name="unlock-fails",
        line="cannot unlock its connector",
        play=_unlock_fails,
        waits_for=("UnlockConnector",),
    ),
    Flow(
        name="triggers",
        line="sends a message that it is told to send",
        play=_triggers,
        waits_for=TRIGGERS,
    ),
    Flow(
        name="availability",
        line="goes out of service after a session, and comes back",
        play=_availability,
        waits_for=("ChangeAvailability",),
    ),
    Flow(
        name="data-transfer",
        line="sends something of its vendor's",
        play=_data_transfer,
    ),
)
