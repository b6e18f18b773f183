"""In which ways a day is played end to end, besides the policy."""

from dataclasses import dataclass
from typing import Final

from benchmarks.optimizer_days import (
    Day,
    Disturbance,
    Kind,
    disturbed,
    draw,
    undeclared,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """What a site is like, and what goes otherwise than said.

    Attributes:
        frees_phases: As `[site] free_unused_phases`.
        is_wired_alike: EVSEs have the phases that their car uses, not three.
        margin_a: Kept free for EVSEs that disobey; it comes on top of the limit, so
            that cars have the same room with any.
        n_floor: So many EVSEs have a safe limit of 6 A, reserved all day; others of 0.
        has_pv: An inverter is metered behind the cabinet; its power is no room.
        silent: Share of drivers who say nothing.
        disturbance: See `optimizer_days.Disturbance`; not ``noise``.
    """

    frees_phases: bool = True
    is_wired_alike: bool = False
    margin_a: float = 0.0
    n_floor: int = 0
    has_pv: bool = False
    silent: float = 0.0
    disturbance: str = Disturbance.NONE.value

    def day(self, kind: Kind, limit_a: float, seed: int) -> Day:
        """The day of a seed, the same as in the plans' benchmark."""
        day = draw(kind, limit_a, seed)
        what = Disturbance(self.disturbance)
        if what is not Disturbance.NONE:
            day = disturbed(day, what)
        return undeclared(day, self.silent) if self.silent else day

    def words(self) -> str:
        """What is not as usual; empty where nothing is."""
        told = (
            (not self.frees_phases, "all phases counted"),
            (self.is_wired_alike, "wired alike"),
            (self.margin_a > 0, f"margin {self.margin_a:g} A"),
            (self.n_floor > 0, f"floors: {self.n_floor}"),
            (self.has_pv, "PV"),
            (self.silent > 0, f"{100 * self.silent:.0f} % undeclared"),
            (self.disturbance != Disturbance.NONE, self.disturbance),
        )
        return ", ".join(words for is_so, words in told if is_so)


USUAL: Final = Ways()
