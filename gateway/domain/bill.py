"""The bill of a session: what the one pricing fold makes of its registers.

How it prices is told in `gateway.domain.account`, how it rounds in
`gateway.domain.tally`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from gateway.domain.account import Account, Part, join
from gateway.domain.tally import Line, Total, rounded_minor
from gateway.domain.tariff import Segment, Tariff, TariffError, utc_text
from gateway.domain.tariff_terms import Component, Dimension
from gateway.domain.thinning import (
    RegisterPoint,
    around_changes,
    around_edges,
    in_order,
)

__all__ = ["RegisterPoint", "rounded_minor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a session costs.

    Attributes:
        parts: Contiguous, in order; their energies add up to ``energy_milliwh``.
        lines: Volumes by price, with what steps add.
        total: The amount, rounded once.
        is_plain: The tariff only prices energy, tax included.
        is_interpolated: Some register at a price edge was estimated between samples.
    """

    tariff_id: str
    tariff_sha256: str
    currency: str
    minor_digits: int
    register_start_milliwh: int
    register_end_milliwh: int
    parts: tuple[Part, ...]
    lines: tuple[Line, ...]
    total: Total
    is_plain: bool
    is_interpolated: bool

    @property
    def energy_milliwh(self) -> int:
        """Difference of the registers."""
        return self.register_end_milliwh - self.register_start_milliwh

    @property
    def amount_minor(self) -> int:
        """What the driver pays, in minor units."""
        return self.total.amount_minor

    @property
    def amount_text(self) -> str:
        """The amount in major units, as ``12.34``."""
        return amount_text(self.amount_minor, self.minor_digits)

    @property
    def exact(self) -> Fraction:
        """The amount in major units, not rounded at all."""
        return self.total.gross

    @property
    def prices_time(self) -> bool:
        """Whether time made a price."""
        times = {Dimension.TIME, Dimension.PARKING_TIME}
        return any(one.component.dimension in times for one in self.lines)

    def to_json(self) -> dict[str, object]:
        """The bill as it is stored, hashed and shown.

        Where a tariff does more than price energy, parts name the lines that apply to
        them, and the lines say what was used and billed at each price.
        """
        document: dict[str, object] = {
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
        return document if self.is_plain else {**document, **self._full()}

    def _full(self) -> Mapping[str, object]:
        numbers = {line.component: index for index, line in enumerate(self.lines)}
        return {
            "parts": [_part_json(part, numbers) for part in self.parts],
            "lines": [line.to_json() for line in self.lines],
            "net_minor": self.total.net_minor,
            "vat_minor": self.total.vat_minor,
            "limit": None if self.total.limit is None else self.total.limit.value,
        }


def price(tariff: Tariff, registers: Sequence[RegisterPoint]) -> Bill:
    """Price a session from its first register to its last.

    The order of ``registers``, and whether some come twice, does not matter.

    Args:
        tariff: The terms.
        registers: At least one; equal instants are allowed.

    Raises:
        TariffError: No registers, or no price for some moment.
        ValueError: The register runs backwards: the session must not be priced.
    """
    points = in_order(registers)
    if not points:
        raise TariffError("registers", "there are none")
    segments = tariff.segments(points[0].at, points[-1].at)
    account = Account.opening(tariff, points[0], keeps_parts=True)
    parts: list[Part] = []
    for point in _needed(account, points, segments):
        before, account = account, account.to(point, segments)
        _collect(parts, before, account)
    before, account = account, account.closed(segments)
    _collect(parts, before, account)
    return Bill(
        tariff_id=tariff.id,
        tariff_sha256=tariff.sha256,
        currency=tariff.currency,
        minor_digits=tariff.minor_digits,
        register_start_milliwh=points[0].register_milliwh,
        register_end_milliwh=points[-1].register_milliwh,
        parts=tuple(parts),
        lines=account.tally.stepped(),
        total=account.total,
        is_plain=tariff.is_plain,
        is_interpolated=account.is_interpolated,
    )


def amount_text(amount_minor: int, minor_digits: int) -> str:
    """Minor units in major ones, as ``12.34``."""
    return str(Decimal(amount_minor).scaleb(-minor_digits))


def _needed(
    account: Account, points: Sequence[RegisterPoint], segments: Sequence[Segment]
) -> Sequence[RegisterPoint]:
    """The registers that make the price; where power does, that is all of them."""
    rules = account.rules
    if rules.has_power:
        return points
    zero = account.begun.register_milliwh
    edges = sorted(account.edges(segments))
    thresholds = [zero + milliwh for milliwh in rules.milliwh]
    thin = around_changes if rules.needs_state else around_edges
    return thin(points, edges, thresholds)


def _collect(parts: list[Part], before: Account, after: Account) -> None:
    """Take what a step added, if it was one."""
    if after is not before:
        for part in after.parts:
            join(parts, part)


def _part_json(part: Part, numbers: Mapping[Component, int]) -> dict[str, object]:
    document: dict[str, object] = {
        "from": utc_text(part.start),
        "to": utc_text(part.end),
        "energy_milliwh": part.energy_milliwh,
        "price_micro_per_kwh": part.price_micro_per_kwh,
        "lines": [numbers[component] for component in part.components],
    }
    if part.is_parked is not None:
        document["is_parked"] = part.is_parked
    if part.power_w is not None:
        document["power_w"] = part.power_w
    return document
