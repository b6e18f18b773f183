"""Meters, inverters and batteries behind one small protocol: Modbus TCP and MQTT."""
