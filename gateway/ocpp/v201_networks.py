"""OCPP 2.0.1: network profiles and the upgrade of the security profile."""

from typing import Final

from gateway.ocpp.adapter import Command, SecurityUpgrade
from gateway.ocpp.outbound import integer

OURS: Final = "OCPP20"
"""``OCPPVersionEnumType`` of 2.0.1."""


class V201Networks:
    """Commands about a station's networks; a part of the adapter."""

    def upgrade_asked(self, command: Command) -> SecurityUpgrade | None:
        """Read a SetNetworkProfile."""
        if command.action != "SetNetworkProfile":
            return None
        data = command.payload["connectionData"]
        assert isinstance(data, dict), "the schema was checked"
        return SecurityUpgrade(
            profile=integer(data["securityProfile"]),
            slot=integer(command.payload["configurationSlot"]),
            url=str(data["ocppCsmsUrl"]),
        )

    def encode_upgrade(
        self, asked: SecurityUpgrade, *, known_slots: str
    ) -> tuple[tuple[str, Command], ...]:
        """A new profile, first in the order, and a restart (2.0.1, A05, B09, B10)."""
        others = [one.strip() for one in known_slots.split(",")]
        slots = [str(asked.slot), *(one for one in others if one)]
        order = ",".join(dict.fromkeys(slots))
        profile = Command(
            action="SetNetworkProfile",
            payload={
                "configurationSlot": asked.slot,
                "connectionData": {
                    "ocppVersion": OURS,
                    "ocppTransport": "JSON",
                    "ocppCsmsUrl": asked.url,
                    "messageTimeout": asked.message_timeout_s,
                    "securityProfile": asked.profile,
                    "ocppInterface": asked.interface,
                },
            },
        )
        select = Command(
            action="SetVariables",
            payload={
                "setVariableData": [
                    {
                        "attributeValue": order,
                        "component": {"name": "OCPPCommCtrlr"},
                        "variable": {"name": "NetworkConfigurationPriority"},
                    }
                ]
            },
        )
        restart = Command(action="Reset", payload={"type": "OnIdle"})
        return (("profile_set", profile), ("selected", select), ("resetting", restart))
