"""The spare rooms of a group while limits are placed (`gateway.domain.spare`)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from gateway.domain.envelope import (
    NO_LIMIT,
    NOTHING,
    ROWS,
    Draw,
    highest,
    subtract,
)
from gateway.domain.ids import CabinetId
from gateway.domain.spare import OwnPhases, beyond, margin_draw

_NONE: Final[Draw] = (NO_LIMIT, NO_LIMIT, NO_LIMIT, NO_LIMIT)


class SpareRooms:
    """What is kept free behind each cabinet, at each instant of a board."""

    def __init__(
        self,
        spare: Mapping[CabinetId, Sequence[Draw]],
        margins: Mapping[CabinetId, int],
        n_instant: int,
    ) -> None:
        self._n_instant = n_instant
        self._spare = {one: list(rows) for one, rows in spare.items()}
        self._margins = {one: margin_draw(da) for one, da in margins.items()}

    def whole_cap(
        self,
        own: OwnPhases,
        drawn: Draw,
        *,
        index: int,
        path: Sequence[CabinetId],
        left: Callable[[CabinetId], Draw],
        is_hopeless: Callable[[CabinetId, int], bool],
    ) -> Draw:
        """What an EVSE may draw on all its phases, while all others keep to theirs.

        So much is left without the spare room, and by the margin. Where a row is
        exceeded the spare room does not grow; it goes once nobody else can give.

        Args:
            own: The phases that it is counted on: others limit what it takes there.
            drawn: What is counted for it.
            index: The instant.
            path: Its cabinets.
            left: What is left behind a cabinet.
            is_hopeless: Whether a row is exceeded though all give what they can.
        """
        cap = list(_NONE)
        for cabinet_id in path:
            room, spare = left(cabinet_id), self._at(cabinet_id, index)
            margin = self._margins.get(cabinet_id, NOTHING)
            for row in ROWS:
                if row in own.phases:
                    continue
                kept = 0 if is_hopeless(cabinet_id, row) else spare[row]
                whole = drawn[row] + max(0, room[row]) + kept + margin[row]
                cap[row] = min(cap[row], whole)
        return (cap[0], cap[1], cap[2], cap[3])

    def keep(
        self, freed: Draw, *, index: int, path: Sequence[CabinetId]
    ) -> Iterator[tuple[CabinetId, Draw]]:
        """Keep free what a car may take back; by how much more, and where."""
        for cabinet_id in path:
            before = self._at(cabinet_id, index)
            margin = self._margins.get(cabinet_id, NOTHING)
            after = highest((before, beyond(freed, margin)))
            if after != before:
                rows = self._spare.setdefault(cabinet_id, [NOTHING] * self._n_instant)
                rows[index] = after
                yield cabinet_id, subtract(after, before)

    def _at(self, cabinet_id: CabinetId, index: int) -> Draw:
        rows = self._spare.get(cabinet_id)
        return NOTHING if rows is None else rows[index]
