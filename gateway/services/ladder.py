"""What is tried next when a station refuses a limit; pure functions.

A refusal seldom says why. So the parts of the limit that the station is not known to
take are changed one after the other, the cheapest first; what is taken once the last
change was made shows that this last part was the trouble. When no part is left, it is
the way itself: the next one down the ladder is used. Nothing is tried for ever: each
step either teaches something that is stored, or ends in a station that is not
controlled, whose rating counts.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from gateway.domain.capability import (
    FEW_PERIODS,
    WAYS,
    Capability,
    Feature,
    Learnt,
    unit_feature,
    way_of,
)
from gateway.domain.limits import SetLimit

SECOND_CHANCES: Final = 1
"""A refusal without a reason may be one of the moment: the same is sent once more."""

PATIENCE: Final = 5
"""A way that sessions were limited by before is given up after so many refusals."""

_SPARED: Final = (Feature.ZERO, Feature.MANY_PERIODS)
"""Parts of a limit that can be done without, the cheapest first."""

_SWAPPED: Final = (Feature.AMPERE, Feature.WATT, Feature.ABSOLUTE)
"""Parts that can be replaced: the unit first, then the kind."""

_INSTEAD: Final = {
    Feature.AMPERE: Feature.WATT,
    Feature.WATT: Feature.AMPERE,
    Feature.ABSOLUTE: Feature.RELATIVE,
}


class Reason(StrEnum):
    """Why a station says that it refuses."""

    UNSAID = "unsaid"
    PASSING = "passing"
    """About this moment: its transaction is over, it is busy."""
    UNIT = "unit"
    PERIODS = "periods"
    WAY = "way"
    """It says that this is not supported."""
    ALL = "all"
    """It says that it knows no limits at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is being tried at a station; not stored.

    Attributes:
        varied: What is done without for now, in the order it was given up.
        refusals: Refusals of what is sent now.
    """

    varied: tuple[Feature, ...] = ()
    refusals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a refusal leads to.

    Attributes:
        trial: What is tried from now on.
        learnt: What is surely not taken, to be stored.
        is_at_once: It need not be waited with the next limit.
    """

    trial: Trial
    learnt: frozenset[Feature] = frozenset()
    is_at_once: bool = False


def features_of(command: SetLimit) -> frozenset[Feature]:
    """What a limit asks of a station."""
    found = {
        way_of(command.purpose, command.evse_id),
        unit_feature(command.unit),
        Feature.ABSOLUTE if command.relative_to is None else Feature.RELATIVE,
    }
    steps = command.schedule.steps
    if any(step.limit_da == 0 for step in steps):
        found.add(Feature.ZERO)
    if len(steps) > FEW_PERIODS:
        found.add(Feature.MANY_PERIODS)
    return frozenset(found)


def after_refusal(
    known: Capability, trial: Trial, used: frozenset[Feature], reason: Reason
) -> Step:
    """What to do after a limit was surely refused.

    Args:
        known: Without what is only being tried.
        trial: What is being tried.
        used: Features of the refused limit.
        reason: What the station said of it.
    """
    way = next(feature for feature in WAYS if feature in used)
    again = Step(trial=replace(trial, refusals=trial.refusals + 1))
    if reason is Reason.PASSING:
        return Step(trial=trial)
    if way in known.accepted and trial.refusals < PATIENCE:
        return again
    if reason is Reason.ALL and known.accepted:
        reason = Reason.WAY  # it took others
    if reason is Reason.ALL:
        return Step(trial=Trial(), learnt=frozenset(WAYS), is_at_once=True)
    if reason is Reason.UNIT:
        units = used & {Feature.AMPERE, Feature.WATT}
        if all(known.takes(_INSTEAD[unit]) for unit in units):
            return Step(trial=Trial(), learnt=units, is_at_once=True)
    if reason is Reason.PERIODS and Feature.MANY_PERIODS in used:
        learnt = frozenset({Feature.MANY_PERIODS})
        return Step(trial=Trial(), learnt=learnt, is_at_once=True)
    if reason is Reason.UNSAID and trial.refusals < SECOND_CHANCES and not trial.varied:
        return again
    following = None if reason is Reason.WAY else _next_trial(known, trial, used)
    if following is None:
        return Step(trial=Trial(), learnt=frozenset({way}), is_at_once=True)
    return Step(trial=following, is_at_once=True)


def after_acceptance(
    learnt: Learnt, trial: Trial, used: frozenset[Feature]
) -> tuple[Learnt, Trial]:
    """What a taken limit teaches: its parts are fine, what was given up last is not.

    What was given up before that may be fine after all: it is used again.
    """
    refused = learnt.refused | frozenset(trial.varied[-1:])
    accepted = (learnt.accepted | used) - refused
    return replace(learnt, refused=refused, accepted=accepted), Trial()


def _next_trial(
    known: Capability, trial: Trial, used: frozenset[Feature]
) -> Trial | None:
    """What is tried after what was tried now; ``None``: nothing is left."""
    instead = {_INSTEAD[one] for one in trial.varied if one in _INSTEAD}
    tries = _tries(known, (used - instead) | frozenset(trial.varied))
    done = tries.index(trial.varied) if trial.varied in tries else -1
    rest = tries[done + 1 :]
    return Trial(varied=rest[0]) if rest else None


def _tries(known: Capability, used: frozenset[Feature]) -> list[tuple[Feature, ...]]:
    """What to do without, try by try; each but the first adds one part to another.

    Doing without 0 A and without many periods is never worse, so it is gone on with;
    another unit or kind may be what is refused, so they are tried in turn as well.
    """
    open_ones = [one for one in used if one not in known.accepted]
    spared = [one for one in _SPARED if one in open_ones]
    swapped = [
        one for one in _SWAPPED if one in open_ones and known.takes(_INSTEAD[one])
    ]
    base = tuple(spared)
    tries: list[tuple[Feature, ...]] = [base[: n + 1] for n in range(len(base))]
    match swapped:
        case [unit, kind]:
            tries += [(*base, unit), (*base, unit, kind), (*base, kind)]
        case [one]:
            tries.append((*base, one))
        case _:
            pass
    return tries
