"""Pages of reports as a 2.0.1 station sends them."""

from typing import Any

from tests.support.api_site import ApiSite

GENERATED_AT = "2026-11-23T10:00:00Z"


def entry(component: str, variable: str, value: str, **more: Any) -> dict[str, Any]:
    """A variable with its actual value; ``more`` goes to the component."""
    return {
        "component": {"name": component, **more},
        "variable": {"name": variable},
        "variableAttribute": [{"value": value, "mutability": "ReadWrite"}],
    }


def page(
    request_id: int, sequence: int, *entries: dict[str, Any], last: bool = False
) -> dict[str, Any]:
    """A NotifyReport."""
    found: dict[str, Any] = {
        "requestId": request_id,
        "generatedAt": GENERATED_AT,
        "seqNo": sequence,
        "tbc": not last,
    }
    if entries:
        found["reportData"] = list(entries)
    return found


async def report(
    site: ApiSite, station_id: str, body: dict[str, Any]
) -> list[dict[str, Any]]:
    """Ask for a report; the requests that went out."""
    answer = await site.call("POST", f"/stations/{station_id}/reports", body)
    requests: list[dict[str, Any]] = answer["requests"]
    return requests


async def values(site: ApiSite, station_id: str, query: str = "") -> dict[str, Any]:
    """The stored model: ``component.variable`` -> value."""
    model = await site.call("GET", f"/stations/{station_id}/device-model{query}")
    return {
        f"{one['component']}.{one['variable']}": one["value"]
        for one in model["variables"]
    }
