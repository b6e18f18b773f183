"""OCPP 1.6J: the upgrade of the security profile."""

from gateway.ocpp.adapter import Command, SecurityUpgrade


class V16Networks:
    """Commands about a station's networks; a part of the adapter."""

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
