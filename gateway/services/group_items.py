"""What a runner finds in its inbox besides notices: results of its own doing."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from gateway.bus import (
    FactCommitted,
    LinkChanged,
    LoadMeasured,
    RequestChanged,
    SettingChanged,
)
from gateway.domain.envelope import Draw, Violation
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.services.evse_state import Outgoing
from gateway.services.group_problem import Asked
from gateway.services.ladder import Reason
from optimizer import Outcome


class SetupStage(StrEnum):
    """What comes next when a station is set up; leftovers come after our default."""

    DEFAULT = "default"
    CLEAR = "clear"
    DEFAULT_AGAIN = "default_again"
    DONE = "done"


class Answer(StrEnum):
    """How sending a limit ended."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitAnswered:
    """A station answered a limit, or did not.

    Attributes:
        is_late: The call had timed out, and was taken for unanswered, before.
        reason: Why it was refused.
    """

    outgoing: Outgoing
    command_id: int
    answer: Answer
    latency_s: float
    is_late: bool = False
    reason: Reason = Reason.UNSAID


@dataclass(frozen=True, slots=True, kw_only=True)
class StationFree:
    """All calls to a station that were under way are over."""

    station_id: StationId


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsCleared:
    """A station was asked to clear all limits.

    Attributes:
        done: All are gone. Otherwise some may be, ours among them.
        is_late: Answered after the call was given up: what was set meanwhile may be
            gone, too.
    """

    station_id: StationId
    done: bool
    is_late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """A plan is there."""

    asked: Asked
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCall:
    """An operator is about to change what a station draws.

    Attributes:
        override: Even if a limit could be exceeded then.
        verdict: Gets what would be exceeded; nothing: the call may be sent.
    """

    station_id: StationId
    override: bool
    verdict: asyncio.Future[tuple[Violation, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeAsked:
    """The obedience test wants the defaults of an idle station a step higher.

    Attributes:
        verdict: Gets whether they were sent; they end by themselves.
    """

    station_id: StationId
    verdict: asyncio.Future[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOver:
    """The safe defaults of a station are due again."""

    station_id: StationId


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendAsked:
    """The limit of an EVSE's session is wanted again, changed or not."""

    ref: EvseRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """What the fast loop withholds from the room of cabinets, instead of before.

    Attributes:
        taken: 0.1 A per row; cabinets that are not named have their whole room.
    """

    taken: Mapping[CabinetId, Draw]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """The site changed, or notices were lost: read everything anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What a station reported after a limit.

    Attributes:
        asked_at: Before the question.
        periods: (seconds from then on, A per phase); ``None``: it does not say.
        takes: Whether it knows the question; ``None``: no answer came.
    """

    ref: EvseRef
    asked_at: datetime
    periods: tuple[tuple[int, float], ...] | None
    takes: bool | None


Item: TypeAlias = (
    FactCommitted
    | LinkChanged
    | RequestChanged
    | LoadMeasured
    | SettingChanged
    | LimitAnswered
    | StationFree
    | LimitsCleared
    | Solved
    | Reload
    | OperatorCall
    | ProbeAsked
    | ProbeOver
    | Reported
    | ResendAsked
    | Withheld
)
