"""Bills of tariffs that ask for more than energy, in numbers one can follow."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from gateway.domain.bill import Bill, RegisterPoint, price
from gateway.domain.ocpi import parse_tariff
from gateway.domain.rates import Rates, next_rates, rates_at
from gateway.domain.running_cost import opening
from gateway.domain.tally import Limit
from gateway.domain.tariff import Tariff
from gateway.domain.tariff_terms import Dimension, TariffError, Use
from ledger import pricing

START = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
KWH = 1_000_000


def component(kind: str, amount: object, **more: object) -> dict[str, object]:
    return {"type": kind, "price": amount, **more}


def element(
    *components: dict[str, object], **restrictions: object
) -> dict[str, object]:
    made: dict[str, object] = {"price_components": list(components)}
    return made | ({"restrictions": restrictions} if restrictions else {})


def tariff(*elements: dict[str, object], **more: object) -> Tariff:
    return parse_tariff(
        {"id": "T", "elements": list(elements), **more},
        currency="EUR",
        timezone="Europe/Berlin",
    )


def bill(terms: Tariff, *points: tuple[float, float]) -> Bill:
    """Of minutes after the start and kWh."""
    return price(
        terms,
        [
            RegisterPoint(
                at=START + timedelta(minutes=minutes), register_milliwh=int(kwh * KWH)
            )
            for minutes, kwh in points
        ],
    )


def billed(one: Bill, dimension: Dimension) -> int:
    return sum(
        line.billed for line in one.lines if line.component.dimension is dimension
    )


ENERGY = component("ENERGY", "0.40")
ALL = element(
    ENERGY,
    component("TIME", 1.2),
    component("PARKING_TIME", 6),
    component("FLAT", "0.50"),
)


def test_energy_time_parking_and_a_fee_are_told_apart() -> None:
    one = bill(tariff(ALL), (0, 0), (30, 5), (60, 10), (90, 10))
    assert billed(one, Dimension.TIME) == 3_600 * 10**6
    assert billed(one, Dimension.PARKING_TIME) == 1_800 * 10**6
    assert one.amount_minor == 400 + 120 + 300 + 50
    assert [part.is_parked for part in one.parts] == [False, True]


def test_a_register_of_coarse_steps_makes_no_parking_out_of_charging() -> None:
    points = [(float(minute), minute // 10 * 0.3) for minute in range(61)]
    one = bill(tariff(ALL), *points)
    assert billed(one, Dimension.PARKING_TIME) == 0


@pytest.mark.parametrize(
    ("still_until", "charged", "parked"), [(89, 105, 0), (90, 45, 60), (480, 45, 450)]
)
def test_an_hour_of_standing_still_is_parking_though_the_car_goes_on_after_it(
    still_until: int, charged: int, parked: int
) -> None:
    """A car that is full at night and heats in the morning did not charge all night."""
    points = [(0, 0), (30, 5), *((m, 5) for m in (45, 60, still_until))]
    one = bill(tariff(ALL), *points, (still_until + 15, 8))
    minute = 60 * 10**6
    if parked == 0:
        charged = still_until + 15
    assert billed(one, Dimension.TIME) == charged * minute
    assert billed(one, Dimension.PARKING_TIME) == parked * minute
    assert pricing.check_bill(one.to_json(), tariff(ALL).snapshot()) == ()


def test_power_counts_from_the_end_of_a_standstill() -> None:
    """3 kWh in a quarter of an hour are 12 kW, however long the car stood before."""
    terms = tariff(
        element(component("ENERGY", "0.80"), min_power=10),
        element(component("ENERGY", "0.40")),
    )
    one = bill(terms, (0, 0), (60, 5), (180, 5), (195, 8))
    assert one.amount_minor == 200 + 240


def test_vat_comes_on_top_and_net_and_tax_make_the_amount() -> None:
    terms = tariff(
        element(component("ENERGY", "0.333", vat=19), component("FLAT", 1, vat="7.5"))
    )
    one = bill(terms, (0, 0), (60, 3.7))
    assert one.total.net_minor == 223
    assert one.amount_minor == 254
    assert one.total.vat_minor == 31


def test_a_price_above_a_threshold_of_energy_counts_from_there() -> None:
    terms = tariff(
        element(component("ENERGY", "0.30"), max_kwh=5),
        element(component("ENERGY", "0.60"), min_kwh=5),
    )
    one = bill(terms, (0, 0), (60, 8))
    assert [part.energy_milliwh for part in one.parts] == [5 * KWH, 3 * KWH]
    assert one.parts[1].start == START + timedelta(minutes=37, seconds=30)
    assert one.amount_minor == 150 + 180


def test_parking_costs_after_a_grace_of_the_duration_only() -> None:
    terms = tariff(
        element(ENERGY), element(component("PARKING_TIME", 6), min_duration=7200)
    )
    one = bill(terms, (0, 0), (60, 10), (180, 10))
    assert one.amount_minor == 400 + 600


def test_fast_charging_costs_more() -> None:
    terms = tariff(
        element(component("ENERGY", "0.80"), min_power=50),
        element(component("ENERGY", "0.40")),
    )
    one = bill(terms, (0, 0), (6, 5), (12, 9.999), (18, 10))
    assert one.amount_minor == 400 + 200
    assert [part.power_w for part in one.parts] == [50_000, 49_990, 10]


def test_a_date_has_a_price_of_its_own() -> None:
    holiday = element(
        component("ENERGY", 1), start_date="2026-06-02", end_date="2026-06-03"
    )
    terms = tariff(holiday, element(ENERGY))
    one = bill(terms, (0, 0), (14 * 60, 14), (38 * 60, 38), (40 * 60, 40))
    assert [part.energy_milliwh // KWH for part in one.parts] == [14, 24, 2]
    assert one.amount_minor == 16 * 40 + 24 * 100


@pytest.mark.parametrize(
    ("step_size", "seconds"), [(0, 3_661), (1, 3_661), (60, 3_720), (3_600, 7_200)]
)
def test_time_is_rounded_up_to_its_step_once(step_size: int, seconds: int) -> None:
    terms = tariff(element(ENERGY, component("TIME", 1, step_size=step_size)))
    one = bill(terms, (0, 0), (30, 5), (61 + 1 / 60, 10))
    assert billed(one, Dimension.TIME) == seconds * 10**6


def test_with_parking_only_the_parking_is_rounded_up() -> None:
    terms = tariff(
        element(
            ENERGY,
            component("TIME", 1, step_size=3_600),
            component("PARKING_TIME", 1, step_size=3_600),
        )
    )
    one = bill(terms, (0, 0), (10, 2), (15, 2))
    assert billed(one, Dimension.TIME) == 600 * 10**6
    assert billed(one, Dimension.PARKING_TIME) == 3_600 * 10**6


def test_energy_is_rounded_up_at_the_price_used_last() -> None:
    terms = tariff(
        element(component("ENERGY", "0.20", step_size=500), max_kwh=1),
        element(component("ENERGY", "0.40", step_size=1_000)),
    )
    one = bill(terms, (0, 0), (60, 1.5))
    assert [line.uplift for line in one.lines] == [0, 500_000]
    assert one.amount_minor == 20 + 40
    assert one.energy_milliwh == 1_500_000


@pytest.mark.parametrize(
    ("kwh", "amount_minor", "limit"),
    [(0, 100, Limit.MIN_PRICE), (5, 200, None), (50, 800, Limit.MAX_PRICE)],
)
def test_a_total_stays_between_the_least_and_the_most(
    kwh: float, amount_minor: int, limit: Limit | None
) -> None:
    terms = tariff(
        element(ENERGY), min_price={"excl_vat": 1}, max_price={"excl_vat": 8}
    )
    one = bill(terms, (0, 0), (60, kwh))
    assert (one.amount_minor, one.total.limit) == (amount_minor, limit)


@pytest.mark.parametrize(("excl_vat", "limit"), [("1", None), ("3", Limit.MIN_PRICE)])
def test_a_bound_that_makes_the_amount_without_tax_alone_is_told(
    excl_vat: str, limit: Limit | None
) -> None:
    least = {"excl_vat": excl_vat, "incl_vat": "3"}
    terms = tariff(element(component("ENERGY", "0.50", vat=50)), min_price=least)
    one = bill(terms, (0, 0), (60, 5))
    assert one.amount_minor == 375
    assert one.total.net_minor == (250 if limit is None else 300)
    assert one.total.limit == limit


def test_a_tariff_of_time_alone_gives_energy_away_and_says_so() -> None:
    one = bill(tariff(element(component("TIME", 2))), (0, 0), (60, 10))
    assert one.amount_minor == 200
    assert one.energy_milliwh == 10 * KWH


def test_energy_beyond_the_last_threshold_is_not_free() -> None:
    with pytest.raises(TariffError, match="no price of energy"):
        bill(tariff(element(ENERGY, max_kwh=5)), (0, 0), (60, 8))


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"min_price": {"excl_vat": 9}, "max_price": {"excl_vat": 8}}, "min_price"),
        ({"min_price": {"excl_vat": 2, "incl_vat": 1}}, "min_price.incl_vat"),
        ({"min_price": 3}, "min_price"),
        ({"max_price": {"incl_vat": 3}}, "max_price.excl_vat"),
        ({"start_date_time": "2026-01-01T00:00:00Z"}, "start_date_time"),
    ],
)
def test_bounds_that_mean_nothing_are_refused(
    more: dict[str, object], field: str
) -> None:
    with pytest.raises(TariffError) as caught:
        tariff(element(ENERGY), **more)
    assert caught.value.field == field


def test_a_bound_without_its_tax_is_refused_where_prices_have_tax() -> None:
    with pytest.raises(TariffError) as caught:
        tariff(element(component("ENERGY", 1, vat=19)), max_price={"excl_vat": 8})
    assert caught.value.field == "max_price.incl_vat"


def test_a_display_is_told_the_prices_of_now_and_when_others_hold() -> None:
    terms = tariff(
        element(component("PARKING_TIME", 3), start_time="22:00", end_time="06:00"),
        element(
            component("ENERGY", "0.40", vat=25),
            component("TIME", "1.5"),
            component("FLAT", 1),
        ),
    )
    day = Rates(per_kwh=Decimal("0.5"), per_hour=Decimal("1.5"), flat=Decimal(1))
    assert rates_at(terms, START, Use()) == day
    later = next_rates(terms, START, Use())
    assert later is not None
    assert later.at == datetime(2026, 6, 1, 20, 0, tzinfo=UTC)
    assert later.rates == replace(day, idle_per_hour=Decimal(3))
    assert next_rates(tariff(element(ENERGY)), START, Use()) is None


def test_a_session_is_idle_once_its_register_stands_still() -> None:
    def at(minutes: int, kwh: int) -> RegisterPoint:
        return RegisterPoint(
            at=START + timedelta(minutes=minutes), register_milliwh=kwh * KWH
        )

    cost = opening(tariff(ALL), at(0, 0)).to(at(15, 3))
    assert not cost.is_parked
    assert cost.to(at(20, 3)).is_parked
    assert not cost.to(at(20, 3)).to(at(30, 6)).is_parked
    plain = opening(tariff(element(ENERGY)), at(0, 0))
    assert not plain.to(at(15, 3)).to(at(20, 3)).is_parked
