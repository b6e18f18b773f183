"""The calls that a station serves: one file per functional block, both versions."""
