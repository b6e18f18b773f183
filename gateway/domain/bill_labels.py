"""The words on a bill for people, and why a bill is held, in plain ones for drivers.

The languages are those of `gateway.domain.tariff_text`; further ones are in
`gateway.domain.bill_labels_more`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.reasons import REASONS, About
from gateway.domain.tariff_terms import Dimension


class Why(StrEnum):
    """What a held bill waits for, as far as it matters to a driver."""

    METER = "meter"
    CLOCK = "clock"
    PRICE = "price"
    SIGNATURE = "signature"
    CHECK = "check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """All texts of a bill in one language.

    Attributes:
        language: RFC 5646.
        money_back: What ``held`` means for the driver's money.
        left: What a bill comes to after money was given back.
        verify: How to check a receipt; ``{command}`` is what to type.
        tax_free: Of a bill whose tariff names no rate.
        parts: The table of times; ``{n}`` of ``parts_left`` are not shown.
    """

    language: str
    decimal_point: str
    bill: str
    proposal: str
    settled: str
    held: str
    waived: str
    decided: str
    money_back: str
    no_bill: str
    why_held: str
    why: Mapping[Why, str]
    issuer: str
    site: str
    charger: str
    card: str
    number: str
    date: str
    started: str
    ended: str
    energy: str
    total: str
    draft: str
    used: str
    dimensions: Mapping[Dimension, str]
    what: str
    volume: str
    price: str
    net: str
    vat: str
    vat_rate: str
    gross: str
    steps: str
    least: str
    most: str
    rounding: str
    sum: str
    taxes: str
    tax_free: str
    meter: str
    meter_serial: str
    unknown: str
    time: str
    register: str
    at_start: str
    at_end: str
    parts: str
    since: str
    until: str
    parts_left: str
    signature: str
    signed: str
    unsigned: str
    unverified: str
    failed: str
    checking: str
    tariff: str
    tariff_hash: str
    bill_hash: str
    leaf: str
    chain: str
    waiting: str
    verify: str
    receipt: str
    verify_here: str
    credits_: str
    reason: str
    amount: str
    left: str
    per_kwh: str
    per_hour: str
    per_session: str
    pdf: str
    back: str
    page: str


ENGLISH = Labels(
    language="en",
    decimal_point=".",
    bill="Bill",
    proposal="Draft of a bill",
    settled="Final bill",
    held="Not final: this bill is being checked",
    waived="Waived: there is nothing to pay",
    decided="The operator has looked at it: {reason}",
    money_back="Nothing is owed until a person has looked at it. The amounts below are"
    " a draft and may change.",
    no_bill="No amount can be worked out yet.",
    why_held="Why it is checked",
    why={
        Why.METER: "The meter readings of this session are incomplete or unusual.",
        Why.CLOCK: "The clock of the charger was not right, and prices depend on it.",
        Why.PRICE: "The price of this session is not clear.",
        Why.SIGNATURE: "The meter's signature could not be confirmed.",
        Why.CHECK: "Something about this session needs a person's look.",
    },
    issuer="Issued by",
    site="Site",
    charger="Charger",
    card="Card",
    number="Number",
    date="Date",
    started="Charging began",
    ended="Charging ended",
    energy="Energy",
    total="To pay",
    draft="Draft amount",
    used="What was used",
    dimensions={
        Dimension.ENERGY: "Energy",
        Dimension.TIME: "Time while charging",
        Dimension.PARKING_TIME: "Time without charging",
        Dimension.FLAT: "Fee per session",
    },
    what="For",
    volume="Amount",
    price="Price",
    net="Net",
    vat="VAT",
    vat_rate="VAT rate",
    gross="Gross",
    steps="used: {volume}",
    least="Up to the least price of the tariff",
    most="Down to the most that the tariff asks",
    rounding="Rounding",
    sum="Total",
    taxes="VAT by rate",
    tax_free="VAT is included in the price; the tariff does not name its rate.",
    meter="Meter",
    meter_serial="Serial number",
    unknown="not known",
    time="Time",
    register="Register",
    at_start="at the start",
    at_end="at the end",
    parts="Energy by price and time",
    since="From",
    until="Until",
    parts_left="{n} more in the bill as JSON",
    signature="Signature of the meter",
    signed="Start and end are signed by the meter; the signatures were checked with the"
    " key that the operator read off the meter.",
    unsigned="This meter sends no signatures.",
    unverified="There are signed readings, but they could not be confirmed.",
    failed="The signed readings did not pass the check.",
    checking="How to check this bill",
    tariff="Tariff",
    tariff_hash="SHA-256 of the terms",
    bill_hash="SHA-256 of the bill",
    leaf="Settlement, leaf of the log",
    chain="On the chain",
    waiting="waits to be anchored",
    verify="Save the receipt and run {command}. It recomputes the bill from the sealed"
    " registers and needs neither us nor the operator.",
    receipt="Receipt to keep and check",
    verify_here="Verify this bill",
    credits_="Money back",
    reason="Reason",
    amount="Amount",
    left="Left to pay",
    per_kwh="{price} per kWh",
    per_hour="{price} per hour",
    per_session="{price} per session",
    pdf="Save as PDF",
    back="Back",
    page="Page {n} of {all}",
)

_CLOCK = frozenset({"clock_offset", "clock_unset", "ends_before_start"})
_CHECK = frozenset({"ended_by_operator", "matched_by_place", "superseded"})
_METER = frozenset({"no_registers", "register_against_power", "register_unit"})


def why(word: str) -> Why:
    """What a reason (`gateway.domain.reasons`) means to a driver."""
    if word in _CLOCK:
        return Why.CLOCK
    if word in _METER:
        return Why.METER
    known = REASONS.get(word)
    if known is None or word in _CHECK:
        return Why.CHECK
    return _ABOUT[known.about]


_ABOUT = {
    About.ENERGY: Why.METER,
    About.SIGNATURE: Why.SIGNATURE,
    About.BILL: Why.PRICE,
}
