"""The life of a command: from the wish to the proof that the station did it.

::

    queued -> sent -> accepted -> effected
       |       |         |------> no_effect   its time for showing an effect is over
       |       |         `------> failed      it began and went wrong (an upload, say)
       |       |-> failed                     refused, not answered, or went wrong
       |       `-> effected                   seen before the answer came
       `-> expired | failed                   never sent

``effected``, ``no_effect``, ``expired`` and a refusal are final. A command that failed
only because no answer came may still be accepted late, or be seen to take effect.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias, assert_never


class CommandState(StrEnum):
    """Where a command is in its life."""

    QUEUED = "queued"
    SENT = "sent"
    ACCEPTED = "accepted"
    EFFECTED = "effected"
    NO_EFFECT = "no_effect"
    FAILED = "failed"
    EXPIRED = "expired"


TIMEOUT: Final = "timeout"
DISCONNECTED: Final = "disconnected"
RESTARTED: Final = "gateway_restarted"
UNANSWERED: Final = frozenset({TIMEOUT, DISCONNECTED, RESTARTED})
"""Reasons of failures after which the station may have acted all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a command has come; all times are site times.

    Attributes:
        reason: Stable word for why it is where it is; empty while all is well.
        detail: One sentence, or the station's own words.
        is_late: It was accepted after it had been given up.
        deadline_at: A queued command is not sent from then on.
        effect_by: Until when an effect is waited for; ``None``: for none, or not yet.
        ended_at: When it reached a state that it will (normally) not leave.
    """

    state: CommandState
    reason: str = ""
    detail: str = ""
    is_late: bool = False
    deadline_at: datetime | None = None
    sent_at: datetime | None = None
    answered_at: datetime | None = None
    effect_by: datetime | None = None
    ended_at: datetime | None = None

    @property
    def may_take_effect(self) -> bool:
        """Whether an effect seen now would change anything."""
        return self.state in {CommandState.SENT, CommandState.ACCEPTED} or (
            self.is_unanswered
        )

    @property
    def is_unanswered(self) -> bool:
        """Given up without an answer: it may come late."""
        return self.state is CommandState.FAILED and self.reason in UNANSWERED


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """It is handed to the connection."""

    at: datetime
    effect_by: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """The connection closed before it left: it waits again."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The station said yes.

    Attributes:
        is_done: Its word is all the effect there is.
        effect_by: Until when the effect is waited for; ``None``: it is scheduled.
        word: The station's word where it is not plain acceptance.
    """

    at: datetime
    is_done: bool
    effect_by: datetime | None = None
    word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The station said no, or nothing; or it could not be sent at all."""

    at: datetime
    reason: str
    detail: str = ""
    was_answered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectSeen:
    """A fact shows that it was done."""

    at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectFailed:
    """The station began and reported that it went wrong."""

    at: datetime
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectDue:
    """What was scheduled is due: its effect is waited for from now on."""

    effect_by: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectMissing:
    """The time for an effect is over.

    Attributes:
        is_proven: False where nothing could have shown it: acceptance stands.
    """

    at: datetime
    detail: str = ""
    is_proven: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """It shall not be sent any more: ``deadline``, ``withdrawn`` or ``replaced``."""

    at: datetime
    reason: str


Change: TypeAlias = (
    Sent
    | NotSent
    | Accepted
    | Failed
    | EffectSeen
    | EffectFailed
    | EffectDue
    | EffectMissing
    | Dropped
)

NEXT: Final[dict[CommandState, frozenset[CommandState]]] = {
    CommandState.QUEUED: frozenset(
        {CommandState.SENT, CommandState.EXPIRED, CommandState.FAILED}
    ),
    CommandState.SENT: frozenset(
        {
            CommandState.QUEUED,
            CommandState.ACCEPTED,
            CommandState.EFFECTED,
            CommandState.FAILED,
        }
    ),
    CommandState.ACCEPTED: frozenset(
        {CommandState.EFFECTED, CommandState.NO_EFFECT, CommandState.FAILED}
    ),
    CommandState.FAILED: frozenset({CommandState.ACCEPTED, CommandState.EFFECTED}),
    CommandState.EFFECTED: frozenset(),
    CommandState.NO_EFFECT: frozenset(),
    CommandState.EXPIRED: frozenset(),
}
"""Every move there is; out of ``failed`` only where no answer had come."""


