"""A bill as texts in an order, for the page and the PDF alike: no markup, no layout.

What a driver gets leaves out who paid with which card and who released the bill: the
link to it may be passed on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.domain.bill_facts import BillFacts
from gateway.domain.bill_labels import Labels, why
from gateway.domain.bill_labels_more import labels
from gateway.domain.bill_sums import (
    NOTHING,
    Amount,
    Charge,
    Sums,
    TaxRow,
    decimal_text,
    minor_text,
    percent_text,
    shown_digits,
    sums,
)
from gateway.domain.bill_tables import PartTellers, Table, parts_table
from gateway.domain.bill_words import reason_text, verdict_text
from gateway.domain.signed_session import SignedVerdict
from gateway.domain.tariff_terms import Dimension

COMMAND: Final = "wattproof verify receipt.json"
_KWH: Final = 1_000_000
_SECOND_US: Final = 1_000_000
_TIMES: Final = frozenset({Dimension.TIME, Dimension.PARKING_TIME})


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A bill to read.

    Attributes:
        is_final: Else it must be unmistakable that it is not.
        state: That, in words.
        notes: What follows from it.
        reasons: Why it is held, or what was noted.
        dated_at: The document's own date: when it was decided.
        facts: Labels and values.
        total: What the amount is called and it, with its currency; ``None``: none can
            be worked out.
        checking: Labels and values for whoever checks it.
        now: Likewise, of what may still change; not on what is kept.
        verify: How to, in a sentence; empty where there is no receipt.
    """

    labels: Labels
    number: str
    is_final: bool
    title: str
    state: str
    notes: tuple[str, ...]
    reasons: tuple[str, ...]
    dated_at: datetime
    issuer: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    total: str | None
    tables: tuple[Table, ...]
    checking: tuple[tuple[str, str], ...]
    now: tuple[tuple[str, str], ...]
    verify: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """What stands on every bill of a site.

    Attributes:
        issuer: Lines with the operator's name, address and tax number.
    """

    site: str
    timezone: ZoneInfo
    issuer: tuple[str, ...] = ()


def paper(
    facts: BillFacts, head: Letterhead, *, language: str, is_for_driver: bool
) -> Paper:
    """The texts of a bill."""
    return _Writer(facts, head, labels(language), is_for_driver=is_for_driver).paper()


