"""Meters, inverters and batteries by MQTT: one topic, values at paths of its JSON."""

import asyncio
import json
from dataclasses import replace

from gateway.config.meters import MqttTable
from gateway.errors import DeviceError
from gateway.meters import messages
from gateway.meters.broker import Broker, Message
from gateway.meters.port import Measured


class MqttDevice:
    """A device that publishes by itself. Make it before its broker's `run`."""

    def __init__(self, table: MqttTable, broker: Broker) -> None:
        self._table = table
        self._broker = broker
        self._topic = broker.topic(table.topic)

    async def read(self) -> Measured:
        """The next message that can be used; see `Device`.

        A kept message without a time of its own is passed over: nobody knows how old
        it is.
        """
        silent_s = self._table.silent_after_s
        try:
            async with asyncio.timeout(silent_s):
                message = await self._next()
        except TimeoutError:
            trouble = self._broker.trouble
            why = f": broker {self._broker.login.name}: {trouble}" if trouble else ""
            raise DeviceError(f"nothing was heard for {silent_s:g} s{why}") from None
        found = messages.measured(
            message.payload, self._table, is_retained=message.is_retained
        )
        age_s = asyncio.get_running_loop().time() - message.heard_s
        return replace(found, age_s=age_s)

    async def set_power_w(self, power_w: int) -> None:
        """Publish the power, not kept by the broker; see `Device`."""
        topic, path = self._table.command_topic, self._table.command_path
        if topic is None:
            raise DeviceError(f"{self._broker.login.name}: it has no command_topic")
        body: object = power_w if path is None else {path: power_w}
        await self._broker.publish(topic, json.dumps(body).encode())

    async def _next(self) -> Message:
        while True:
            message = await self._topic.take()
            if self._table.time_path is not None or not message.is_retained:
                return message
