"""The amounts of a bill, line by line, so that a person can add them up.

Nothing is priced here: volumes and prices are those of the bill's document. Lines are
shown with six decimals; what bounds of the tariff add or take away is a line of its
own, and so is what rounds the sum of these to the bill: they add up exactly. The rows
of the tax table are whole minor units that add up to the bill.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from gateway.domain.tally import ZERO, rounded_minor
from gateway.domain.tariff import Tariff
from gateway.domain.tariff_terms import MICRO, Component, Dimension

DIGITS: Final = 6
"""Decimals of the amounts that people see before the one rounding."""
VOLUME_UNITS: Final = {
    Dimension.ENERGY: ("mWh", "kWh"),
    Dimension.TIME: ("us", "h"),
    Dimension.PARKING_TIME: ("us", "h"),
    Dimension.FLAT: ("session", "session"),
}
"""What a volume is counted in, and what its price is per."""
_PER: Final = {
    Dimension.ENERGY: 1_000_000,
    Dimension.TIME: 3_600_000_000,
    Dimension.PARKING_TIME: 3_600_000_000,
    Dimension.FLAT: 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Exact, in major units of the currency."""

    net: Fraction
    gross: Fraction

    @property
    def vat(self) -> Fraction:
        """The tax."""
        return self.gross - self.net

    @property
    def shown(self) -> "Amount":
        """With as many decimals as people see; the tax is still the difference."""
        scale = 10**DIGITS
        return Amount(
            net=Fraction(rounded_minor(self.net, DIGITS), scale),
            gross=Fraction(rounded_minor(self.gross, DIGITS), scale),
        )

    def plus(self, other: "Amount") -> "Amount":
        """The sum of both."""
        return Amount(net=self.net + other.net, gross=self.gross + other.gross)

    def less(self, other: "Amount") -> "Amount":
        """The difference of both."""
        return Amount(net=self.net - other.net, gross=self.gross - other.gross)


