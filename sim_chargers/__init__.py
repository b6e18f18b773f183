"""Physically simulated chargers, cars and sites for any OCPP central system.

An island: it meets the system under test on the wire only and has its own encoder, so
that a bug in the gateway's codec cannot hide behind the same bug here.
"""
