"""The life of a command, for any order of what can happen to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.command import (
    NEXT,
    UNANSWERED,
    Accepted,
    Change,
    CommandState,
    Dropped,
    EffectDue,
    EffectFailed,
    EffectMissing,
    EffectSeen,
    Failed,
    NotSent,
    Progress,
    Sent,
    apply,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
FINAL = frozenset(state for state, nexts in NEXT.items() if not nexts)

moments = st.integers(0, 10_000).map(lambda s: START + timedelta(seconds=s))
reasons = st.sampled_from([*sorted(UNANSWERED), "refused", "not_valid"])
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(Sent, at=moments, effect_by=st.none() | moments),
    st.builds(NotSent, at=moments),
    st.builds(Accepted, at=moments, is_done=st.booleans(), effect_by=st.none()),
    st.builds(Accepted, at=moments, is_done=st.just(False), effect_by=moments),
    st.builds(Failed, at=moments, reason=reasons, was_answered=st.booleans()),
    st.builds(EffectSeen, at=moments),
    st.builds(EffectFailed, at=moments, detail=st.just("UploadFailure")),
    st.builds(EffectDue, effect_by=moments),
    st.builds(EffectMissing, at=moments, is_proven=st.booleans()),
    st.builds(Dropped, at=moments, reason=st.sampled_from(["deadline", "withdrawn"])),
)
QUEUED = Progress(state=CommandState.QUEUED)


def lives(start: Progress, steps: list[Change]) -> list[Progress]:
    found = [start]
    for step in steps:
        found.append(apply(found[-1], step))
    return found


@given(st.lists(changes, max_size=12))
def test_only_legal_moves_are_made_whatever_happens(steps: list[Change]) -> None:
    for before, after in pairwise(lives(QUEUED, steps)):
        moved = before.state is not after.state
        assert not moved or after.state in NEXT[before.state]
        assert after.is_late <= (after.answered_at is not None)
        is_over = after.state in FINAL | {CommandState.FAILED}
        assert not is_over or after.ended_at is not None


@given(st.lists(changes, max_size=12), changes)
def test_what_is_final_stays(steps: list[Change], last: Change) -> None:
    end = lives(QUEUED, steps)[-1]
    is_refused = end.state is CommandState.FAILED and end.reason not in UNANSWERED
    if end.state not in FINAL and not is_refused:
        return
    after = apply(end, last)
    assert (after.state, after.reason, after.ended_at) == (
        end.state,
        end.reason,
        end.ended_at,
    )


@given(st.lists(changes, max_size=12), changes)
def test_a_step_taken_twice_is_taken_once(steps: list[Change], last: Change) -> None:
    once = apply(lives(QUEUED, steps)[-1], last)
    twice = apply(once, last)
    assert twice.state is once.state or isinstance(last, Accepted | Failed)
    if isinstance(last, EffectSeen | EffectMissing | Dropped | Sent):
        assert twice == once


@given(st.sampled_from(sorted(UNANSWERED)), moments, st.booleans())
def test_a_late_acceptance_revives_only_what_was_not_answered(
    reason: str, at: datetime, is_done: bool
) -> None:
    sent = apply(QUEUED, Sent(at=START))
    lost = apply(sent, Failed(at=START, reason=reason))
    late = apply(lost, Accepted(at=at, is_done=is_done))
    assert late.is_late
    assert late.reason == ""
    assert late.state is (CommandState.EFFECTED if is_done else CommandState.ACCEPTED)
    refused = apply(sent, Failed(at=START, reason="refused", was_answered=True))
    assert apply(refused, Accepted(at=at, is_done=is_done)) == refused


def test_an_effect_before_the_answer_counts_and_the_answer_is_still_noted() -> None:
    sent = apply(QUEUED, Sent(at=START, effect_by=START + timedelta(minutes=1)))
    seen = apply(sent, EffectSeen(at=START))
    assert seen.state is CommandState.EFFECTED
    answered = apply(seen, Accepted(at=START, is_done=False))
    assert answered == replace(seen, answered_at=START)


def test_what_never_left_waits_again_and_may_expire() -> None:
    sent = apply(QUEUED, Sent(at=START))
    again = apply(sent, NotSent(at=START))
    assert again == QUEUED
    gone = apply(again, Dropped(at=START, reason="deadline"))
    assert (gone.state, gone.reason) == (CommandState.EXPIRED, "deadline")


def test_an_effect_that_nothing_can_show_leaves_the_acceptance() -> None:
    sent = apply(QUEUED, Sent(at=START))
    accepted = apply(sent, Accepted(at=START, is_done=False, effect_by=START))
    over = apply(accepted, EffectMissing(at=START, is_proven=False))
    assert (over.state, over.reason) == (CommandState.ACCEPTED, "not_observable")
