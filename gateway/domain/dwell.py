"""When charging is switched on and off: not too often, and never above the plan.

Contactors and cars wear out by switching, and some cars fall asleep in a pause. So a
car that is off stays off for a while, and is switched on only where the plan has at
least as long for it; both only ever lower what the plan allows. A car that stays silent
after a pause is woken by one more short pause.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from gateway.domain.capability import AtZero

WAKE_AFTER_S: Final = 180
"""Site seconds without current after a pause until a car is woken."""

NAP_S: Final = 30
"""Site seconds of the pause that wakes it."""

END_WITHIN_S: Final = 120
"""A session that ends by itself so soon after 0 A ends because of it."""

DRAWS_DA: Final = 10
"""A current from here on is charging, not the electronics of a car."""

Levels: TypeAlias = Sequence[tuple[int, int]]
"""(From when on, 0.1 A): the first from now on, instants growing, never rising."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dwell:
    """How long a car stays on or off at least, s; 0: as the plan says."""

    min_on_s: int = 0
    min_off_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How one session was switched.

    Attributes:
        is_on: Its newest limit lets it charge; ``None``: it had none.
        since_s: Since when.
        was_paused: It was on before, and then off.
        nap_until_s: Until then it is woken by a pause; ``None``: it is not.
        has_napped: It was woken since it was last switched on.
    """

    is_on: bool | None = None
    since_s: int = 0
    was_paused: bool = False
    nap_until_s: int | None = None
    has_napped: bool = False


def told(rhythm: Rhythm, *, is_on: bool, at_s: int) -> Rhythm:
    """A station took a limit; the pause of a nap is no switching."""
    if rhythm.nap_until_s is not None:
        return replace(rhythm, nap_until_s=None) if is_on else rhythm
    if rhythm.is_on is is_on:
        return rhythm
    return Rhythm(
        is_on=is_on,
        since_s=at_s,
        was_paused=rhythm.was_paused or (rhythm.is_on is True and not is_on),
    )


def seen(rhythm: Rhythm, *, current_da: int, at_s: int) -> Rhythm:
    """A sample, taken at ``at_s``: a car that stays silent after a pause takes a nap.

    Once for each pause: one that does not wake has enough, or is not there.
    """
    if current_da >= DRAWS_DA:
        return replace(rhythm, was_paused=False) if rhythm.is_on else rhythm
    is_silent = (
        rhythm.is_on is True
        and rhythm.was_paused
        and not rhythm.has_napped
        and at_s - rhythm.since_s >= WAKE_AFTER_S
    )
    if not is_silent:
        return rhythm
    return replace(rhythm, nap_until_s=at_s + NAP_S, has_napped=True)


def hold(
    levels: Levels, rhythm: Rhythm, dwell: Dwell, *, least_da: int, now_s: int
) -> tuple[tuple[int, int], ...]:
    """What of a plan's levels is allowed; nowhere more than they say.

    Args:
        levels: What the plan allows.
        rhythm: How the session was switched so far.
        dwell: The site's least times.
        least_da: Below it nothing is charged.
        now_s: Unix seconds.
    """
    off = ((now_s, min(0, levels[0][1])),)
    if rhythm.nap_until_s is not None and rhythm.nap_until_s > now_s:
        return off
    is_waiting = rhythm.is_on is False and rhythm.nap_until_s is None
    if not is_waiting or levels[0][1] < least_da:
        return tuple(levels)
    if now_s - rhythm.since_s < dwell.min_off_s:
        return off
    ends_s = next((at_s for at_s, da in levels if da < least_da), None)
    if ends_s is not None and ends_s - now_s < dwell.min_on_s:
        return off
    return tuple(levels)


def next_s(rhythm: Rhythm, dwell: Dwell, now_s: int) -> int | None:
    """When a car that is held off may be on again, if that is still to come."""
    until_s = rhythm.nap_until_s
    if until_s is None and rhythm.is_on is False:
        until_s = rhythm.since_s + dwell.min_off_s
    return until_s if until_s is not None and until_s > now_s else None


def shown_at_zero(
    rhythm: Rhythm, *, at_s: int, current_da: int | None, has_ended_itself: bool
) -> AtZero | None:
    """What a session shows about 0 A; ``None``: nothing.

    Args:
        rhythm: Before this was seen.
        at_s: When.
        current_da: The newest sample; ``None``: there is none.
        has_ended_itself: The session is over, and no driver or operator ended it.
    """
    if rhythm.nap_until_s is not None:
        return None
    if has_ended_itself:
        is_near = rhythm.is_on is False and at_s - rhythm.since_s <= END_WITHIN_S
        return AtZero.ENDS if is_near and rhythm.was_paused else None
    is_back = rhythm.is_on is True and rhythm.was_paused
    draws = current_da is not None and current_da >= DRAWS_DA
    return AtZero.PAUSES if is_back and draws else None
