"""What stations keep without power: their meters, and messages that were not answered.

A stop of the simulator is a power cut to its stations. Like real ones they report with
the next boot what it ended: transactions with the reason PowerLoss, and what waited.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

from sim_chargers.charger import Charger
from sim_chargers.connector import Reason, Transaction
from sim_chargers.frames import Payload
from sim_chargers.outbox import Message

OWNER_ONLY: Final = 0o600
SEED_BITS: Final = 32
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class MemoryFileError(ValueError):
    """The file is none of ours; remove it, and stations begin as new ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMessage:
    """A message that goes out after the next boot.

    Attributes:
        session: Number, within its station, of a transaction whose id is not known yet:
            the answer to its start brings it (1.6).
    """

    action: str
    payload: dict[str, Any]
    session: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptStation:
    """What one station keeps.

    Attributes:
        registers_milliwh: By EVSE.
        pages: Numbers of the next signed records, by EVSE whose meter signs.
        messages: In the order in which they go out.
    """

    registers_milliwh: dict[int, int]
    pages: dict[int, int]
    messages: tuple[KeptMessage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What all stations keep, and how often they were started.

    Attributes:
        path: The file.
        n_start: Starts before this one.
    """

    path: Path
    n_start: int = 0
    stations: dict[str, KeptStation] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Memory":
        """Read what an earlier run saved; empty where there was none.

        Raises:
            MemoryFileError: It is none of ours.
            OSError: It cannot be read.
        """
        if not path.exists():
            return cls(path=path)
        try:
            return _from_json(path, json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MemoryFileError(
                f"{path} does not hold what stations keep: {error!r}"
            ) from error

    def seed(self, given: int) -> int:
        """The seed of this start: ids and drivers of an earlier one never come again.

        Args:
            given: The seed of the first start.
        """
        if self.n_start == 0:
            return given
        return Random(f"{given}/{self.n_start}").getrandbits(SEED_BITS)  # noqa: S311 - not a secret

    def recall(self, chargers: Iterable[Charger]) -> None:
        """Give stations back what they kept; before they run."""
        for charger in chargers:
            kept = self.stations.get(charger.spec.id)
            if kept is not None:
                _recall(charger, kept)

    def save(self, chargers: Iterable[Charger]) -> None:
        """Keep what stations know now, for the next start.

        Raises:
            OSError: The file cannot be written.
        """
        stations = dict(self.stations)
        stations.update((one.spec.id, _kept(one)) for one in chargers)
        text = json.dumps(_to_json(self.n_start + 1, stations), indent=1)
        made = self.path.with_name(f".{self.path.name}.new")
        made.touch(mode=OWNER_ONLY)
        with made.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        made.replace(self.path)


def lose_power(charger: Charger) -> None:
    """Let a station go dark for good: what runs ends, and what it would say waits."""
    charger.is_restarting = True
    charger.link.unplug_cable()
    charger.on_offline()
    for connector in charger.connectors.values():
        if connector.transaction is not None:
            charger.stop(connector, Reason.POWER_LOSS)


def _kept(charger: Charger) -> KeptStation:
    sessions: list[Transaction] = []
    messages = []
    for message in charger.outbox.durable():
        transaction, number = message.transaction, None
        if transaction is not None and transaction.wire_id is None:
            if not any(one is transaction for one in sessions):
                sessions.append(transaction)
            number = next(n for n, one in enumerate(sessions) if one is transaction)
        messages.append(
            KeptMessage(action=message.action, payload=message.build(), session=number)
        )
    return KeptStation(
        registers_milliwh={
            number: connector.evse.register_milliwh
            for number, connector in charger.connectors.items()
        },
        pages={
            number: connector.meter.page
            for number, connector in charger.connectors.items()
            if connector.meter is not None
        },
        messages=tuple(messages),
    )


def _recall(charger: Charger, kept: KeptStation) -> None:
    for number, register_milliwh in kept.registers_milliwh.items():
        if number in charger.connectors:
            charger.connectors[number].evse.register_milliwh = register_milliwh
    for number, connector in charger.connectors.items():
        if connector.meter is not None:
            connector.meter.page = kept.pages.get(number, connector.meter.page)
    sessions: dict[int, Transaction] = {}
    for message in kept.messages:
        transaction = None
        if message.session is not None:
            transaction = sessions.setdefault(message.session, _unnamed())
        charger.outbox.put(_message(message, transaction))


def _unnamed() -> Transaction:
    """A transaction of which only the id matters, once it is known."""
    return Transaction(token="", started_at=_NEVER, register_start_milliwh=0)


def _message(kept: KeptMessage, transaction: Transaction | None) -> Message:
    def build() -> dict[str, Any]:
        waits = "transactionId" in kept.payload
        if transaction is None or transaction.wire_id is None or not waits:
            return kept.payload
        return {**kept.payload, "transactionId": int(transaction.wire_id)}

    learn: Callable[[Payload], None] | None = None
    if transaction is not None and "transactionId" not in kept.payload:
        begun = transaction

        def learn(answer: Payload) -> None:
            begun.wire_id = str(answer["transactionId"])

    return Message(
        action=kept.action,
        build=build,
        durable=True,
        on_answer=learn,
        transaction=transaction,
    )


def _to_json(n_start: int, stations: Mapping[str, KeptStation]) -> dict[str, Any]:
    return {
        "n_start": n_start,
        "stations": {
            station_id: {
                "registers_milliwh": kept.registers_milliwh,
                "pages": kept.pages,
                "messages": [
                    {
                        "action": message.action,
                        "payload": message.payload,
                        "session": message.session,
                    }
                    for message in kept.messages
                ],
            }
            for station_id, kept in stations.items()
        },
    }


def _from_json(path: Path, document: Any) -> Memory:  # noqa: ANN401 - JSON
    return Memory(
        path=path,
        n_start=int(document["n_start"]),
        stations={
            str(station_id): KeptStation(
                registers_milliwh=_by_evse(kept["registers_milliwh"]),
                pages=_by_evse(kept.get("pages", {})),
                messages=tuple(
                    KeptMessage(
                        action=str(message["action"]),
                        payload=dict(message["payload"]),
                        session=message["session"],
                    )
                    for message in kept["messages"]
                ),
            )
            for station_id, kept in document["stations"].items()
        },
    )


def _by_evse(found: Mapping[str, Any]) -> dict[int, int]:
    return {int(evse_id): int(number) for evse_id, number in found.items()}
