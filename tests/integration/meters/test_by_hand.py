"""What an operator said that a battery shall do outlives the gateway."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.support.api_site import ApiSite, api_site

RATED = {"capacity_wh": 10_000, "max_charge_w": 3_000, "max_discharge_w": 3_000}
BATTERY = {
    "cabinet": "main",
    "control": "surplus",
    "source": "simulated",
    "stale_after_s": 60,
    **RATED,
}
BATTERIES = [{"id": name, **BATTERY} for name in ("cellar", "attic", "shed")]
SMALL = [{**one, "max_charge_w": 1_000} for one in BATTERIES]


async def said(site: ApiSite) -> dict[str, tuple[Any, Any]]:
    found = await site.call("GET", "/batteries", role="viewer")
    return {b["battery_id"]: (b["by_hand_w"], b["by_hand_until"]) for b in found}


async def test_what_was_said_counts_after_a_restart_until_its_time(
    tmp_path: Path,
) -> None:
    async with api_site(tmp_path, battery=BATTERIES) as site:
        now = site.parts.clock.now()
        until = (now + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
        await site.call("PUT", "/batteries/cellar/power", {"power_w": 2_000})
        body = {"power_w": -1_500, "until": until}
        answer = await site.call("PUT", "/batteries/attic/power", body)
        kept_until = answer["by_hand_until"]
        await site.call("PUT", "/batteries/shed/power", {"power_w": 500})
        await site.call("PUT", "/batteries/shed/power", {"power_w": None})
        refused = await site.call(
            "PUT", "/batteries/cellar/power", {"power_w": 3_001}, status=422
        )
        assert refused["error"] == "beyond_rate"
    async with api_site(tmp_path, battery=BATTERIES) as site:

        async def is_restored() -> bool:
            return await said(site) == {
                "cellar": (2_000, None),
                "attic": (-1_500, kept_until),
                "shed": (None, None),
            }

        await site.until(is_restored)

        async def is_told() -> bool:
            found = await site.call("GET", "/batteries")
            return any(one["why"] == "set by hand" for one in found)

        await site.until(is_told)
    async with api_site(tmp_path, battery=SMALL) as site:

        async def is_dropped() -> bool:
            found = await said(site)
            return found["attic"][0] == -1_500 and found["cellar"] == (None, None)

        await site.until(is_dropped)
