"""A station that keeps a local authorization list, in both versions."""

from dataclasses import dataclass, field
from typing import Any

from tests.support.raw_station import RawStation


@dataclass
class ListMemory:
    """What a station keeps, and how it answers."""

    station: RawStation
    version: int = 0
    per_message: int = 2
    max_entries: int = 20
    enabled: str = "true"
    status: str = "Accepted"
    entries: dict[str, dict[str, Any] | None] = field(default_factory=dict)

    def install(self) -> "ListMemory":
        handlers = self.station.handlers
        handlers["SendLocalList"] = self.take
        handlers["GetConfiguration"] = self.configuration
        handlers["GetVariables"] = self.variables
        handlers["ChangeConfiguration"] = self.change
        handlers["SetVariables"] = self.set
        key = "listVersion" if self.is_old else "versionNumber"
        handlers["GetLocalListVersion"] = lambda _: {key: self.version}
        return self

    @property
    def is_old(self) -> bool:
        return self.station.version == "1.6"

    def take(self, payload: dict[str, Any]) -> dict[str, Any]:
        version = payload["listVersion" if self.is_old else "versionNumber"]
        is_full = payload["updateType"] == "Full"
        if not is_full and version <= self.version:
            return {"status": "VersionMismatch"}
        if self.status != "Accepted":
            return {"status": self.status}
        entries = {} if is_full else dict(self.entries)
        items = payload.get("localAuthorizationList", [])
        assert len(items) <= self.per_message
        for item in items:
            name = item["idTag"] if self.is_old else item["idToken"]["idToken"]
            info = item.get("idTagInfo" if self.is_old else "idTokenInfo")
            if info is None:
                entries.pop(name)
            else:
                entries[name] = info
        if len(entries) > self.max_entries:
            return {"status": "Failed"}
        self.entries, self.version = entries, version
        return {"status": "Accepted"}

    def configuration(self, _payload: dict[str, Any]) -> dict[str, Any]:
        told = {
            "LocalAuthListEnabled": self.enabled,
            "LocalAuthListMaxLength": str(self.max_entries),
            "SendLocalListMaxLength": str(self.per_message),
        }
        return {
            "configurationKey": [
                {"key": key, "readonly": False, "value": value}
                for key, value in told.items()
            ]
        }

    def variables(self, payload: dict[str, Any]) -> dict[str, Any]:
        told = {"Enabled": self.enabled, "ItemsPerMessage": str(self.per_message)}
        results = []
        for item in payload["getVariableData"]:
            value = told.get(item["variable"]["name"])
            status = "UnknownVariable" if value is None else "Accepted"
            result = {**item, "attributeStatus": status}
            if value is not None:
                result["attributeValue"] = value
            results.append(result)
        return {"getVariableResult": results}

    def change(self, payload: dict[str, Any]) -> dict[str, Any]:
        if payload["key"] == "LocalAuthListEnabled":
            self.enabled = payload["value"]
        return {"status": "Accepted"}

    def set(self, payload: dict[str, Any]) -> dict[str, Any]:
        results = []
        for item in payload["setVariableData"]:
            if item["component"]["name"] == "LocalAuthListCtrlr":
                self.enabled = item["attributeValue"]
            results.append(
                {
                    "attributeStatus": "Accepted",
                    "component": item["component"],
                    "variable": item["variable"],
                }
            )
        return {"setVariableResult": results}

    def statuses(self) -> dict[str, str]:
        return {name: info["status"] for name, info in self.entries.items() if info}
