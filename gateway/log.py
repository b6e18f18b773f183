"""Log lines as JSON on stderr, one event each, without secrets."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

REDACTED: Final = "[redacted]"
_SECRET: Final = frozenset(
    {
        "api_key",
        "authorization",
        "cookie",
        "id_tag",
        "id_token",
        "key",
        "link",
        "parent_id_tag",
        "password",
        "pepper",
        "private_key",
        "secret",
        "set_cookie",
        "signature",
        "signed_data",
        "token",
    }
)
_LOUD: Final = ("urllib3", "web3", "websockets", "asyncio", "nicegui", "eth")
"""Libraries whose info lines would drown ours."""


_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)
"""Without the values of variables: headers, passwords and frames are among them."""


def configure(
    *, level: str = "info", stream: TextIO = sys.stderr, as_json: bool | None = None
) -> None:
    """Set up logging for the whole process.

    Lines of libraries that use the standard module take the same path.

    Args:
        level: Least level shown: ``debug``, ``info``, ``warning`` or ``error``.
        stream: Where lines go; stdout belongs to results.
        as_json: ``None``: JSON unless a person is watching (a terminal).
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    is_json = not stream.isatty() if as_json is None else as_json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="logged_at"),
        redact,
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    last: list[structlog.typing.Processor] = (
        [_TRACEBACKS, structlog.processors.JSONRenderer()]
        if is_json
        else [
            structlog.dev.ConsoleRenderer(
                exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in _LOUD:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hide values whose key says that they are secret, at any depth."""
    for key, value in event.items():
        event[key] = _hidden(key, value)
    return event


def _hidden(key: str, value: object) -> object:
    if key.lower().replace("-", "_") in _SECRET and value is not None:
        return REDACTED
    if isinstance(value, dict):
        return {name: _hidden(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden("", inner) for inner in value]
    return value