NOTHING: Final = Amount(net=ZERO, gross=ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one price makes.

    Attributes:
        volume: Used; mWh, microseconds or sessions.
        billed: With what steps of the tariff add.
    """

    component: Component
    volume: int
    billed: int

    @property
    def amount(self) -> Amount:
        """Exact."""
        return Amount(
            net=self.component.net(self.billed), gross=self.component.gross(self.billed)
        )

    def in_units(self, volume: int) -> Fraction:
        """A volume in what its price is per: kWh, hours, sessions."""
        return Fraction(volume, _PER[self.component.dimension])


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRow:
    """All of one rate, in minor units.

    Attributes:
        vat_ppm: The rate in millionths; ``None``: the prices include tax, and the
            tariff does not say how much.
        is_bound: The row is what a bound of the tariff adds, whose tax is no rate's.
    """

    vat_ppm: int | None
    net_minor: int
    vat_minor: int
    is_bound: bool = False

    @property
    def gross_minor(self) -> int:
        """Both."""
        return self.net_minor + self.vat_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """A bill added up.

    Attributes:
        bound: What ``min_price`` or ``max_price`` of the tariff adds; may be negative.
        rounding: What is left to the amounts of the bill: with it the shown amounts of
            charges and bound add up to them.
    """

    currency: str
    minor_digits: int
    charges: tuple[Charge, ...]
    bound: Amount
    rounding: Amount
    net_minor: int
    amount_minor: int
    taxes: tuple[TaxRow, ...]

    @property
    def vat_minor(self) -> int:
        """The tax of all rates."""
        return self.amount_minor - self.net_minor


def sums(document: Mapping[str, Any], tariff: Tariff) -> Sums:
    """Add up a bill.

    Args:
        document: As it is stored, see `gateway.domain.bill.Bill.to_json`.
        tariff: The terms it was made with.

    Raises:
        KeyError: It is no bill.
    """
    digits = int(document["minor_digits"])
    amount_minor = int(document["amount_minor"])
    net_minor = int(document.get("net_minor", amount_minor))
    found = charges(document)
    exact = shown = NOTHING
    for one in found:
        exact, shown = exact.plus(one.amount), shown.plus(one.amount.shown)
    bounded = _bounded(exact, tariff)
    bound = bounded.less(exact).shown
    scale = 10**digits
    billed = Amount(net=Fraction(net_minor, scale), gross=Fraction(amount_minor, scale))
    return Sums(
        currency=str(document["currency"]),
        minor_digits=digits,
        charges=found,
        bound=bound,
        rounding=billed.less(shown.plus(bound)),
        net_minor=net_minor,
        amount_minor=amount_minor,
        taxes=_tax_rows(
            _by_rate(found, exact, bounded), net_minor, amount_minor, digits
        ),
    )


def charges(document: Mapping[str, Any]) -> tuple[Charge, ...]:
    """The priced volumes of a bill's document, in its order."""
    if "lines" in document:
        return tuple(
            Charge(
                component=Component.from_json(row),
                volume=int(row["volume"]),
                billed=int(row["billed"]),
            )
            for row in document["lines"]
        )
    volumes: dict[int, int] = {}
    for part in document["parts"]:
        price_micro = int(part["price_micro_per_kwh"])
        before = volumes.get(price_micro, 0)
        volumes[price_micro] = before + int(part["energy_milliwh"])
    return tuple(
        Charge(
            component=Component(dimension=Dimension.ENERGY, price_micro=price_micro),
            volume=volume,
            billed=volume,
        )
        for price_micro, volume in volumes.items()
    )


def shown_digits(found: Sums) -> int:
    """How many decimals the finest amount of a bill has: with as many, all line up."""
    amounts = [
        found.bound,
        found.rounding,
        *(one.amount.shown for one in found.charges),
    ]
    cells = [int(cell * 10**DIGITS) for one in amounts for cell in (one.net, one.gross)]
    unused = next(n for n in range(DIGITS, -1, -1) if not any(c % 10**n for c in cells))
    return max(found.minor_digits, DIGITS - unused)


def decimal_text(exact: Fraction, least: int, most: int = DIGITS) -> str:
    """A number with a point: rounded to ``most`` decimals, at least ``least`` shown."""
    rounded = rounded_minor(exact, most)
    sign, digits = "-" if rounded < 0 else "", f"{abs(rounded):0{most + 1}d}"
    whole, decimals = digits[: len(digits) - most], digits[len(digits) - most :]
    kept = decimals.rstrip("0").ljust(least, "0")
    return f"{sign}{whole}.{kept}" if kept else f"{sign}{whole}"


def minor_text(minor: int, minor_digits: int) -> str:
    """Minor units in major ones, as ``-0.05``; never in powers of ten."""
    return f"{Decimal(minor).scaleb(-minor_digits):f}"


def percent_text(vat_ppm: int) -> str:
    """A rate in percent, as ``19`` or ``5.5``."""
    return decimal_text(Fraction(vat_ppm * 100, MICRO), 0)


def _bounded(exact: Amount, tariff: Tariff) -> Amount:
    """What the tariff's least and most price make of a sum; see `tally.Tally.total`."""
    net, gross = exact.net, exact.gross
    if tariff.min_price is not None:
        net = max(net, Fraction(tariff.min_price.excl_vat_micro, MICRO))
        gross = max(gross, Fraction(tariff.min_price.incl_vat_micro, MICRO))
    if tariff.max_price is not None:
        net = min(net, Fraction(tariff.max_price.excl_vat_micro, MICRO))
        gross = min(gross, Fraction(tariff.max_price.incl_vat_micro, MICRO))
    return Amount(net=net, gross=gross)


def _by_rate(
    found: Sequence[Charge], exact: Amount, bounded: Amount
) -> list[tuple[int | None, Amount, bool]]:
    """Rate, exact amount, and whether it is a bound, unless it agrees with the rate."""
    by_rate: dict[int | None, Amount] = {}
    for one in found:
        rate = one.component.vat_ppm
        by_rate[rate] = by_rate.get(rate, NOTHING).plus(one.amount)
    rows = [(rate, amount, False) for rate, amount in by_rate.items()]
    if bounded == exact:
        return rows
    more = bounded.less(exact)
    if len(rows) == 1:
        ((only, amount, _),) = rows
        whole = amount.plus(more)
        if whole.vat == whole.net * Fraction(only or 0, MICRO):
            return [(only, whole, False)]
    return [*rows, (None, more, True)]


def _tax_rows(
    rows: Sequence[tuple[int | None, Amount, bool]],
    net_minor: int,
    amount_minor: int,
    digits: int,
) -> tuple[TaxRow, ...]:
    """The rows in whole minor units that add up to the bill."""
    scale = 10**digits
    nets = _shared([amount.net * scale for _, amount, _ in rows], net_minor)
    vats = _shared(
        [amount.vat * scale for _, amount, _ in rows], amount_minor - net_minor
    )
    return tuple(
        TaxRow(vat_ppm=rate, net_minor=net, vat_minor=vat, is_bound=is_bound)
        for (rate, _, is_bound), net, vat in zip(rows, nets, vats, strict=True)
    )


def _shared(exact: Sequence[Fraction], total: int) -> list[int]:
    """Whole numbers that add up to a total, each as near to its share as can be."""
    given = [round(one) for one in exact]
    places = [index for index, one in enumerate(exact) if one] or list(
        range(len(exact))
    )
    while places and sum(given) != total:
        step = 1 if total > sum(given) else -1
        best = max(places, key=lambda index: step * (exact[index] - given[index]))
        given[best] += step
    return given
