"""What is tried next when a station refuses a limit; pure functions.

A refusal seldom says why. So the parts of the limit that the station is not known to
take are changed one after the other, the cheapest first; what is taken once the last
change was made shows that this last part was the trouble. When no part is left, it is
the way itself: the next one down the ladder is used. Nothing is tried for ever: each
step either teaches something that is stored, or ends in a station that is not
controlled, whose rating counts.
"""

from collections.abc import Iterable
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

_CHANGEABLE: Final = (
    Feature.ZERO,
    Feature.MANY_PERIODS,
    Feature.AMPERE,
    Feature.WATT,
    Feature.ABSOLUTE,
)
"""Parts of a limit that can be done without, the cheapest first."""

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
    if reason is Reason.PASSING:
        return Step(trial=trial)
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
        return Step(trial=replace(trial, refusals=trial.refusals + 1))
    suspect = None if reason is Reason.WAY else _suspect(known, trial, used)
    if suspect is None:
        return Step(trial=Trial(), learnt=frozenset({way}), is_at_once=True)
    return Step(trial=Trial(varied=(*trial.varied, suspect)), is_at_once=True)


def after_acceptance(
    learnt: Learnt, trial: Trial, used: frozenset[Feature]
) -> tuple[Learnt, Trial]:
    """What a taken limit teaches: its parts are fine, what was given up last is not.

    What was given up before that may be fine after all: it is used again.
    """
    refused = learnt.refused | frozenset(trial.varied[-1:])
    accepted = (learnt.accepted | used) - refused
    return replace(learnt, refused=refused, accepted=accepted), Trial()


def _suspect(
    known: Capability, trial: Trial, used: frozenset[Feature]
) -> Feature | None:
    return next(
        (
            feature
            for feature in _in_order(used)
            if feature not in known.accepted
            and feature not in trial.varied
            and _is_replaceable(known, trial, feature)
        ),
        None,
    )


def _in_order(used: Iterable[Feature]) -> list[Feature]:
    present = frozenset(used)
    return [feature for feature in _CHANGEABLE if feature in present]


def _is_replaceable(known: Capability, trial: Trial, feature: Feature) -> bool:
    """Whether there is something to do instead that was not given up already."""
    instead = _INSTEAD.get(feature)
    return instead is None or (known.takes(instead) and instead not in trial.varied)
