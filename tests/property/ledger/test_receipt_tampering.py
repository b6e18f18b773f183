"""Whatever is changed in a receipt, the verifier says false."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.check_names import ON_CHAIN, RECEIPT
from ledger.errors import BundleError
from ledger.verify import Verdict, VerificationReport, verify
from tests.support.ledger_site import make_site

Path_ = tuple[str | int, ...]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("site")
    site = make_site(folder)
    site.add_noise(21)
    site.add_session("s-1")
    site.add_noise(5)
    summary = site.worker.step(site.clock.at)
    assert (summary.backlog, summary.settlements_mined) == (0, 1)
    return site.receipt("s-1"), folder / "chain.db"


def judge(receipt: object, chain_path: Path | None) -> VerificationReport:
    return verify(json.dumps(receipt).encode(), chain_path=chain_path)


def leaves(value: object, at: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*at, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*at, index))
    else:
        yield at, value


def replaced(receipt: dict[str, Any], at: Path_, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(receipt)
    place: Any = changed
    for step in at[:-1]:
        place = place[step]
    place[at[-1]] = value
    return changed


def flipped(value: Any, position: int) -> object:
    if isinstance(value, str):
        if not value:
            return "x"
        position %= len(value)
        old = value[position]
        new = "1" if old == "0" else "0" if old.isalnum() else "x"
        if old == "x":
            new = "0"
        return value[:position] + new + value[position + 1 :]
    if isinstance(value, int):
        return value + 10 ** (position % 6)
    return 1


def is_refused(receipt: object, chain_path: Path) -> bool:
    try:
        return judge(receipt, chain_path).verdict is Verdict.FALSE
    except BundleError:
        return True


def test_an_honest_receipt_is_self_witnessed_and_never_more(
    honest: tuple[dict[str, Any], Path],
) -> None:
    receipt, chain_path = honest
    report = judge(receipt, chain_path)
    verdicts = {check.name: check.verdict for check in report.checks}
    assert {verdicts[name] for name in RECEIPT[:9]} == {Verdict.TRUE}
    for name in (*ON_CHAIN, "settlement-on-chain"):
        assert verdicts[name] is Verdict.SELF_WITNESSED
    assert report.exit_code() == 0
    assert report.exit_code(strict=True) == 1


def test_without_a_chain_the_head_is_unchecked(
    honest: tuple[dict[str, Any], Path],
) -> None:
    report = judge(honest[0], None)
    assert report.verdict is Verdict.UNCHECKED
    assert report.exit_code() == 0


def test_every_single_field_counts(honest: tuple[dict[str, Any], Path]) -> None:
    receipt, chain_path = honest
    unnoticed = [
        at
        for at, value in leaves(receipt)
        if at[0] != "leaves" or at[1] in {0, 3, len(receipt["leaves"]) - 1}
        if not is_refused(replaced(receipt, at, flipped(value, 0)), chain_path)
    ]
    assert unnoticed == []


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_changed_character_or_digit_is_false(
    honest: tuple[dict[str, Any], Path], data: st.DataObject
) -> None:
    receipt, chain_path = honest
    at, value = data.draw(st.sampled_from(sorted(leaves(receipt), key=repr)))
    position = data.draw(st.integers(0, 500))
    assert is_refused(replaced(receipt, at, flipped(value, position)), chain_path)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_leaves_cannot_be_dropped_doubled_or_swapped(
    honest: tuple[dict[str, Any], Path], data: st.DataObject
) -> None:
    receipt, chain_path = honest
    items = receipt["leaves"]
    index = data.draw(st.integers(0, len(items) - 1))
    other = data.draw(st.integers(0, len(items) - 1).filter(lambda i: i != index))
    swapped = [*items]
    swapped[index], swapped[other] = items[other], items[index]
    for forged in (
        items[:index] + items[index + 1 :],
        [*items[:index], items[index], *items[index:]],
        swapped,
    ):
        assert is_refused({**receipt, "leaves": forged}, chain_path)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_hostile_bytes_give_a_verdict_or_one_clear_error(
    honest: tuple[dict[str, Any], Path], data: st.DataObject
) -> None:
    junk = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
        ),
        max_leaves=5,
    )
    receipt = honest[0]
    places: list[Path_] = [(key,) for key in receipt]
    places += [at[:-1] for at, _ in leaves(receipt) if len(at) > 1]
    places += [at for at, _ in leaves(receipt)]
    at = data.draw(st.sampled_from(sorted(set(places), key=repr)))
    forged = replaced(receipt, at, data.draw(junk))
    try:
        verdict = judge(forged, None).verdict
    except BundleError as error:
        verdict = Verdict.FALSE
        lines = str(error).splitlines()
    else:
        lines = ["a verdict"]
    assert len(lines) == 1
    is_bound = at[0] in {"session", "bill", "tariff", "leaves"}
    as_text = [json.dumps(item, sort_keys=True) for item in (forged, receipt)]
    if is_bound and as_text[0] != as_text[1]:
        assert verdict is Verdict.FALSE
