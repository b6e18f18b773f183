"""The one function that prices energy, and the bill it makes.

An amount is rounded once, half-even, from the exact sum of its parts; whole
milliwatt-hours are shared between price periods so that the parts add up exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

from gateway.domain.tariff import MICRO, Segment, Tariff, TariffError, utc_text

MILLIWH_PER_KWH: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class RegisterPoint:
    """The import register at an instant."""

    at: datetime
    register_milliwh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BillPart:
    """Energy of one stretch of constant price."""

    start: datetime
    end: datetime
    energy_milliwh: int
    price_micro_per_kwh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a session costs.

    Attributes:
        parts: Contiguous, in order; their energies add up to ``energy_milliwh``.
        amount_minor: Minor units, rounded once, half-even.
        is_interpolated: Some register at a price edge was estimated between samples.
    """

    tariff_id: str
    tariff_sha256: str
    currency: str
    minor_digits: int
    register_start_milliwh: int
    register_end_milliwh: int
    parts: tuple[BillPart, ...]
    amount_minor: int
    is_interpolated: bool

    @property
    def energy_milliwh(self) -> int:
        """Difference of the registers."""
        return self.register_end_milliwh - self.register_start_milliwh

    @property
    def amount_text(self) -> str:
        """The amount in major units, as ``12.34``."""
        return amount_text(self.amount_minor, self.minor_digits)

    @property
    def exact(self) -> int:
        """Milliwatt-hours times price in millionths per kWh: not rounded at all."""
        return sum(
            part.energy_milliwh * part.price_micro_per_kwh for part in self.parts
        )

    def to_json(self) -> dict[str, object]:
        """The bill as it is stored, hashed and shown."""
        return {
            "currency": self.currency,
            "minor_digits": self.minor_digits,
            "parts": [
                {
                    "from": utc_text(part.start),
                    "to": utc_text(part.end),
                    "energy_milliwh": part.energy_milliwh,
                    "price_micro_per_kwh": part.price_micro_per_kwh,
                }
                for part in self.parts
            ],
            "energy_milliwh": self.energy_milliwh,
            "amount_minor": self.amount_minor,
            "tariff_id": self.tariff_id,
            "tariff_sha256": self.tariff_sha256,
            "register_start_milliwh": self.register_start_milliwh,
            "register_end_milliwh": self.register_end_milliwh,
        }


def price(tariff: Tariff, registers: Sequence[RegisterPoint]) -> Bill:
    """Price the energy between the first and the last register.

    Registers at price edges are interpolated between the samples that bracket them;
    whole milliwatt-hours are shared by largest remainder (the earlier part on a tie),
    so the parts add up exactly. The order of ``registers`` does not matter.

    Args:
        tariff: The terms.
        registers: At least one; equal instants are allowed.

    Raises:
        TariffError: No registers, or no price for some moment.
        ValueError: The register runs backwards: the session must not be priced.
    """
    points = sorted(registers)
    if not points:
        raise TariffError("registers", "there are none")
    if any(b.register_milliwh < a.register_milliwh for a, b in pairwise(points)):
        raise ValueError("the register runs backwards")
    segments = tariff.segments(points[0].at, points[-1].at)
    energies = [0] * len(segments)
    is_interpolated = False
    first = 0
    for before, after in pairwise(points):
        energy = after.register_milliwh - before.register_milliwh
        while first < len(segments) - 1 and segments[first].end <= before.at:
            first += 1
        shares = _shares(segments, first, before.at, after.at)
        is_interpolated |= energy > 0 and len(shares) > 1
        for index, part in zip(
            range(first, first + len(shares)), _split(energy, shares), strict=True
        ):
            energies[index] += part
    exact = sum(
        energy * segment.price_micro_per_kwh
        for energy, segment in zip(energies, segments, strict=True)
    )
    return Bill(
        tariff_id=tariff.id,
        tariff_sha256=tariff.sha256,
        currency=tariff.currency,
        minor_digits=tariff.minor_digits,
        register_start_milliwh=points[0].register_milliwh,
        register_end_milliwh=points[-1].register_milliwh,
        parts=tuple(
            BillPart(
                start=segment.start,
                end=segment.end,
                energy_milliwh=energy,
                price_micro_per_kwh=segment.price_micro_per_kwh,
            )
            for energy, segment in zip(energies, segments, strict=True)
        ),
        amount_minor=rounded_minor(exact, tariff.minor_digits),
        is_interpolated=is_interpolated,
    )


def rounded_minor(exact: int, minor_digits: int) -> int:
    """The one place where money is rounded: half-even, to minor units.

    Args:
        exact: Milliwatt-hours times price in millionths per kWh.
        minor_digits: Of the currency, 2 for cents.
    """
    return round(Fraction(exact * 10**minor_digits, MILLIWH_PER_KWH * MICRO))


def amount_text(amount_minor: int, minor_digits: int) -> str:
    """Minor units in major ones, as ``12.34``."""
    return str(Decimal(amount_minor).scaleb(-minor_digits))


def _shares(
    segments: Sequence[Segment], first: int, start: datetime, end: datetime
) -> list[int]:
    """Microseconds of [start, end] in the segments from ``first`` on; one at least."""
    shares: list[int] = []
    for segment in segments[first:]:
        overlap = min(end, segment.end) - max(start, segment.start)
        shares.append(max(0, overlap // timedelta(microseconds=1)))
        if segment.end >= end:
            break
    return shares


def _split(energy_milliwh: int, shares: Sequence[int]) -> list[int]:
    """Share whole units in proportion, exactly, by largest remainder."""
    total = sum(shares)
    if total == 0:
        return [energy_milliwh, *([0] * (len(shares) - 1))]
    parts = [energy_milliwh * share // total for share in shares]
    missing = energy_milliwh - sum(parts)
    by_remainder = sorted(
        range(len(shares)), key=lambda i: (-(energy_milliwh * shares[i] % total), i)
    )
    for index in by_remainder[:missing]:
        parts[index] += 1
    return parts
