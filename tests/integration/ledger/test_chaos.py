"""Histories of crashes, reorganisations and lost answers: all ends on chain, once."""

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from ledger.settle import SettlementWay
from tests.support.ledger_chaos import ViolationError, live_through
from tests.support.ledger_mutants import MUTANTS, Patch, credits_not_set_aside

MUTANT_SEEDS = 20


def seeds() -> range:
    """The seeds of the suite, or those that a soak asks for."""
    first, _, last = os.environ.get("WATTPROOF_LEDGER_SEEDS", "0-19").partition("-")
    return range(int(first), int(last or first) + 1)


@pytest.fixture(scope="module")
def totals() -> Iterator[Counter[str]]:
    """What happened in all histories; shown at the end of a soak (``-s``)."""
    counted: Counter[str] = Counter()
    yield counted
    for name, count in sorted(counted.items()):
        print(f"{name}: {count}")  # noqa: T201  # the figures of a soak


@pytest.mark.parametrize("seed", seeds())
def test_a_history_of_faults_ends_with_all_on_the_chain_once(
    seed: int, totals: Counter[str]
) -> None:
    world = live_through(seed)
    totals.update(world.counts)
    totals["histories"] += 1
    assert world.counts["transactions"] > 0


@pytest.mark.parametrize("seed", seeds()[::5])
def test_a_history_with_keys_at_a_service_that_fails_ends_as_well(
    seed: int, totals: Counter[str]
) -> None:
    world = live_through(seed, with_signer_faults=True)
    totals.update(world.counts)
    totals["histories"] += 1
    assert totals["signatures that failed"] > 0  # a history may be spared


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_a_broken_outbox_is_noticed(
    mutant: Patch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an invariant: what the outbox itself refuses counts for nothing."""
    mutant(monkeypatch)
    with pytest.raises(ViolationError):
        live_through_many(MUTANT_SEEDS)


def test_a_credit_that_a_lost_window_netted_is_not_netted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    credits_not_set_aside(monkeypatch)
    with pytest.raises(ViolationError):
        live_through_many(MUTANT_SEEDS, way=SettlementWay.NETTED)


def live_through_many(count: int, way: SettlementWay | None = None) -> None:
    for seed in range(count):
        live_through(seed, way=way, forgives_errors=True)
