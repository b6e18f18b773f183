"""A station with the device model of OCPP 2.0.1, and what it reads there."""

from abc import ABC
from functools import partial
from typing import Final

from typing_extensions import override

from sim_chargers.charger import Charger
from sim_chargers.connector import Connector
from sim_chargers.device_model import DeviceModel, members
from sim_chargers.evse import MILLIWH_PER_WH
from sim_chargers.factory_v201 import evse_variables, station_variables
from sim_chargers.life import Surroundings
from sim_chargers.scenario import StationSpec
from sim_chargers.signed_v201 import meter_variables
from sim_chargers.tokens import Setting

AMBIENT_C: Final = 25.0
W_PER_K: Final = 1000.0  # how much power warms the station by a kelvin

_SETTINGS: Final = {
    Setting.AUTHORISE_REMOTE: ("AuthCtrlr", "AuthorizeRemoteStart"),
    Setting.CACHE_ENABLED: ("AuthCacheCtrlr", "Enabled"),
    Setting.LIST_ENABLED: ("LocalAuthListCtrlr", "Enabled"),
    Setting.LOCAL_OFFLINE: ("AuthCtrlr", "LocalAuthorizeOffline"),
    Setting.LOCAL_PREAUTHORISE: ("AuthCtrlr", "LocalPreAuthorize"),
    Setting.STOP_ON_INVALID: ("TxCtrlr", "StopTxOnInvalidId"),
    Setting.UNKNOWN_OFFLINE: ("AuthCtrlr", "OfflineTxForUnknownIdEnabled"),
}


class ModelledCharger(Charger, ABC):
    """A station whose settings are variables.

    Attributes:
        temperature_c: A flow may set it; else it follows the power.
    """

    def __init__(
        self, spec: StationSpec, around: Surroundings, faults: frozenset[str]
    ) -> None:
        """Start with the factory device model."""
        super().__init__(spec, around, faults)
        self.temperature_c: float | None = None
        self.model = self._factory_model()

    @override
    def is_set(self, setting: Setting) -> bool:
        """Read one of the settings that both versions have."""
        return self.model.is_true(*_SETTINGS[setting])

    @override
    def connection_timeout_s(self) -> float:
        """Read TxCtrlr.EVConnectionTimeOut."""
        return float(self.model.text("TxCtrlr", "EVConnectionTimeOut"))

    @override
    def begins_with(self, step: str) -> bool:
        """Read TxCtrlr.TxStartPoint (E01)."""
        return step in members(self.model.text("TxCtrlr", "TxStartPoint"))

    @override
    def ends_with_token(self) -> bool:
        """Read TxCtrlr.TxStopPoint (E06); the cable ends a transaction in any case."""
        points = members(self.model.text("TxCtrlr", "TxStopPoint"))
        return "Authorized" in points or "PowerPathClosed" in points

    @override
    def master_pass_group(self) -> str:
        """Read AuthCtrlr.MasterPassGroupId (C16)."""
        return self.model.text("AuthCtrlr", "MasterPassGroupId")

    @override
    def sample_interval_s(self) -> float:
        """Read SampledDataCtrlr.TxUpdatedInterval."""
        return float(self.model.text("SampledDataCtrlr", "TxUpdatedInterval"))

    @override
    def aligned_interval_s(self) -> float:
        """Read AlignedDataCtrlr.Interval."""
        return float(self.model.text("AlignedDataCtrlr", "Interval"))

    def _factory_model(self) -> DeviceModel:
        variables = station_variables(self._temperature) + meter_variables(self)
        for connector in self.connectors.values():
            spec = connector.evse.spec
            n_phase = len(spec.phases)
            ac_w = spec.native_max * spec.nominal_v * n_phase
            variables += evse_variables(
                connector.number,
                rated_w=spec.native_max if spec.is_dc else ac_w,
                n_phase=n_phase,
                state=partial(self.status_of, connector),
                register_wh=partial(_register_wh, connector),
            )
        return DeviceModel(variables)

    def _temperature(self) -> str:
        """Warm up with the power."""
        if self.temperature_c is not None:
            return f"{self.temperature_c:.1f}"
        power_w = sum(c.evse.draw.power_w for c in self.connectors.values())
        return f"{AMBIENT_C + power_w / W_PER_K:.1f}"


def _register_wh(connector: Connector) -> str:
    return f"{connector.evse.register_milliwh / MILLIWH_PER_WH:.3f}"