def apply(progress: Progress, change: Change) -> Progress:
    """Take one step; a change that does not fit the state changes nothing."""
    state = progress.state
    match change:
        case Sent():
            if state is not CommandState.QUEUED:
                return progress
            return replace(
                progress,
                state=CommandState.SENT,
                sent_at=change.at,
                effect_by=change.effect_by,
            )
        case NotSent():
            if state is not CommandState.SENT:
                return progress
            return replace(
                progress, state=CommandState.QUEUED, sent_at=None, effect_by=None
            )
        case Dropped():
            if state is not CommandState.QUEUED:
                return progress
            return _ended(
                progress, CommandState.EXPIRED, change.at, reason=change.reason
            )
        case Accepted():
            return _accepted(progress, change)
        case Failed():
            return _failed(progress, change)
        case EffectSeen() | EffectFailed() | EffectDue() | EffectMissing():
            return _effect(progress, change)
        case _:
            assert_never(change)


def _accepted(progress: Progress, change: Accepted) -> Progress:
    if progress.state is CommandState.EFFECTED and progress.answered_at is None:
        return replace(progress, answered_at=change.at)
    if progress.state is not CommandState.SENT and not progress.is_unanswered:
        return progress
    accepted = replace(
        progress,
        state=CommandState.ACCEPTED,
        reason="",
        detail=change.word,
        is_late=progress.is_unanswered,
        answered_at=change.at,
        effect_by=change.effect_by,
        ended_at=None,
    )
    if change.is_done:
        return _ended(
            accepted, CommandState.EFFECTED, change.at, detail=accepted.detail
        )
    return accepted


def _failed(progress: Progress, change: Failed) -> Progress:
    answered_at = change.at if change.was_answered else None
    is_open = progress.state in {CommandState.QUEUED, CommandState.SENT}
    is_late_answer = progress.is_unanswered and change.was_answered
    if not (is_open or is_late_answer):
        return progress
    effect_by = None if change.reason not in UNANSWERED else progress.effect_by
    failed = _ended(
        progress,
        CommandState.FAILED,
        change.at,
        reason=change.reason,
        detail=change.detail,
    )
    return replace(
        failed,
        is_late=is_late_answer,
        answered_at=answered_at,
        effect_by=effect_by,
    )


def _effect(
    progress: Progress, change: EffectSeen | EffectFailed | EffectDue | EffectMissing
) -> Progress:
    is_accepted = progress.state is CommandState.ACCEPTED
    match change:
        case EffectSeen() if progress.may_take_effect:
            return _ended(
                progress, CommandState.EFFECTED, change.at, detail=change.detail
            )
        case EffectFailed() if progress.may_take_effect:
            return _ended(
                progress,
                CommandState.FAILED,
                change.at,
                reason="went_wrong",
                detail=change.detail,
            )
        case EffectDue() if is_accepted and progress.effect_by is None:
            return replace(progress, effect_by=change.effect_by)
        case EffectMissing() if is_accepted and change.is_proven:
            return _ended(
                progress,
                CommandState.NO_EFFECT,
                change.at,
                reason="no_effect",
                detail=change.detail,
            )
        case EffectMissing() if is_accepted:
            return replace(
                progress,
                reason="not_observable",
                detail=change.detail,
                effect_by=None,
                ended_at=change.at,
            )
        case EffectMissing() if progress.is_unanswered:
            return replace(progress, effect_by=None)
        case _:
            return progress


def _ended(
    progress: Progress,
    state: CommandState,
    at: datetime,
    *,
    reason: str = "",
    detail: str = "",
) -> Progress:
    return replace(
        progress,
        state=state,
        reason=reason,
        detail=detail,
        ended_at=at,
        effect_by=None,
    )
