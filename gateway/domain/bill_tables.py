"""Tables of a bill: what they are, and the one of its stretches of time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.domain.bill_labels import Labels
from gateway.domain.tariff_terms import Dimension

MAX_PARTS: Final = 60
"""Stretches of time that are listed; a tariff by power may make thousands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under heads; the cells of ``foot`` are sums.

    Attributes:
        n_text: So many columns from the left are texts, the others numbers.
        note: A sentence below it.
    """

    title: str
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    foot: tuple[tuple[str, ...], ...] = ()
    n_text: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTellers:
    """How times, milliwatt-hours, and prices in millionths are said."""

    time: Callable[[str], str]
    energy: Callable[[int], str]
    price: Callable[[int], str]


def parts_table(
    parts: Sequence[Mapping[str, Any]], say: Labels, tell: PartTellers
) -> Table:
    """Energy by price and time; what the time counts as, too, where it has a price."""
    left = len(parts) - MAX_PARTS
    kind = (say.what,) if any("is_parked" in one for one in parts) else ()
    return Table(
        title=say.parts,
        heads=(say.since, say.until, *kind, say.energy, say.price),
        rows=tuple(
            (
                tell.time(one["from"]),
                tell.time(one["to"]),
                *((_kind(one, say),) if kind else ()),
                tell.energy(int(one["energy_milliwh"])),
                tell.price(int(one["price_micro_per_kwh"])),
            )
            for one in parts[:MAX_PARTS]
        ),
        n_text=2 + len(kind),
        note=say.parts_left.format(n=left) if left > 0 else "",
    )


def _kind(part: Mapping[str, Any], say: Labels) -> str:
    if "is_parked" not in part:
        return ""
    is_parked = part["is_parked"]
    return say.dimensions[Dimension.PARKING_TIME if is_parked else Dimension.TIME]
