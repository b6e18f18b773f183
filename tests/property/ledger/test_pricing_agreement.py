"""Two pricings, written apart, agree; and the verifier's one is exact."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import ocpi
from gateway.domain.bill import RegisterPoint, price
from gateway.domain.tariff import Tariff
from ledger import pricing
from ledger.record import sha256_json

ZONES = ("Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "UTC")
clocks = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    windows = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "price_micro_per_kwh": st.integers(0, 2_000_000),
                    "start_time": st.none() | clocks,
                    "end_time": st.none() | clocks,
                    "day_of_week": st.lists(
                        st.sampled_from(pricing.WEEKDAYS), max_size=3, unique=True
                    ),
                }
            ),
            max_size=3,
        )
    )
    always: dict[str, object] = {
        "price_micro_per_kwh": draw(st.integers(0, 2_000_000)),
        "start_time": None,
        "end_time": None,
        "day_of_week": [],
    }
    currency = draw(st.sampled_from(["EUR", "JPY", "KWD"]))
    return Tariff.from_snapshot(
        {
            "tariff_id": "t",
            "currency": currency,
            "minor_digits": pricing.MINOR_DIGITS.get(currency, 2),
            "timezone": draw(st.sampled_from(ZONES)),
            "elements": [*windows, always],
        }
    )


@st.composite
def registers(draw: st.DrawFn) -> list[RegisterPoint]:
    # Around both clock changes of 2026 in Europe, and an ordinary week.
    start = draw(
        st.sampled_from(
            [
                datetime(2026, 3, 28, 20, tzinfo=UTC),
                datetime(2026, 10, 24, 20, tzinfo=UTC),
                datetime(2026, 7, 6, 3, tzinfo=UTC),
            ]
        )
    )
    at, value = start, draw(st.integers(0, 10**12))
    points = [RegisterPoint(at=at, register_milliwh=value)]
    for _ in range(draw(st.integers(0, 6))):
        at += timedelta(seconds=draw(st.integers(0, 20_000)))
        value += draw(st.integers(0, 50_000_000))
        points.append(RegisterPoint(at=at, register_milliwh=value))
    return points


@given(tariffs(), registers())
def test_the_verifier_agrees_with_every_bill_of_the_gateway(
    tariff: Tariff, points: list[RegisterPoint]
) -> None:
    bill = price(tariff, points).to_json()
    snapshot = tariff.snapshot()
    assert pricing.check_bill(bill, snapshot) == ()
    assert bill["tariff_sha256"] == sha256_json(snapshot)


@given(tariffs(), registers(), st.integers(1, 10**6))
def test_a_bill_that_is_off_by_any_amount_is_noticed(
    tariff: Tariff, points: list[RegisterPoint], off: int
) -> None:
    bill = price(tariff, points).to_json()
    snapshot = tariff.snapshot()
    for name in ("amount_minor", "energy_milliwh", "register_end_milliwh"):
        value = bill[name]
        assert isinstance(value, int)
        assert pricing.check_bill({**bill, name: value + off}, snapshot)
        assert pricing.check_bill({**bill, name: value - off}, snapshot)
    parts = bill["parts"]
    assert isinstance(parts, list)
    dearer = [{**part, "price_micro_per_kwh": 3_000_000} for part in parts]
    assert pricing.check_bill({**bill, "parts": dearer}, snapshot)


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 3 * 10**6)), max_size=8),
    st.integers(0, 3),
)
def test_the_amount_is_the_exact_sum_rounded_once_half_to_even(
    parts: list[tuple[int, int]], digits: int
) -> None:
    exact = Fraction(sum(e * p for e, p in parts) * 10**digits, 10**12)
    decimal = Decimal(exact.numerator) / Decimal(exact.denominator)
    assert pricing.amount_minor(parts, digits) == round(exact)
    assert pricing.amount_minor(parts, digits) == int(
        decimal.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    )


def test_gateway_and_verifier_know_the_same_minor_units() -> None:
    assert pricing.MINOR_DIGITS == ocpi.MINOR_DIGITS
    assert {pricing.MINOR_DIGITS[code] for code in ("UGX", "XPF", "DJF")} == {0}
    assert pricing.MINOR_DIGITS["TND"] == 3
    assert "EUR" not in pricing.MINOR_DIGITS


def test_half_a_cent_goes_to_the_even_cent() -> None:
    half_cent_milliwh = 5_000
    price_micro = 1_000_000
    assert pricing.amount_minor([(half_cent_milliwh, price_micro)], 2) == 0
    assert pricing.amount_minor([(3 * half_cent_milliwh, price_micro)], 2) == 2
