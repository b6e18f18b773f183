"""What the numbers of a text are, found by putting telling ones in their place."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from gateway.domain.events import SessionUpdated
from gateway.domain.metering import Sample, samples_in
from gateway.ocpp.adapter import Decoded
from gateway.ocpp.frames import Call
from gateway.ocpp.readings import wire_time
from gateway.ocpp.template import MILLI_POWER, NotPlain, Spot, Template

MAX_VALUES: Final = 100

HEAD: Final = re.compile(
    r'("(?:timestamp|transactionId|seqNo)": ?"?)([0-9A-Za-z*_=:+|@.-]+)'
)
"""A spot before the first value: its name as written, and what stands there."""
PROBED_AT: Final = datetime(2001, 2, 3, 4, 5, 6, 789_123, tzinfo=UTC)
"""When a probe is received. A time that stands in the text itself, outside the spots,
is then not believed, so it cannot be taken for that of a spot, or of the receipt."""
_NONE: Final = (None, None, None)
_FIRST_PROBE: Final = 101  # odd, so that no power of ten makes one of another


class Probe:
    """A text with telling numbers in its spots."""

    def __init__(self, value: re.Pattern[str], call: Call) -> None:
        self.spots: list[str | datetime] = []
        self.n_value = 0
        payload = call.payload.decode()
        match = value.search(payload)
        start = len(payload) if match is None else match.start()
        probed = HEAD.sub(self._spot, payload[:start])
        probed += value.sub(self._number, payload[start:])
        self.call = Call(call.message_id, call.action, probed.encode())

    def template(self, decoded: Decoded) -> Template | None:
        """What the decoded probe tells; ``None`` if not everything is clear."""
        event = decoded.events[0] if len(decoded.events) == 1 else None
        if not isinstance(event, SessionUpdated) or self.n_value > MAX_VALUES:
            return None
        if decoded.authorize_evse not in {None, event.evse}:
            return None
        # Equal to one made of these members alone: there is nothing else in it.
        plain = Decoded(
            action=decoded.action,
            events=decoded.events,
            durability=decoded.durability,
            reply=decoded.reply,
            authorize_evse=decoded.authorize_evse,
            wants_cost=decoded.wants_cost,
        )
        bare = replace(event, readings=(), signed=(), id_token=None)
        samples = samples_in(event)
        is_plain = plain == decoded and bare == replace(event, readings=())
        if not is_plain or len(samples) != 1 or len(event.readings) != self.n_value:
            return None
        try:
            return self._template(decoded, event, samples[0])
        except NotPlain:
            return None

    def _template(
        self, decoded: Decoded, event: SessionUpdated, sample: Sample
    ) -> Template:
        is_stamped = event.occurred_at == PROBED_AT
        sequence = None if event.sequence is None else str(event.sequence)
        register, currents = sample.register_milliwh, sample.current_a
        found = Template(
            decoded=replace(decoded, events=()),
            event=replace(event, readings=()),
            place=(
                None
                if event.evse is None
                else (event.evse.evse_id, event.evse.connector_id)
            ),
            occurred=None if is_stamped else self._where(event.occurred_at),
            sampled=self._where(sample.sampled_at),
            transaction=(
                None
                if event.transaction_id is None
                else self._where(event.transaction_id)
            ),
            is_numbered=str(event.transaction_id).isdigit(),
            sequence=None if sequence is None else self._where(sequence),
            context=sample.context,
            register=(
                None
                if register is None
                else self._source(Decimal(register).scaleb(-MILLI_POWER))
            ),
            numbers=(
                self._source_or_none(sample.power_w),
                *(self._source_or_none(one or None) for one in currents or _NONE),
                self._source_or_none(sample.soc_percent),
            ),
            has_currents=currents is not None,
            current_told=sample.current_told,
            power_told=sample.power_told,
            others=tuple(
                (label, *self._source(Decimal(text))) for label, text in sample.others
            ),
        )
        self._check(found)
        return found

    def _check(self, found: Template) -> None:
        """Every spot must have gone somewhere, and be filled in as it was."""
        used = {found.occurred, found.sampled, found.transaction, found.sequence}
        sorted_in = (
            found.register,
            *found.numbers,
            *(other[1:] for other in found.others),
        )
        indices = {spot[0] for spot in sorted_in if spot is not None}
        if used - {None} != set(range(len(self.spots))):
            raise NotPlain
        if indices != set(range(self.n_value)):
            raise NotPlain
        if found.register is not None and found.register[1] < -MILLI_POWER:
            raise NotPlain

    def _spot(self, match: re.Match[str]) -> str:
        number = len(self.spots)
        name = match[1]
        if "timestamp" in name:
            moment = PROBED_AT - timedelta(seconds=number + 1)
            text = wire_time(moment)
            self.spots.append(datetime.fromisoformat(text))
        elif "seqNo" in name or not name.endswith('"'):
            text = str(_FIRST_PROBE + number)
            self.spots.append(text)
        else:
            text = f"probe-{number}"
            self.spots.append(text)
        return name + text

    def _number(self, match: re.Match[str]) -> str:
        text = str(_FIRST_PROBE + 2 * self.n_value)
        self.n_value += 1
        return match[0].replace(match[1], text)

    def _where(self, told: str | datetime) -> int:
        """The spot that this was in.

        Raises:
            NotPlain: In none, or in several.
        """
        if self.spots.count(told) != 1:
            raise NotPlain
        return self.spots.index(told)

    def _source(self, number: Decimal) -> Spot:
        """The spot of a value, and how it was scaled."""
        sign, digits, power = number.normalize().as_tuple()
        value = int("".join(map(str, digits)))
        index, odd = divmod(value - _FIRST_PROBE, 2)
        if sign or odd or not 0 <= index < self.n_value or not isinstance(power, int):
            raise NotPlain
        return index, power

    def _source_or_none(self, number: float | None) -> Spot | None:
        return None if number is None else self._source(Decimal(repr(number)))
