"""What goes to the contracts: settlement batches, assets, released algorithms."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum, IntEnum
from typing import Any, Final

from ledger.contracts import address_bytes, artifact, currency_bytes
from ledger.outbox import SettlementRow

MAX_BATCH: Final = 100
NO_POSITION: Final = -(2**31)
"""``AssetRegistry``: both coordinates of a public asset whose position is not known."""
_ASSET_DOMAIN: Final = b"wattproof/asset/1\0"
_ZERO_WORD: Final = "00" * 32


class SettlementWay(Enum):
    """How sessions get onto the chain."""

    INVOICES = "invoices"
    BATCH = "batch"
    PROVEN = "proven"
    NETTED = "netted"


class AssetKind(IntEnum):
    """Codes of ``AssetRegistry``."""

    CHARGE_POINT = 1
    PV_INVERTER = 2
    BATTERY = 3
    CABINET = 4


class AssetStatus(IntEnum):
    """Codes for ``AssetRegistry``, which keeps them and does not interpret them."""

    UNKNOWN = 0
    IN_SERVICE = 1
    OUT_OF_SERVICE = 2
    RETIRED = 3
    PLANNED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One asset for ``AssetRegistry.registerBatch``.

    Attributes:
        asset_id: 32 bytes, `asset_id`; its first four are the reference in packed
            status.
        latitude_e7: WGS 84 in 1e-7 degrees; ``None`` if it is private or not known.
        commitment: Salted commitment to the full record; needed for a private asset.
    """

    asset_id: bytes
    kind: AssetKind
    status: AssetStatus
    is_public: bool
    latitude_e7: int | None = None
    longitude_e7: int | None = None
    rated_power_w: int = 0
    price_micro_per_kwh: int = 0
    capacity_milliwh: int = 0
    parent_id: bytes | None = None
    owner: str | None = None
    commitment: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmRelease:
    """One release for ``AlgorithmRegistry.publish``; hashes are 32 bytes."""

    algorithm_id: bytes
    version: str
    wheel_sha256: bytes
    source_sha256: bytes
    environment_sha256: bytes
    active_from: datetime
    uri: str


def asset_id(site: str, kind: AssetKind, name: str) -> bytes:
    """Return the identifier of an asset: a hash of site, kind and name."""
    text = f"{site}\0{int(kind)}\0{name}".encode()
    return hashlib.sha256(_ASSET_DOMAIN + text).digest()


def asset_json(asset: Asset) -> dict[str, object]:
    """Return an asset as the JSON that the queue keeps."""
    return {
        key: value.hex() if isinstance(value, bytes) else value
        for key, value in asdict(asset).items()
    }


def settle_calldata(rows: Sequence[SettlementRow]) -> bytes:
    """Return the call of ``settleBatch`` with these rows, in this order."""
    return artifact("Settlement").calldata(
        "settleBatch", [settlement_values(row) for row in rows]
    )


def proven_calldata(
    row: SettlementRow, leaf_index: int, proof: Sequence[bytes]
) -> bytes:
    """Return the call of ``settleProven`` with a row and its leaf's audit path."""
    return artifact("Settlement").calldata(
        "settleProven", settlement_values(row), leaf_index, list(proof)
    )


def settlement_values(row: SettlementRow) -> tuple[object, ...]:
    """Return the members of a row as the contract takes them."""
    return (
        row.session_key,
        row.start_leaf_index,
        row.leaf_hash,
        row.energy_milliwh,
        row.amount_minor,
        currency_bytes(row.currency),
        row.flex_milliwh,
        address_bytes(row.flex_to),
    )


def register_calldata(
    assets: Sequence[Mapping[str, Any]], *, no_position: int = NO_POSITION
) -> bytes:
    """Return the call of ``registerBatch`` with queued assets (`asset_json`).

    Args:
        assets: What was queued.
        no_position: Both coordinates of a public asset whose position is not known;
            contracts of release 1 know no such mark and take 0.
    """
    return artifact("AssetRegistry").calldata(
        "registerBatch",
        [
            (
                bytes.fromhex(asset["asset_id"]),
                asset["kind"],
                asset["status"],
                asset["is_public"],
                *_place(asset, no_position),
                asset["rated_power_w"],
                asset["price_micro_per_kwh"],
                asset["capacity_milliwh"],
                bytes.fromhex(asset["parent_id"] or _ZERO_WORD),
                address_bytes(asset["owner"]),
                bytes.fromhex(asset["commitment"] or _ZERO_WORD),
            )
            for asset in assets
        ],
    )


def _place(asset: Mapping[str, Any], no_position: int) -> tuple[int, int]:
    if not asset["is_public"]:
        return 0, 0
    latitude_e7, longitude_e7 = asset["latitude_e7"], asset["longitude_e7"]
    if latitude_e7 is None or longitude_e7 is None:
        return no_position, no_position
    return latitude_e7, longitude_e7


def publish_calldata(release: AlgorithmRelease) -> bytes:
    """Return the call of ``publish`` for a release."""
    return artifact("AlgorithmRegistry").calldata(
        "publish",
        release.algorithm_id,
        release.version,
        release.wheel_sha256,
        release.source_sha256,
        release.environment_sha256,
        int(release.active_from.timestamp()),
        release.uri,
    )
