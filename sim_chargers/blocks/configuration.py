"""The configuration keys of OCPP 1.6 (5.3, 5.8, chapter 9, security whitepaper)."""

from __future__ import annotations  # the station and its calls know each other

from typing import TYPE_CHECKING, Any, Final

from sim_chargers.answers import ACCEPTED, REJECTED
from sim_chargers.keys_v16 import REBOOT_KEYS
from sim_chargers.outcomes import Reply
from sim_chargers.renewal import STATION_KIND

if TYPE_CHECKING:
    from sim_chargers.charger_v16 import ChargerV16
    from sim_chargers.frames import Payload

MAX_SECRET_LENGTH: Final = 40
TLS_PROFILE: Final = 2  # from here on with TLS
MAX_PROFILE: Final = 3  # with a client certificate


def get_configuration(station: ChargerV16, payload: Payload) -> Reply:
    """Report configuration keys (5.8)."""
    asked = payload.get("key") or sorted(station.keys)
    names = {key.casefold(): key for key in station.keys}
    known = [names[key.casefold()] for key in asked if key.casefold() in names]
    answer: dict[str, Any] = {
        "configurationKey": [
            {
                "key": key,
                "readonly": station.factory_keys[key][1],
                "value": station.keys[key],
            }
            for key in known
        ]
    }
    unknown = [key for key in asked if key.casefold() not in names]
    if unknown:
        answer["unknownKey"] = unknown
    return Reply(payload=answer)


def change_configuration(station: ChargerV16, payload: Payload) -> Reply:
    """Change a key (5.3); AuthorizationKey cannot be read and needs a reconnect."""
    key, value = str(payload["key"]), str(payload["value"])
    if key.casefold() == "authorizationkey":
        if not 0 < len(value) <= MAX_SECRET_LENGTH:
            return Reply(payload=REJECTED)
        station.link.password = value

        def reconnect() -> None:
            station.spawn(station.link.drop())

        return Reply(payload=ACCEPTED, after=reconnect)
    name = {k.casefold(): k for k in station.keys}.get(key.casefold())
    if name is None:
        return Reply(payload={"status": "NotSupported"})
    default, read_only = station.factory_keys[name]
    if read_only or not _fits(default, value) or not _may(station, name, value):
        return Reply(payload=REJECTED)
    if name in REBOOT_KEYS or "restart-to-set" in station.faults:
        station.keys_after_reboot[name] = value
        return Reply(payload={"status": "RebootRequired"})
    station.keys[name] = value
    station.apply_key(name)
    if name == "SecurityProfile" and int(value) >= TLS_PROFILE:
        return Reply(payload=ACCEPTED, after=station.secure_link)
    return Reply(payload=ACCEPTED)


def _fits(default: str, value: str) -> bool:
    if default in ("true", "false"):
        return value.casefold() in ("true", "false")
    return not default.isdigit() or value.isdigit()


def _may(station: ChargerV16, name: str, value: str) -> bool:
    """Refuse a lower security profile, or one without its certificates (A05)."""
    if name != "SecurityProfile":
        return True
    wanted = int(value)
    if not int(station.keys[name]) <= wanted <= MAX_PROFILE:
        return False
    has_root = station.around.tls.ca is not None or bool(
        station.trust.of_kind("CentralSystemRootCertificate")
    )
    has_own = station.around.tls.cert is not None or STATION_KIND in station.trust.own
    return (wanted < TLS_PROFILE or has_root) and (wanted < MAX_PROFILE or has_own)
