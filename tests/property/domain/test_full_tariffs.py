"""Tariffs with all that OCPI has: sums, order, the running cost, and the verifier."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.bill import Bill, RegisterPoint, price
from gateway.domain.ocpi import parse_tariff, to_ocpi
from gateway.domain.running_cost import opening
from gateway.domain.tariff import DAYS, Tariff
from gateway.domain.tariff_terms import Dimension
from ledger import pricing, record

CLOCK = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.sampled_from([0, 30]))
DATE = st.sampled_from(["2026-03-27", "2026-03-28", "2026-03-29", "2026-03-30"])
PRICE = st.integers(0, 3_000_000).map(lambda micro: f"{micro / 10**6:.6f}")
KINDS = [one.value for one in Dimension]


@st.composite
def components(draw: st.DrawFn, kinds: list[str]) -> list[dict[str, object]]:
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4, unique=True))
    found: list[dict[str, object]] = []
    for kind in chosen:
        one: dict[str, object] = {"type": kind, "price": draw(PRICE)}
        if draw(st.booleans()):
            one["vat"] = draw(st.sampled_from(["0", "7.7", "19", "20"]))
        one["step_size"] = draw(st.sampled_from([0, 1, 60, 300, 1_000]))
        found.append(one)
    return found


def bounds(
    low: str, high: str, values: st.SearchStrategy[int]
) -> st.SearchStrategy[dict[str, int]]:
    pair = st.tuples(values, values).filter(lambda two: two[0] != two[1])
    both = pair.map(lambda two: {low: min(two), high: max(two)})
    return st.one_of(
        st.just({}),
        values.map(lambda v: {low: v}),
        values.map(lambda v: {high: v}),
        both,
    )


@st.composite
def restrictions(draw: st.DrawFn) -> dict[str, object]:
    found: dict[str, object] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "start_time": CLOCK,
                "end_time": CLOCK,
                "start_date": DATE,
                "day_of_week": st.lists(st.sampled_from(DAYS), max_size=4),
            },
        )
    )
    for low, high, values in (
        ("min_kwh", "max_kwh", st.integers(1, 60)),
        ("min_power", "max_power", st.integers(1, 30)),
        ("min_duration", "max_duration", st.integers(1, 50_000)),
    ):
        if draw(st.integers(0, 2)) == 0:
            found |= draw(bounds(low, high, values))
    return found


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    elements = [
        {
            "price_components": draw(components(KINDS)),
            "restrictions": draw(restrictions()),
        }
        for _ in range(draw(st.integers(0, 4)))
    ]
    fallback = [
        {"type": "ENERGY", "price": draw(PRICE), "step_size": 1},
        *draw(components(["TIME", "PARKING_TIME", "FLAT"])),
    ]
    table: dict[str, object] = {
        "id": "T",
        "elements": [*elements, {"price_components": fallback}],
    }
    if draw(st.booleans()):
        table["min_price"] = {"excl_vat": 2, "incl_vat": draw(st.integers(2, 5))}
    if draw(st.booleans()):
        table["max_price"] = {"excl_vat": 20, "incl_vat": draw(st.integers(20, 90))}
    return parse_tariff(
        table,
        currency=draw(st.sampled_from(["EUR", "JPY", "KWD"])),
        timezone=draw(st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "UTC"])),
    )


@st.composite
def registers(draw: st.DrawFn) -> list[RegisterPoint]:
    at = datetime(2026, 3, 28, 19, 30, tzinfo=UTC)
    value = draw(st.integers(0, 10**12))
    points = [RegisterPoint(at=at, register_milliwh=value)]
    for _ in range(draw(st.integers(0, 12))):
        at += timedelta(seconds=draw(st.sampled_from([0, 1, 60, 900, 1800, 7200])))
        value += draw(
            st.sampled_from([0, 0, 1, 999, 250_000, 2_750_000])
            | st.integers(0, 2 * 10**7)
        )
        points.append(RegisterPoint(at=at, register_milliwh=value))
    return points


def volume(bill: Bill, dimension: Dimension) -> int:
    return sum(one.volume for one in bill.lines if one.component.dimension is dimension)


@given(tariffs(), registers())
def test_parts_and_lines_add_up_to_the_whole(
    tariff: Tariff, points: list[RegisterPoint]
) -> None:
    bill = price(tariff, points)
    assert sum(part.energy_milliwh for part in bill.parts) == bill.energy_milliwh
    assert volume(bill, Dimension.ENERGY) == bill.energy_milliwh
    assert (bill.parts[0].start, bill.parts[-1].end) == (points[0].at, points[-1].at)
    pairs = zip(bill.parts, bill.parts[1:], strict=False)
    assert all(before.end == after.start for before, after in pairs)
    span_us = (points[-1].at - points[0].at) // timedelta(microseconds=1)
    timed = volume(bill, Dimension.TIME) + volume(bill, Dimension.PARKING_TIME)
    assert 0 <= timed <= span_us
    assert volume(bill, Dimension.FLAT) <= 1
    assert bill.total.net_minor + bill.total.vat_minor == bill.amount_minor
    assert bill.total.vat_minor >= 0
    lines = sum((one.component.gross(one.billed) for one in bill.lines), Fraction(0))
    net = sum((one.component.net(one.billed) for one in bill.lines), Fraction(0))
    if bill.total.limit is None:
        assert lines == bill.exact
        assert bill.total.net_minor == round(net * 10**bill.minor_digits)
    assert abs(bill.exact * 10**bill.minor_digits - bill.amount_minor) <= Fraction(1, 2)


@given(tariffs(), registers(), st.randoms(use_true_random=False))
def test_neither_the_order_nor_the_number_of_copies_matters(
    tariff: Tariff, points: list[RegisterPoint], rng: Random
) -> None:
    shuffled = points * 2
    rng.shuffle(shuffled)
    assert price(tariff, shuffled).to_json() == price(tariff, points).to_json()


@given(tariffs(), registers())
def test_the_running_cost_ends_as_the_bill(
    tariff: Tariff, points: list[RegisterPoint]
) -> None:
    cost = opening(tariff, points[0])
    for point in points[1:]:
        cost = cost.to(point)
        assert cost.text
    bill = price(tariff, points)
    assert cost.exact == bill.exact
    assert cost.text == bill.amount_text


@given(tariffs(), registers())
def test_the_verifier_finds_nothing_wrong(
    tariff: Tariff, points: list[RegisterPoint]
) -> None:
    bill = price(tariff, points).to_json()
    assert pricing.check_bill(bill, tariff.snapshot()) == ()
    assert record.sha256_json(tariff.snapshot()) == bill["tariff_sha256"]


@given(tariffs(), registers(), st.integers(-3, 3).filter(bool))
def test_the_verifier_sees_what_is_off(
    tariff: Tariff, points: list[RegisterPoint], off: int
) -> None:
    bill = price(tariff, points).to_json()
    for name in ("amount_minor", "net_minor", "vat_minor", "energy_milliwh"):
        if name in bill:
            wrong = {**bill, name: int(str(bill[name])) + off}
            assert pricing.check_bill(wrong, tariff.snapshot())
    if "limit" in bill:
        wrong = {**bill, "limit": "max_price" if bill["limit"] is None else None}
        assert pricing.check_bill(wrong, tariff.snapshot())
    lines = bill.get("lines")
    if isinstance(lines, list) and lines:
        more = [{**lines[0], "billed": lines[0]["billed"] + off}, *lines[1:]]
        assert pricing.check_bill({**bill, "lines": more}, tariff.snapshot())


@given(tariffs())
def test_a_tariff_survives_its_snapshot_and_its_ocpi_form(tariff: Tariff) -> None:
    assert Tariff.from_snapshot(tariff.snapshot()) == tariff
    again = parse_tariff(
        to_ocpi(tariff), currency=tariff.currency, timezone=tariff.timezone
    )
    assert again == tariff


@given(tariffs(), registers())
def test_the_verifier_sees_parking_that_the_average_contradicts(
    tariff: Tariff, points: list[RegisterPoint]
) -> None:
    """Of a row of parts, all of them."""
    bill = price(tariff, points).to_json()
    parts = bill["parts"]
    assert isinstance(parts, list)
    said = {part.get("is_parked") for part in parts} - {None}
    if len(said) == 1:
        for start, end in pairwise([*_turns(parts), len(parts)]):
            wrong = [
                {**part, "is_parked": not part["is_parked"]}
                if start <= index < end and "is_parked" in part
                else part
                for index, part in enumerate(parts)
            ]
            if wrong != parts:
                found = pricing.check_bill({**bill, "parts": wrong}, tariff.snapshot())
                assert found


def _turns(parts: list[dict[str, object]]) -> list[int]:
    """Where a row of parts begins that say the same of parking."""
    return [
        index
        for index, part in enumerate(parts)
        if index == 0 or part.get("is_parked") is not parts[index - 1].get("is_parked")
    ]


@given(tariffs(), registers())
def test_the_verifier_sees_prices_of_another_part(
    tariff: Tariff, points: list[RegisterPoint]
) -> None:
    bill = price(tariff, points).to_json()
    parts = bill["parts"]
    assert isinstance(parts, list)
    for before, after in pairwise(parts):
        if before.get("lines") != after.get("lines"):
            wrong = [
                {**one, "lines": before["lines"]} if one is after else one
                for one in parts
            ]
            assert pricing.check_bill({**bill, "parts": wrong}, tariff.snapshot())
