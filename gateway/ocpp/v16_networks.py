"""OCPP 1.6J: the upgrade of the security profile."""

from gateway.ocpp.adapter import Command, SecurityUpgrade


class V16Networks:
    """Commands about a station's networks; a part of the adapter."""

    def upgrade_asked(self, command: Command) -> SecurityUpgrade | None:
        """Read a ChangeConfiguration of SecurityProfile (whitepaper, A05)."""
        key, value = command.payload.get("key"), str(command.payload.get("value"))
        is_it = str(key).casefold() == "securityprofile" and value.isdecimal()
        if command.action != "ChangeConfiguration" or not is_it:
            return None
        return SecurityUpgrade(profile=int(value[:3]), slot=0, url="")

    def encode_upgrade(
        self,
        asked: SecurityUpgrade,
        *,
        known_slots: str,  # noqa: ARG002 - 1.6 has no network profiles
    ) -> tuple[tuple[str, Command], ...]:
        """The key SecurityProfile; the station reconnects by itself (whitepaper, A05).

        Where to is configured at the station: 1.6 has no key for it.
        """
        payload = {"key": "SecurityProfile", "value": str(asked.profile)}
        return (("resetting", Command(action="ChangeConfiguration", payload=payload)),)
