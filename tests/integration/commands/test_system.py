"""What the gateway asks stations by itself is listed like what people ask."""

from pathlib import Path

from tests.support.api_site import PASSWORD, api_site


async def test_calls_of_the_setup_are_commands_of_the_system(tmp_path: Path) -> None:
    async with api_site(tmp_path, {"OLD": PASSWORD}) as site:
        async with site.station("OLD") as station:
            station.handlers["ChangeConfiguration"] = lambda _: {"status": "Rejected"}
            await station.boot()
            path = "/commands?station_id=OLD&kind=call&origin="

            async def is_over() -> bool:
                found = await site.call("GET", f"{path}system")
                states = {one["action"]: one["state"] for one in found}
                return states.get("ChangeConfiguration") == "failed"

            await site.until(is_over)
            found = await site.call("GET", f"{path}system")
            (one, *_) = [x for x in found if x["action"] == "ChangeConfiguration"]
            assert (one["origin"], one["asked_by"]) == ("system", "system")
            assert (one["reason"], one["detail"]) == ("refused", "Rejected")
            assert one["sent_at"] <= one["answered_at"] <= one["deadline_at"]
            body = {"action": "ClearCache", "payload": {}}
            await site.call("POST", "/stations/OLD/calls", body)
            (mine,) = await site.call("GET", f"{path}operator")
            assert (mine["action"], mine["origin"]) == ("ClearCache", "operator")
            assert await site.call("GET", f"{path}plan") == []
        kept = {one["action"] for one in found}
        assert {name for name, *_ in station.heard} - kept <= {
            "ClearCache",
            "SetChargingProfile",
            "ClearChargingProfile",
            "GetCompositeSchedule",
        }
