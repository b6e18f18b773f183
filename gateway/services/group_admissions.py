"""Who may be authorized while the ratings of unproven stations do not fit.

Unproven is here also a proven station whose safe default is not acknowledged yet, as
after a power cut. A group says at each look what is left. Between two looks any number
of cards may be shown: whoever is let in takes a rating off what is left, until the
group has seen the session or the card was not used for a while.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gateway.domain import envelope as env
from gateway.domain.envelope import TOTAL, Draw
from gateway.domain.ids import CabinetId, EvseRef
from gateway.services.group_state import GroupState
from gateway.services.safe_limits import Board

UNUSED_S: Final = 120
"""Real seconds for which an accepted card counts without a session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a group leaves to its unproven EVSEs; the default leaves all they want.

    Attributes:
        refused: Nobody may be authorized there, whoever else comes.
        ratings: Of the idle unproven ones that are not refused.
        phases: The supply phases of these.
        room: Least room behind each cabinet, now or later.
    """

    refused: frozenset[EvseRef] = frozenset()
    ratings: Mapping[EvseRef, Draw] = field(default_factory=dict)
    phases: Mapping[EvseRef, Sequence[int]] = field(default_factory=dict)
    paths: Mapping[EvseRef, Sequence[CabinetId]] = field(default_factory=dict)
    room: Mapping[CabinetId, Draw] = field(default_factory=dict)


def what_is_left(group: GroupState, now: datetime) -> Left:
    """What is left beside the envelopes of the proven and of those that charge.

    Proven EVSEs are never refused: their envelope is counted. While the ratings of
    others do not fit, an unproven one is whose rating does not fit beside them.
    """
    unproven = [ref for ref, one in group.evses.items() if not group.is_trusted(one)]
    if not unproven or not group.violations(now):
        return Left()
    idle = {ref for ref in unproven if group.evses[ref].session is None}
    board = Board(
        envelopes={
            ref: stairs
            for ref, stairs in group.envelopes(now).items()
            if ref not in idle
        },
        paths=group.paths,
        rooms=group.rooms(now),
        wishes=(),
        now=now,
    )
    refused: set[EvseRef] = set()
    ratings: dict[EvseRef, Draw] = {}
    for ref in unproven:
        evse = group.evses[ref].evse
        rating = env.with_total(evse.rating) if ref in idle else env.NOTHING
        if not board.has_room(ref, rating, evse.phases):
            refused.add(ref)
        elif ref in idle:
            ratings[ref] = rating
    return Left(
        refused=frozenset(refused),
        ratings=ratings,
        phases={ref: group.evses[ref].evse.phases for ref in ratings},
        paths={ref: group.paths[ref] for ref in ratings},
        room=board.least(),
    )


@dataclass(slots=True)
class _Claim:
    """Somebody was let in; ``is_loose``: with a card at the station, no EVSE named."""

    until: datetime
    is_loose: bool


class GroupAdmissions:
    """Lets drivers in as far as ratings fit. Any thread may ask.

    Args:
        unused: Site time for which an accepted card counts without a session.
    """

    def __init__(self, unused: timedelta) -> None:
        self._unused = unused
        self._lock = threading.Lock()
        self._left = Left()
        self._claims: dict[EvseRef, _Claim] = {}

    def looked(self, left: Left) -> None:
        """The group looked: sessions that it has seen are counted by it."""
        with self._lock:
            self._left = left
            self._claims = {r: c for r, c in self._claims.items() if r in left.ratings}

    def admit(self, refs: Sequence[EvseRef], now: datetime, *, is_loose: bool) -> bool:
        """Whether one more may be authorized; then the rating counts at once.

        Args:
            refs: At one of these EVSEs of a station.
            now: Site time.
            is_loose: No EVSE was named.
        """
        with self._lock:
            self._claims = {r: c for r, c in self._claims.items() if c.until > now}
            # a second card is for another EVSE
            free_first = sorted(refs, key=lambda ref: ref in self._claims)
            return any(self._let_in(ref, now, is_loose=is_loose) for ref in free_first)

    def _let_in(self, ref: EvseRef, now: datetime, *, is_loose: bool) -> bool:
        left = self._left
        if ref in left.refused:
            return False
        if ref not in left.ratings:
            return True
        others = {r: c for r, c in self._claims.items() if r != ref}
        if not is_loose and ref not in self._claims:
            for other, claim in self._claims.items():
                if claim.is_loose and other.station_id == ref.station_id:
                    del others[other]  # the card that was shown before
                    break
        if not self._fits(ref, others):
            return False
        self._claims = others
        self._claims[ref] = _Claim(until=now + self._unused, is_loose=is_loose)
        return True

    def _fits(self, ref: EvseRef, others: Mapping[EvseRef, _Claim]) -> bool:
        left = self._left
        for cabinet_id in left.paths[ref]:
            room = left.room[cabinet_id]
            for other in (ref, *others):
                if cabinet_id in left.paths[other]:
                    room = env.subtract(room, left.ratings[other])
            if any(room[row] < 0 for row in (*left.phases[ref], TOTAL)):
                return False
        return True
