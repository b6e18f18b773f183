"""OCPP 1.6J: the local authorization list (1.6, 5.10 and 5.15; errata 3.52)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from gateway.domain.local_list import Listed, Room, Update, UpdateStatus
from gateway.ocpp.adapter import Command
from gateway.ocpp.lists import (
    GET_VERSION,
    SEND,
    flag,
    items_of,
    update_status,
    version_number,
    whole,
)
from gateway.ocpp.outbound import asked_time
from gateway.ocpp.readings import wire_time
from gateway.ocpp.v16_tables import MAX_GROUP_CHARS

MAX_TOKEN_CHARS: Final = 20
"""``idTag`` (1.6, IdToken)."""
ENABLED: Final = "LocalAuthListEnabled"
MAX_ENTRIES: Final = "LocalAuthListMaxLength"
PER_MESSAGE: Final = "SendLocalListMaxLength"


class V16Lists:
    """Satisfies `gateway.ocpp.lists.ListWords`."""

    def entry(self, entry: Listed) -> Listed | None:
        """1.6 knows no types, languages or EVSEs; without credit is blocked."""
        if len(entry.value) > MAX_TOKEN_CHARS:
            return None
        group = entry.group
        if group is not None and len(group) > MAX_GROUP_CHARS:
            group = None
        status = "Blocked" if entry.status == "NoCredit" else entry.status
        return replace(
            entry, kind="", status=status, group=group, evse_ids=(), language=None
        )

    def size(self, entry: Listed) -> int:
        """See `ListWords.size`."""
        return len(msgspec.json.encode(_put(entry))) + 1

    def encode_update(self, update: Update) -> Command:
        """SendLocalList; an entry without ``idTagInfo`` is removed (1.6, 6.42)."""
        entries = [_put(entry) for entry in update.put]
        entries += [{"idTag": entry.value} for entry in update.drop]
        payload: dict[str, object] = {"listVersion": update.version}
        if entries:
            payload["localAuthorizationList"] = entries
        payload["updateType"] = "Full" if update.is_full else "Differential"
        return Command(action=SEND, payload=payload)

    def status_of(self, answer: Mapping[str, object]) -> UpdateStatus:
        """See `ListWords.status_of`."""
        return update_status(answer)

    def sent(self, command: Command) -> Update | None:
        """See `ListWords.sent`."""
        if command.action != SEND:
            return None
        payload: Mapping[str, Any] = command.payload
        put: list[Listed] = []
        drop: list[Listed] = []
        for item in payload.get("localAuthorizationList") or []:
            info = item.get("idTagInfo")
            entry = Listed(value=item["idTag"], kind="", status="")
            if info is None:
                drop.append(entry)
                continue
            expires = info.get("expiryDate")
            put.append(
                replace(
                    entry,
                    status=info["status"],
                    expires_at=None if expires is None else asked_time(expires),
                    group=info.get("parentIdTag"),
                )
            )
        return Update(
            is_full=payload["updateType"] == "Full",
            version=payload["listVersion"],
            put=tuple(put),
            drop=tuple(drop),
        )

    def encode_version(self) -> Command:
        """GetLocalListVersion (1.6, 5.10)."""
        return Command(action=GET_VERSION, payload={})

    def version_of(self, answer: Mapping[str, object]) -> int:
        """``listVersion``; -1: the station has no local lists."""
        version = version_number(answer.get("listVersion"))
        return -1 if version is None else version

    def encode_room(self) -> Command:
        """GetConfiguration of the keys in 1.6, 9.2."""
        keys = [ENABLED, MAX_ENTRIES, PER_MESSAGE]
        return Command(action="GetConfiguration", payload={"key": keys})

    def room_of(self, answer: Mapping[str, object], max_entries: int | None) -> Room:
        """See `ListWords.room_of`; keys compare without case."""
        found: dict[str, object] = {}
        for item in items_of(answer, "configurationKey"):
            found[str(item.get("key")).casefold()] = item.get("value")
        return Room(
            max_entries=whole(found.get(MAX_ENTRIES.casefold())) or max_entries,
            per_message=whole(found.get(PER_MESSAGE.casefold())),
            is_enabled=flag(found.get(ENABLED.casefold())),
        )

    def encode_enable(self) -> Command:
        """ChangeConfiguration."""
        payload = {"key": ENABLED, "value": "true"}
        return Command(action="ChangeConfiguration", payload=payload)


def _put(entry: Listed) -> dict[str, object]:
    info: dict[str, object] = {"status": entry.status}
    if entry.expires_at is not None:
        info["expiryDate"] = wire_time(entry.expires_at)
    if entry.group is not None:
        info["parentIdTag"] = entry.group
    return {"idTag": entry.value, "idTagInfo": info}
