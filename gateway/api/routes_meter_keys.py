"""The keys that meters sign with: what is trusted, and what stations propose."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.ocmf import Curve
from gateway.domain.signed_carrier import MAX_KEY_CHARS
from gateway.services.meter_key_desk import MAX_EVSE_ID, MAX_SERIAL_CHARS
from gateway.services.meter_keys import MeterKey
from gateway.store import key_history, signed, told_keys
from gateway.store.signed import PinnedKey

EvseId = Annotated[int, Path(ge=1, le=MAX_EVSE_ID)]

router = APIRouter(prefix="/stations", tags=["meters"], route_class=CheckedRoute)


class KeyBody(BaseModel):
    """The key of a meter, as it is printed on it or in its papers."""

    model_config = ConfigDict(extra="forbid")

    public_key: str = Field(
        min_length=1,
        max_length=MAX_KEY_CHARS,
        description="SubjectPublicKeyInfo or bare point; hexadecimal, base64 or PEM",
    )
    meter_serial: str | None = Field(
        default=None, min_length=1, max_length=MAX_SERIAL_CHARS
    )


@router.get("/{station_id}/meter-keys")
async def meter_keys(
    station_id: str, context: Context, _caller: Viewer
) -> dict[str, Any]:
    """The ``pinned`` keys of a station's meters, and keys that it told or sent.

    A ``proposed`` key is trusted by nobody: compare it with the meter, then pin it.
    ``told_as`` names the settings of the station that hold it; without any it came
    with records only. ``history`` has every pin, the latest first, ``until`` it was
    exchanged or withdrawn, and its leaf in the log.
    """
    entry = context.directory.require(station_id)
    (pinned, seen), pins, sources = context.queries.read_now(
        lambda conn: (
            signed.keys_of(conn, entry.station_id),
            key_history.of_station(conn, entry.station_id),
            told_keys.sources_of(conn, entry.station_id),
        )
    )
    return {
        "station_id": entry.station_id,
        "pinned": [_pinned(evse_id, key) for evse_id, key in pinned.items()],
        "proposed": [
            {
                "evse_id": one.evse_id,
                **_key(one.curve, one.point),
                "meter_serial": one.meter_serial,
                "first_seen_at": views.time(one.first_seen_at),
                "last_seen_at": views.time(one.last_seen_at),
                "told_as": sources.get((one.evse_id, one.curve, one.point), []),
                "is_pinned": _is_same(pinned.get(one.evse_id), one.curve, one.point),
            }
            for one in seen
        ],
        "history": [
            {
                **_pinned(one.evse_id, one.key),
                "until": None if one.until is None else views.time(one.until),
                "leaf_index": one.leaf_index,
            }
            for one in pins
        ],
    }


@router.put("/{station_id}/meter-keys/{evse_id}")
async def pin_key(
    station_id: str,
    evse_id: EvseId,
    body: Annotated[KeyBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Pin the key of the meter behind an EVSE (audited).

    With ``meter_serial`` records of any other meter are refused as well. Bills of the
    EVSE that are held are judged again, with this key.
    """
    key = await context.meter_keys.pin(
        station_id,
        evse_id,
        public_key=body.public_key,
        meter_serial=body.meter_serial,
        actor=caller.token_id,
    )
    return _pinned(evse_id, key)


@router.delete("/{station_id}/meter-keys/{evse_id}", status_code=204)
async def unpin_key(
    station_id: str, evse_id: EvseId, context: Context, caller: Operator
) -> None:
    """Trust no key at an EVSE any more (audited); what was found good stays so."""
    await context.meter_keys.withdraw(station_id, evse_id, actor=caller.token_id)


def _pinned(evse_id: int, key: PinnedKey) -> dict[str, Any]:
    return {
        "evse_id": evse_id,
        **_key(key.curve, key.point),
        "meter_serial": key.meter_serial,
        "pinned_at": views.time(key.pinned_at),
        "pinned_by": key.pinned_by,
    }


def _key(curve: str, point: str) -> dict[str, str]:
    key = MeterKey(curve=Curve(curve), point=point)
    return {"curve": curve, "public_key": point, "fingerprint": key.fingerprint}


def _is_same(pinned: PinnedKey | None, curve: str, point: str) -> bool:
    return pinned is not None and (pinned.curve, pinned.point) == (curve, point)
