"""OCPP 2.0.1: texts for drivers."""

from gateway.ocpp.v201_tables import MAX_LANGUAGE_CHARS, MAX_MESSAGE_CHARS


def message_content(text: str, language: str | None) -> dict[str, object]:
    """A text as ``MessageContentType``, cut to what the type takes."""
    content: dict[str, object] = {"format": "UTF8"}
    if language is not None:
        content["language"] = language[:MAX_LANGUAGE_CHARS]
    content["content"] = text[:MAX_MESSAGE_CHARS]
    return content
