"""Configuration: a TOML file read once into frozen, checked dataclasses."""

from gateway.config.certificates import CaConfig, Iso15118Config, OcspConfig
from gateway.config.cpo import CpoConfig
from gateway.config.load import Config
from gateway.config.ports import check_ports
from gateway.config.secrets import check_devices, check_passwords, passwords
from gateway.config.sections import (
    ApiConfig,
    BillingConfig,
    Engine,
    LedgerBackend,
    LedgerConfig,
    OcppConfig,
    OptimizerConfig,
    Regime,
    SecurityConfig,
    ServerConfig,
    SettlementMode,
    StoreConfig,
)
from gateway.config.site import station_from_json, station_to_json

__all__ = [
    "ApiConfig",
    "BillingConfig",
    "CaConfig",
    "Config",
    "CpoConfig",
    "Engine",
    "Iso15118Config",
    "LedgerBackend",
    "LedgerConfig",
    "OcppConfig",
    "OcspConfig",
    "OptimizerConfig",
    "Regime",
    "SecurityConfig",
    "ServerConfig",
    "SettlementMode",
    "StoreConfig",
    "check_devices",
    "check_passwords",
    "check_ports",
    "passwords",
    "station_from_json",
    "station_to_json",
]
