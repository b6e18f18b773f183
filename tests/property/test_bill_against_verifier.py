"""Every bill of the gateway satisfies the verifier, which was written apart from it."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.bill import RegisterPoint, price
from gateway.domain.ocpi import parse_tariff
from gateway.domain.tariff import DAYS, Tariff
from ledger import pricing, record

CLOCK = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
PRICE = st.integers(0, 3_000_000).map(lambda micro: f"{micro / 10**6:.6f}")
ELEMENT = st.fixed_dictionaries(
    {
        "price_components": st.tuples(
            st.fixed_dictionaries({"type": st.just("ENERGY"), "price": PRICE})
        ).map(list)
    },
    optional={
        "restrictions": st.fixed_dictionaries(
            {},
            optional={
                "start_time": CLOCK,
                "end_time": CLOCK,
                "day_of_week": st.lists(st.sampled_from(DAYS), max_size=4),
            },
        )
    },
)
FALLBACK = {"price_components": [{"type": "ENERGY", "price": "0.35"}]}
# Around the clock changes of 2025 in Europe, and one on the southern half.
STARTS = st.sampled_from(
    [
        datetime(2025, 3, 29, 20, tzinfo=UTC),
        datetime(2025, 10, 25, 20, tzinfo=UTC),
        datetime(2025, 4, 5, 10, tzinfo=UTC),
        datetime(2025, 6, 30, 12, tzinfo=UTC),
    ]
)
ZONES = st.sampled_from(
    ["Europe/Berlin", "UTC", "Australia/Lord_Howe", "Asia/Kolkata", "America/New_York"]
)


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    elements = [*draw(st.lists(ELEMENT, max_size=4)), FALLBACK]
    return parse_tariff(
        {"id": "T", "elements": elements},
        currency=draw(st.sampled_from(["EUR", "JPY", "KWD", "USD"])),
        timezone=draw(ZONES),
    )


@st.composite
def registers(draw: st.DrawFn) -> list[RegisterPoint]:
    start = draw(STARTS)
    steps = draw(
        st.lists(
            st.tuples(st.integers(1, 10 * 3_600_000), st.integers(0, 10**8)),
            min_size=1,
            max_size=8,
        )
    )
    moment, register = start, draw(st.integers(0, 10**14))
    points = [RegisterPoint(at=moment, register_milliwh=register)]
    for milliseconds, energy in steps:
        moment += timedelta(milliseconds=milliseconds)
        register += energy
        points.append(RegisterPoint(at=moment, register_milliwh=register))
    return points


@given(tariffs(), registers())
def test_the_verifier_finds_nothing_wrong_with_a_bill(
    tariff: Tariff, points: list[RegisterPoint]
) -> None:
    bill = price(tariff, points).to_json()
    assert pricing.check_bill(bill, tariff.snapshot()) == ()
    assert record.sha256_json(tariff.snapshot()) == bill["tariff_sha256"]


@given(tariffs(), registers(), st.integers(-3, 3).filter(bool))
def test_the_verifier_sees_one_unit_too_many(
    tariff: Tariff, points: list[RegisterPoint], error: int
) -> None:
    bill = price(tariff, points).to_json()
    amount = bill["amount_minor"]
    assert isinstance(amount, int)
    assert pricing.check_bill(
        {**bill, "amount_minor": amount + error}, tariff.snapshot()
    )


@given(tariffs(), STARTS, st.integers(0, 72 * 60))
def test_both_find_the_same_price_at_any_minute(
    tariff: Tariff, start: datetime, minutes: int
) -> None:
    moment = start + timedelta(minutes=minutes)
    assert tariff.price_at(moment) == pricing.price_at(tariff.snapshot(), moment)