class _Writer:
    """Writes one bill in one language."""

    def __init__(
        self, facts: BillFacts, head: Letterhead, say: Labels, *, is_for_driver: bool
    ) -> None:
        self._facts = facts
        self._head = head
        self._say = say
        self._is_for_driver = is_for_driver
        self._sums: Sums | None = None
        if facts.document is not None and facts.tariff is not None:
            self._sums = sums(facts.document, facts.tariff)
        self._digits = 0 if self._sums is None else shown_digits(self._sums)

    def paper(self) -> Paper:
        """All of it."""
        facts, say = self._facts, self._say
        notes: tuple[str, ...] = ()
        state = {"settled": say.settled, "waived": say.waived}.get(facts.status)
        if not facts.is_final:
            notes = (say.money_back,) if self._sums is not None else (say.no_bill,)
        elif facts.decision is not None:
            notes = (say.decided.format(reason=facts.decision),)
        return Paper(
            labels=say,
            number=facts.session_id,
            is_final=facts.is_final,
            title=say.bill if facts.is_final else say.proposal,
            state=state or say.held,
            notes=notes,
            reasons=self._reasons(),
            dated_at=facts.decided_at,
            issuer=self._head.issuer,
            facts=tuple(self._session()),
            total=self._total(),
            tables=tuple(self._tables()),
            checking=tuple(self._checking()),
            now=tuple(self._now()),
            verify=say.verify.format(command=COMMAND) if facts.is_settled else "",
        )

    def _reasons(self) -> tuple[str, ...]:
        facts = self._facts
        if not self._is_for_driver:
            told = [reason_text(one) for one in facts.reasons]
            return (verdict_text(facts.verdict), *told)
        if facts.is_final:
            return ()
        words = [self._say.why[why(one)] for one in facts.reasons or ("",)]
        return tuple(dict.fromkeys(words))

    def _session(self) -> list[tuple[str, str]]:
        facts, say = self._facts, self._say
        found = [
            (say.number, str(facts.session_id)),
            (say.date, self._time(facts.decided_at)),
            (say.site, self._head.site),
            (say.charger, f"{facts.station_id} · {facts.evse_id}"),
            (say.started, self._time(facts.started_at)),
            (say.ended, self._time(facts.ended_at)),
        ]
        if not self._is_for_driver and facts.id_token is not None:
            found.append((say.card, facts.id_token))
        if facts.document is not None:
            energy = self._kwh(int(facts.document["energy_milliwh"]))
            found.append((say.energy, energy))
        return found

    def _total(self) -> str | None:
        found = self._sums
        if found is None:
            return None
        name, amount_minor = self._say.draft, found.amount_minor
        match self._facts.status:
            case "settled":
                credited_minor = self._facts.credited_minor
                name = self._say.left if credited_minor else self._say.total
                amount_minor -= credited_minor
            case "waived":
                name, amount_minor = self._say.total, 0
            case _:
                pass
        return f"{name}: {self._minor(amount_minor)} {found.currency}"

    def _tables(self) -> list[Table]:
        found: list[Table] = []
        if self._sums is not None:
            found.append(self._lines(self._sums))
            if _names_tax(self._sums):
                found.append(self._taxes(self._sums))
            if self._facts.credits_:
                found.append(self._credits(self._sums))
        found.append(self._registers())
        document = self._facts.document
        if document is not None and len(document["parts"]) > 1:
            found.append(self._parts(document["parts"]))
        return found

    def _lines(self, found: Sums) -> Table:
        say = self._say
        has_tax = _names_tax(found)
        foot = []
        if found.bound != NOTHING:
            word = say.least if found.bound.gross >= 0 else say.most
            foot.append(self._sum_row(word, found.bound, has_tax=has_tax))
        if found.rounding != NOTHING:
            foot.append(self._sum_row(say.rounding, found.rounding, has_tax=has_tax))
        amounts = (found.net_minor, found.vat_minor, found.amount_minor)
        net, vat, gross = (self._minor(one) for one in amounts)
        cells = (net, "", vat, gross) if has_tax else (gross,)
        foot.append((say.sum, "", "", *cells))
        taxed = (say.net, say.vat_rate, say.vat) if has_tax else ()
        rates = [one.component.vat_ppm for one in found.charges]
        return Table(
            title=f"{say.used} ({found.currency})",
            heads=(say.what, say.volume, say.price, *taxed, say.gross),
            rows=tuple(self._line(one, has_tax=has_tax) for one in found.charges),
            foot=tuple(foot),
            note=say.tax_free if None in rates else "",
        )

    def _line(self, charge: Charge, *, has_tax: bool) -> tuple[str, ...]:
        say, component = self._say, charge.component
        volume = self._volume(charge, charge.billed)
        if charge.billed != charge.volume:
            used = say.steps.format(volume=self._volume(charge, charge.volume))
            volume = f"{volume} ({used})"
        amount = charge.amount.shown
        rate = component.vat_ppm
        taxed = (
            self._exact(amount.net),
            "–" if rate is None else f"{self._point(percent_text(rate))} %",
            self._exact(amount.vat),
        )
        return (
            say.dimensions[component.dimension],
            volume,
            self._price(component.dimension, component.price_micro),
            *(taxed if has_tax else ()),
            self._exact(amount.gross),
        )

    def _sum_row(self, word: str, amount: Amount, *, has_tax: bool) -> tuple[str, ...]:
        net, vat, gross = map(self._exact, (amount.net, amount.vat, amount.gross))
        return (word, "", "", *((net, "", vat, gross) if has_tax else (gross,)))

    def _taxes(self, found: Sums) -> Table:
        say = self._say
        amounts = (found.net_minor, found.vat_minor, found.amount_minor)
        return Table(
            title=f"{say.taxes} ({found.currency})",
            heads=(say.vat_rate, say.net, say.vat, say.gross),
            rows=tuple(self._tax(one) for one in found.taxes),
            foot=((say.sum, *(self._minor(one) for one in amounts)),),
        )

    def _tax(self, row: TaxRow) -> tuple[str, ...]:
        rate = "–" if row.vat_ppm is None else f"{percent_text(row.vat_ppm)} %"
        if row.is_bound:
            rate = self._say.least if row.gross_minor >= 0 else self._say.most
        amounts = (row.net_minor, row.vat_minor, row.gross_minor)
        return (self._point(rate), *(self._minor(one) for one in amounts))

    def _credits(self, found: Sums) -> Table:
        say, facts = self._say, self._facts
        left_minor = found.amount_minor - facts.credited_minor
        return Table(
            title=f"{say.credits_} ({found.currency})",
            heads=(say.number, say.date, say.reason, say.amount),
            rows=tuple(
                (
                    one.name,
                    self._time(one.decided_at),
                    one.reason,
                    self._minor(-one.amount_minor),
                )
                for one in facts.credits_
            ),
            foot=((say.left, "", "", self._minor(left_minor)),),
            n_text=3,
        )

    def _registers(self) -> Table:
        say, facts = self._say, self._facts
        found = [(one.at, one.milliwh) for one in facts.registers]
        if facts.document is not None and facts.started_at and facts.ended_at:
            found = [
                (facts.started_at, int(facts.document["register_start_milliwh"])),
                (facts.ended_at, int(facts.document["register_end_milliwh"])),
            ]
        edges = {say.at_start: found[0], say.at_end: found[-1]} if found else {}
        return Table(
            title=say.meter,
            heads=(say.register, say.time, "kWh"),
            rows=tuple(
                (word, self._time(at), self._number(Fraction(milliwh, _KWH)))
                for word, (at, milliwh) in edges.items()
            ),
            n_text=2,
            note=f"{say.meter_serial}: {facts.meter_serial or say.unknown}",
        )

    def _parts(self, parts: Sequence[Mapping[str, Any]]) -> Table:
        tellers = PartTellers(
            time=lambda text: self._time(datetime.fromisoformat(text)),
            energy=self._kwh,
            price=lambda price_micro: self._price(Dimension.ENERGY, price_micro),
        )
        return parts_table(parts, self._say, tellers)

    def _checking(self) -> list[tuple[str, str]]:
        say, facts = self._say, self._facts
        words = {
            SignedVerdict.OK: say.signed,
            SignedVerdict.UNSIGNED: say.unsigned,
            SignedVerdict.UNVERIFIED: say.unverified,
            SignedVerdict.FAILED: say.failed,
        }
        found = [(say.signature, words[facts.signature.verdict])]
        if facts.tariff is not None:
            found += [
                (say.tariff, facts.tariff.id),
                (say.tariff_hash, facts.tariff.sha256),
            ]
        if facts.is_settled:
            found += [
                (say.bill_hash, facts.sha256 or ""),
                (say.leaf, str(facts.leaf_index)),
            ]
        return found

    def _now(self) -> list[tuple[str, str]]:
        """Where the settlement is on the chain."""
        say, facts = self._say, self._facts
        if not facts.is_settled:
            return []
        tx_hash = None if facts.chain is None else facts.chain.tx_hash
        return [(say.chain, tx_hash or say.waiting)]

    def _price(self, dimension: Dimension, price_micro: int) -> str:
        text = {
            Dimension.ENERGY: self._say.per_kwh,
            Dimension.TIME: self._say.per_hour,
            Dimension.PARKING_TIME: self._say.per_hour,
            Dimension.FLAT: self._say.per_session,
        }[dimension]
        assert self._sums is not None, "there is a line"
        digits = self._sums.minor_digits
        price = self._point(decimal_text(Fraction(price_micro, 1_000_000), digits))
        return text.format(price=price)

    def _volume(self, charge: Charge, volume: int) -> str:
        dimension = charge.component.dimension
        if dimension in _TIMES:
            return self._span(volume)
        return self._kwh(volume) if dimension is Dimension.ENERGY else f"{volume} ×"

    def _span(self, span_us: int) -> str:
        """Hours, minutes and seconds."""
        seconds = decimal_text(Fraction(span_us % (60 * _SECOND_US), _SECOND_US), 0)
        minutes = span_us // (60 * _SECOND_US)
        return self._point(f"{minutes // 60} h {minutes % 60} min {seconds} s")

    def _kwh(self, milliwh: int) -> str:
        return f"{self._number(Fraction(milliwh, _KWH))} kWh"

    def _number(self, number: Fraction) -> str:
        return self._point(decimal_text(number, 3))

    def _exact(self, amount: Fraction) -> str:
        """An amount before the rounding, with as many decimals as its neighbours."""
        return self._point(decimal_text(amount, self._digits))

    def _minor(self, minor: int) -> str:
        assert self._sums is not None, "there is an amount"
        return self._point(minor_text(minor, self._sums.minor_digits))

    def _point(self, number: str) -> str:
        return number.replace(".", self._say.decimal_point)

    def _time(self, moment: datetime | None) -> str:
        if moment is None:
            return "–"
        local = moment.astimezone(self._head.timezone)
        return f"{local:%Y-%m-%d %H:%M:%S %Z}"


def _names_tax(found: Sums) -> bool:
    """Whether any price says how much tax there is."""
    rates = [one.component.vat_ppm for one in found.charges]
    return found.vat_minor != 0 or any(one is not None for one in rates)
