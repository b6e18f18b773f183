"""OCPP 2.0.1: the local authorization list (part 2, block D)."""

import re
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
from gateway.ocpp.v201_tables import MAX_GROUP_CHARS, MAX_LANGUAGE_CHARS

COMPONENT: Final = "LocalAuthListCtrlr"
READ: Final = ("Available", "Enabled", "ItemsPerMessage", "BytesPerMessage")
UNKNOWN_COMPONENT: Final = "UnknownComponent"
ENVELOPE_BYTES: Final = 256
"""Of a message around its entries."""
_EMAID: Final = re.compile(
    r"[A-Za-z]{2}-?[A-Za-z0-9]{3}-?[A-Za-z0-9]{9}(-?[A-Za-z0-9])?"
)
_HEX: Final = re.compile("[0-9A-Fa-f]+")
_ISO15693: Final = re.compile(r"[Ee]0[0-9A-Fa-f]{14}")
"""Their UIDs are 8 bytes that begin with E0 (ISO 15693-3)."""


class V201Lists:
    """Satisfies `gateway.ocpp.lists.ListWords`."""

    def entry(self, entry: Listed) -> Listed | None:
        """A token of any type needs one here: by its form, a card unless a contract."""
        group = entry.group
        if group is not None and len(group) > MAX_GROUP_CHARS:
            group = None
        language = entry.language
        if language is not None:
            language = language[:MAX_LANGUAGE_CHARS]
        return replace(
            entry, kind=entry.kind or _kind(entry.value), group=group, language=language
        )

    def size(self, entry: Listed) -> int:
        """See `ListWords.size`."""
        return len(msgspec.json.encode(_put(entry))) + 1

    def encode_update(self, update: Update) -> Command:
        """SendLocalList; an entry without ``idTokenInfo`` is removed (D01.FR.17)."""
        entries = [_put(entry) for entry in update.put]
        entries += [{"idToken": _token(entry)} for entry in update.drop]
        payload: dict[str, object] = {
            "versionNumber": update.version,
            "updateType": "Full" if update.is_full else "Differential",
        }
        if entries:
            payload["localAuthorizationList"] = entries
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
            token, info = item["idToken"], item.get("idTokenInfo")
            entry = Listed(value=token["idToken"], kind=token["type"], status="")
            if info is None:
                drop.append(entry)
                continue
            group = info.get("groupIdToken")
            expires = info.get("cacheExpiryDateTime")
            put.append(
                replace(
                    entry,
                    status=info["status"],
                    expires_at=None if expires is None else asked_time(expires),
                    group=None if group is None else group["idToken"],
                    evse_ids=tuple(info.get("evseId") or ()),
                    language=info.get("language1"),
                )
            )
        return Update(
            is_full=payload["updateType"] == "Full",
            version=payload["versionNumber"],
            put=tuple(put),
            drop=tuple(drop),
        )

    def encode_version(self) -> Command:
        """GetLocalListVersion (D02)."""
        return Command(action=GET_VERSION, payload={})

    def version_of(self, answer: Mapping[str, object]) -> int:
        """``versionNumber``; 0: no list, or it is not in use (D02.FR.02, FR.03)."""
        return version_number(answer.get("versionNumber")) or 0

    def encode_room(self) -> Command:
        """GetVariables of what limits lists and messages (C, 1.4)."""
        wanted = [
            {"component": {"name": COMPONENT}, "variable": {"name": name}}
            for name in READ
        ]
        return Command(action="GetVariables", payload={"getVariableData": wanted})

    def room_of(self, answer: Mapping[str, object], max_entries: int | None) -> Room:
        """See `ListWords.room_of`."""
        found: dict[str, object] = {}
        statuses: list[str] = []
        for item in items_of(answer, "getVariableResult"):
            statuses.append(str(item.get("attributeStatus")))
            variable = item.get("variable")
            name = variable.get("name") if isinstance(variable, Mapping) else None
            found[str(name).casefold()] = item.get("attributeValue")
        is_missing = bool(statuses) and set(statuses) == {UNKNOWN_COMPONENT}
        n_bytes = whole(found.get("bytespermessage"))
        return Room(
            max_entries=max_entries,
            per_message=whole(found.get("itemspermessage")),
            bytes_per_message=None
            if n_bytes is None
            else max(1, n_bytes - ENVELOPE_BYTES),
            is_enabled=flag(found.get("enabled")),
            is_available=not is_missing and flag(found.get("available")) is not False,
        )

    def encode_enable(self) -> Command:
        """SetVariables of LocalAuthListCtrlr.Enabled."""
        item = {
            "attributeValue": "true",
            "component": {"name": COMPONENT},
            "variable": {"name": "Enabled"},
        }
        return Command(action="SetVariables", payload={"setVariableData": [item]})


def _kind(value: str) -> str:
    if _EMAID.fullmatch(value) and not _HEX.fullmatch(value):
        return "eMAID"
    return "ISO15693" if _ISO15693.fullmatch(value) else "ISO14443"


def _token(entry: Listed) -> dict[str, object]:
    return {"idToken": entry.value, "type": entry.kind}


def _put(entry: Listed) -> dict[str, object]:
    info: dict[str, object] = {"status": entry.status}
    if entry.expires_at is not None:
        info["cacheExpiryDateTime"] = wire_time(entry.expires_at)
    if entry.language is not None:
        info["language1"] = entry.language
    if entry.evse_ids:
        info["evseId"] = list(entry.evse_ids)
    if entry.group is not None:
        info["groupIdToken"] = {"idToken": entry.group, "type": "Central"}
    return {"idToken": _token(entry), "idTokenInfo": info}
