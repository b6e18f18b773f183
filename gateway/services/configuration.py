"""Settings as they are wanted: read, compared, written where they differ, read back.

One write per setting; what was accepted counts only once it has been read back.
RebootRequired is reported: nothing is restarted here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.domain.ids import StationId
from gateway.errors import CallFailed, RequestError
from gateway.ocpp.adapter import Command
from gateway.services import variable_words as words
from gateway.services.variable_words import Item
from gateway.services.variables import Exchange, Variables
from gateway.store.device_model import KEY_ROWS, KeyRow, key_row
from gateway.store.queries import Queries

READ_ALL: Final = Command(action="GetConfiguration", payload={})
REBOOT: Final = "RebootRequired"
_BOOLEANS: Final = frozenset({"true", "false"})


class Configuration:
    """Compares and applies settings of stations."""

    def __init__(self, *, variables: Variables, queries: Queries) -> None:
        self._variables = variables
        self._queries = queries

    async def stored(self, station_id: StationId) -> list[KeyRow]:
        """Configuration keys of a 1.6 station as last read, by name."""
        rows = await self._queries.rows(KEY_ROWS, (station_id,))
        return [key_row(row) for row in rows]

    async def diff(
        self, station_id: StationId, wanted: Mapping[str, str]
    ) -> dict[str, list[dict[str, Any]]]:
        """Compare wanted values of keys with those that were last read."""
        known = {row.key.casefold(): row for row in await self.stored(station_id)}
        found: dict[str, list[dict[str, Any]]] = {
            "same": [],
            "differs": [],
            "read_only": [],
            "unknown": [],
        }
        for key, value in wanted.items():
            row = known.get(key.casefold())
            said: dict[str, Any] = {"key": key, "wanted": value}
            if row is None:
                found["unknown"].append(said)
                continue
            said["value"] = words.without_secret({"key": row.key, "value": row.value})[
                "value"
            ]
            if is_same(value, row.value):
                found["same"].append(said)
            else:
                name = "read_only" if row.is_readonly else "differs"
                found[name].append(said)
        return found

    async def apply(
        self,
        exchange: Exchange,
        wanted: Sequence[Item],
        *,
        may_read: bool = True,
        known: Mapping[tuple[str, ...], str | None] | None = None,
        one_by_one: bool = False,
    ) -> list[dict[str, Any]]:
        """Write what differs, and read it back.

        Args:
            exchange: The station.
            wanted: Items with values, see `gateway.services.variable_words`.
            may_read: Whether the station may be asked for values.
            known: Values that it told just now, by `words.identity`.
            one_by_one: Write one item per message: some stations take no more.

        Returns:
            Per item ``result``: ``unchanged``, ``verified``, ``not_verified`` (the
            write was accepted), ``reboot_required``, ``refused`` (with ``status``), or
            the outcome of a failed write.

        Raises:
            RequestError: 422 an item is not valid; 409 it may change what is drawn.
        """
        kind = words.WRITE[exchange.adapter.version]
        items = [_item(kind, one, index) for index, one in enumerate(wanted)]
        values = dict(known or {})
        if may_read and known is None:
            values = await self._read(exchange, kind, items)
        to_write = [
            one
            for one in items
            if not is_same(_value(one), values.get(words.identity(one)))
        ]
        parts = [[one] for one in to_write] if one_by_one else [to_write]
        written: list[Item] = []
        for part in parts if to_write else ():
            written += await self._variables.write(exchange, part)
        verdicts = {
            words.identity(item): _written(answer)
            for item, answer in zip(to_write, written, strict=True)
        }
        accepted = [
            one
            for one in to_write
            if verdicts[words.identity(one)]["result"] == "not_verified"
        ]
        if may_read and accepted:
            after = await self._read(exchange, kind, accepted)
            for one in accepted:
                name = words.identity(one)
                if is_same(_value(one), after.get(name)):
                    verdicts[name]["result"] = "verified"
        return [
            kind.named(one)
            | {"wanted": _value(one)}
            | verdicts.get(words.identity(one), {"result": "unchanged"})
            for one in (words.shown(item) for item in items)
        ]

    async def read_all(self, exchange: Exchange) -> dict[tuple[str, ...], str | None]:
        """Read every key of a 1.6 station; what it says is stored as well.

        Raises:
            CallFailed: No result came.
        """
        answer = await exchange.call(exchange.station_id, READ_ALL, exchange.timeout_s)
        known = words.READ[exchange.adapter.version].results([], answer)
        return {words.identity(one): one.get("value") for one in known}

    async def _read(
        self, exchange: Exchange, kind: words.Words, items: Sequence[Item]
    ) -> dict[tuple[str, ...], str | None]:
        names = [kind.question(one) for one in items]
        try:
            answers = await self._variables.read(exchange, names)
        except CallFailed:
            return {}
        return {
            words.identity(item): answer.get("value")
            for item, answer in zip(items, answers, strict=True)
        }


def written_by(commands: Sequence[Command]) -> list[Item]:
    """What writing commands set, as items to write."""
    items: list[Item] = []
    for command in commands:
        data = command.payload.get("setVariableData")
        items += data if isinstance(data, list) else [dict(command.payload)]
    return items


def is_same(wanted: str, value: str | None) -> bool:
    """Whether two settings mean the same: exact text, whole numbers, booleans."""
    if value is None:
        return False
    one, other = wanted.strip(), value.strip()
    if one.casefold() in _BOOLEANS:
        return one.casefold() == other.casefold()
    if one.isdecimal() and other.isdecimal():
        return one.lstrip("0") == other.lstrip("0")
    return one == other


def _item(kind: words.Words, raw: object, index: int) -> Item:
    try:
        return kind.item(raw)
    except ValueError as error:
        raise RequestError(422, "bad_item", f"items[{index}]: {error}") from error


def _value(item: Item) -> str:
    return str(item.get("value", item.get("attributeValue")))


def _written(answer: Item) -> dict[str, Any]:
    outcome, status = answer.get("outcome"), answer.get("status")
    if outcome != "result":
        said = {name: answer[name] for name in ("code",) if name in answer}
        return {"result": outcome, **said}
    if status == "Accepted":
        return {"result": "not_verified", "status": status}
    if status == REBOOT:
        return {"result": "reboot_required", "status": status}
    return {"result": "refused", "status": status}
