"""What a day on a chain costs: gas as forge measured it, prices as stated."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SNAPSHOT: Final = Path(__file__).parents[1] / "contracts" / ".gas-snapshot" / "gas.json"
"""``npm run gas`` in ``contracts/`` writes it, ``npm run gas:check`` holds it."""
INVOICES: Final = "record invoices as one root, 10 of the day before, 10 left open"
"""Ten sessions run over midnight."""
ASSETS: Final = 100
"""Assets whose status the measured anchor carries."""
GWEI_PER_ETH: Final = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of an operator.

    Attributes:
        anchors: Heads anchored, each with its proof of about 1,000 new leaves.
        sessions: Settled sessions.
        is_status_public: Whether each anchor carries the packed status of `ASSETS`.
    """

    anchors: int
    sessions: int
    is_status_public: bool


def snapshot() -> dict[str, int]:
    """Gas by what was measured."""
    raw: dict[str, str] = json.loads(SNAPSHOT.read_text("utf-8"))
    return {name: int(gas) for name, gas in raw.items()}


def gas_by_way(day: Day, gas: Mapping[str, int]) -> dict[str, int]:
    """Gas of a day, by how its sessions are settled; nothing is settled for none.

    Only execution: rollups charge for their data on the parent chain as well.
    """
    anchors = day.anchors * gas["anchor 1 000 leaves more, mean of two years"]
    if day.is_status_public:
        with_status = gas["anchor 200 to 300 leaves with the status of 100 assets"]
        anchors += day.anchors * (with_status - gas["anchor 200 to 300 leaves"])
    batches, rest = divmod(day.sessions, 100)
    ways = {
        "batched, public amounts": batches * gas["settle 100 sessions"]
        + rest * gas["settle 100 sessions"] // 100,
        "netted per driver": batches * gas["settle netted, 100 users"]
        + rest * gas["settle netted, 100 users"] // 100,
        "one root of invoices": gas[INVOICES],
        "one by one with proof": day.sessions * gas["settle 1 session with its proof"],
    }
    if not day.sessions:
        return {"nothing settled": anchors}
    return {name: anchors + settling for name, settling in ways.items()}


def eur(gas: int, *, price_gwei: float, eur_per_eth: float) -> float:
    """What gas costs."""
    return gas * price_gwei / GWEI_PER_ETH * eur_per_eth
