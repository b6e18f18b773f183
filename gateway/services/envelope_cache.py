"""Envelopes that are kept while what decides them is the same.

An envelope depends on the time only in what of it is over: its steps are worked out
once, from long ago on, and cut off where somebody asks from. Kept is what it was worked
out from as well, compared each time, so nobody has to say that something changed.
"""

from dataclasses import dataclass
from typing import Final

from gateway.domain import envelope as env
from gateway.domain.envelope import Holding, Staircase
from gateway.domain.ids import EvseRef
from gateway.domain.topology import Evse

LONG_AGO_S: Final = 0
"""Before any limit: the epoch of Unix time."""


@dataclass(slots=True)
class _Known:
    evse: Evse
    holding: Holding
    skew_s: int
    whole: Staircase
    latest: Staircase


class EnvelopeCache:
    """The envelopes of a group's EVSEs; equal to `domain.envelope.envelope`."""

    def __init__(self) -> None:
        self._known: dict[EvseRef, _Known] = {}

    def of(
        self, ref: EvseRef, evse: Evse, holding: Holding, *, skew_s: int, from_s: int
    ) -> Staircase:
        """Upper bound of what an EVSE may draw from ``from_s`` on.

        Args:
            ref: Whose it is kept as.
            evse: As it is wired and rated now.
            holding: What decides it.
            skew_s: What its station's clock may be wrong by.
            from_s: After `LONG_AGO_S`.
        """
        known = self._known.get(ref)
        if (
            known is None
            or known.evse is not evse
            or known.skew_s != skew_s
            or known.holding != holding
        ):
            whole = env.envelope(evse, holding, skew_s=skew_s, from_s=LONG_AGO_S)
            known = _Known(evse, holding, skew_s, whole, env.from_then(whole, from_s))
            self._known[ref] = known
        elif known.latest[0].at_s != from_s:
            known.latest = env.from_then(known.whole, from_s)
        return known.latest
