"""Which meters sign, on which curve, and how their records travel."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sim_chargers.faults import SIGNING

CURVES: Final = (
    "secp256r1",
    "secp256k1",
    "secp384r1",
    "brainpool256r1",
    "brainpool384r1",
)
CARRIERS: Final = ("plain", "base64", "hex", "json", "xml", "transfer")
FORMATS: Final = ("SR", "MR")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSpec:
    """The signing meters of a station; each of its EVSEs has one.

    Attributes:
        curve: Of the key, as OCMF spells it.
        carrier: What a record travels in: as it is, in digits, in a JSON object or XML
            with its key, or in a message of the vendor's own after the transaction.
        format: ``SR``: begin and end are records of their own; ``MR``: the end holds
            both readings.
        is_on: Whether it signs before anybody has told it to.
    """

    curve: str = "secp256r1"
    carrier: str = "json"
    format: str = "SR"
    is_on: bool = True

    def __post_init__(self) -> None:
        """Refuse words that mean nothing."""
        for name, value, choices in (
            ("curve", self.curve, CURVES),
            ("carrier", self.carrier, CARRIERS),
            ("format", self.format, FORMATS),
        ):
            if value not in choices:
                known = ", ".join(choices)
                raise ValueError(f"{name}: {value!r} is none of {known}")


def parse(tree: object) -> MeterSpec:
    """Read the table of a scenario.

    Raises:
        ValueError: It is no table, or a member is wrong.
    """
    if not isinstance(tree, Mapping):
        raise ValueError("a table is needed")  # noqa: TRY004 - what the scenario says, not a type
    left = dict(tree)
    default = MeterSpec()
    made = MeterSpec(
        curve=str(left.pop("curve", default.curve)),
        carrier=str(left.pop("carrier", default.carrier)),
        format=str(left.pop("format", default.format)),
    )
    is_on = left.pop("signs", True)
    if not isinstance(is_on, bool):
        raise ValueError("signs: true or false is needed")  # noqa: TRY004 - likewise
    for name in sorted(left):
        raise ValueError(f"{name}: no such setting")
    return replace(made, is_on=is_on)


def assign(requests: Iterable[str], station_ids: Iterable[str]) -> dict[str, MeterSpec]:
    """Read ``CARRIER[:CURVE[:FORMAT]][@STATION]`` requests of the command line.

    Returns:
        The meters of each station that has signing ones.

    Raises:
        ValueError: A word or a station does not exist.
    """
    known = list(station_ids)
    found: dict[str, MeterSpec] = {}
    for request in requests:
        words, _, target = request.partition("@")
        if target and target not in known:
            raise ValueError(f"--meter {request}: no station {target!r}")
        carrier, _, rest = words.partition(":")
        curve, _, form = rest.partition(":")
        spec = MeterSpec(carrier=carrier, curve=curve or CURVES[0], format=form or "SR")
        found |= dict.fromkeys([target] if target else known, spec)
    return found


def meter_of(spec: MeterSpec | None, faults: frozenset[str]) -> MeterSpec | None:
    """The meters of a station; one with a fault of signing has one that signs."""
    return MeterSpec() if spec is None and faults & SIGNING else spec
