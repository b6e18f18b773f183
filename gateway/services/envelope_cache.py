"""An envelope that is kept while what decides it is the same; see `domain.spare` too.

An envelope depends on the time only in what of it is over: its steps are worked out
once, from long ago on, and cut off where somebody asks from. Kept is what it was worked
out from as well, compared each time, so nobody has to say that something changed.
"""

from typing import Final

from gateway.domain import envelope as env
from gateway.domain import spare
from gateway.domain.envelope import HeldLimit, Holding, Staircase
from gateway.domain.spare import OwnPhases
from gateway.domain.topology import Evse

LONG_AGO_S: Final = 0
"""Before any limit: the epoch of Unix time."""


class KeptEnvelope:
    """The envelope of one EVSE; equal to `domain.envelope.envelope`.

    And what of it counts where its car uses some phases only: `domain.spare.counted`.
    """

    __slots__ = (
        "_counted",
        "_evse",
        "_holding",
        "_latest",
        "_of",
        "_own",
        "_skew_s",
        "_whole",
    )

    def __init__(self) -> None:
        self._holding = Holding(is_trusted=False)
        self._of: Holding | None = None
        self._evse: Evse | None = None
        self._skew_s = 0
        self._whole: Staircase = ()
        self._latest: Staircase = ()
        self._own: OwnPhases | None = None
        self._counted: Staircase = ()

    def holding(self, limits: tuple[HeldLimit, ...], *, is_trusted: bool) -> Holding:
        """What decides the envelope; the same object while it is the same."""
        known = self._holding
        if known.limits is not limits or known.is_trusted is not is_trusted:
            known = self._holding = Holding(is_trusted=is_trusted, limits=limits)
        return known

    def of(
        self, evse: Evse, holding: Holding, *, skew_s: int, from_s: int
    ) -> Staircase:
        """Upper bound of what an EVSE may draw from ``from_s`` on.

        Args:
            evse: As it is wired and rated now.
            holding: What decides it.
            skew_s: What its station's clock may be wrong by.
            from_s: After `LONG_AGO_S`.
        """
        if self._of is not holding or self._evse is not evse or self._skew_s != skew_s:
            self._of, self._evse, self._skew_s = holding, evse, skew_s
            self._whole = env.envelope(evse, holding, skew_s=skew_s, from_s=LONG_AGO_S)
            self._latest = ()
            self._own = None
        if not self._latest or self._latest[0].at_s != from_s:
            self._latest = env.from_then(self._whole, from_s)
        return self._latest

    def on_own_phases(
        self, evse: Evse, holding: Holding, own: OwnPhases, *, skew_s: int, from_s: int
    ) -> tuple[Staircase, Staircase]:
        """What it may draw, and what counts while its car keeps to its phases."""
        full = self.of(evse, holding, skew_s=skew_s, from_s=from_s)
        if self._own != own:
            self._own = own
            _, self._counted = spare.counted(
                evse, holding, own, skew_s=skew_s, from_s=LONG_AGO_S
            )
        return full, env.from_then(self._counted, from_s)
