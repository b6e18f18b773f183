"""Whether a station is to be told to sign, and what it is to be told.

It is where only signed readings settle, and where somebody has pinned the key of one of
its meters. A station that has not told that it can sign is left alone.
"""

from typing import Final

from gateway.config import Regime
from gateway.domain.ids import StationId
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.signing_words import ToldSetting
from gateway.store.device_model import KEY_ROWS
from gateway.store.queries import Queries

_IS_PINNED: Final = "SELECT 1 FROM meter_key WHERE station_id = ? LIMIT 1"
_REPORTED: Final = (
    "SELECT component || '.' || variable, value, mutability = 'ReadOnly'"
    " FROM device_variable WHERE station_id = ? AND attribute = 'Actual'"
    " AND component IN ('SampledDataCtrlr', 'AlignedDataCtrlr', 'OCPPCommCtrlr')"
)


class SignedSetup:
    """Says what a station is to be told.

    Args:
        queries: For what it told of itself, and for its pinned keys.
        regime: What settles by itself.
    """

    def __init__(self, queries: Queries, regime: Regime) -> None:
        self._queries = queries
        self._regime = regime

    async def commands(
        self, station_id: StationId, adapter: Adapter
    ) -> tuple[Command, ...]:
        """The settings to change; none where signed readings are not wanted."""
        is_wanted = self._regime is Regime.EICHRECHT or bool(
            await self._queries.rows(_IS_PINNED, (station_id,))
        )
        if not is_wanted:
            return ()
        sql = _REPORTED if adapter.base_reports else KEY_ROWS
        rows = await self._queries.rows(sql, (station_id,))
        return adapter.encode_signing(
            [
                ToldSetting(name=row[0], value=row[1], is_readonly=bool(row[2]))
                for row in rows
            ]
        )
