"""Read JSON from files and texts that a user, or another program, may have written or damaged."""

import json
import re
from pathlib import Path
from typing import Any

from sam2lora.errors import Sam2LoraError
from sam2lora.utils.files import read_error

_DEEPEST = 100  # levels; none of our files has ten
_DIGITS = 19  # of the largest integer of 64 bits
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(
    path: Path,
    *,
    error: type[Sam2LoraError],
    largest: int | None = None,
    any_text: bool = False,
) -> Any:
    """Read any JSON value from a file.

    Parameters
    ----------
    path
        The file.
    error
        Class of the error to raise.
    largest
        Size in bytes above which the file is refused; None: any size.
    any_text
        As in `parse_json`.

    Raises
    ------
    Sam2LoraError
        `error`, if the file is missing, cannot be read, is too large, or as in `parse_json`.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(-1 if largest is None else largest + 1)
    except OSError as reason:
        raise error(str(read_error(path, reason))) from reason
    if largest is not None and len(content) > largest:
        raise error(f"{path}: is larger than {largest} bytes, too large for such a file.")
    return parse_json(content, str(path), error=error, any_text=any_text)


def read_json_object(
    path: Path,
    *,
    error: type[Sam2LoraError],
    largest: int | None = None,
    any_text: bool = False,
) -> dict[str, Any]:
    """Read a JSON object from a file; the parameters are those of `read_json`.

    Raises
    ------
    Sam2LoraError
        `error`, if it is not an object, or as in `read_json`.
    """
    value = read_json(path, error=error, largest=largest, any_text=any_text)
    return _as_object(value, str(path), error)


def parse_json_object(
    content: str | bytes, source: str, *, error: type[Sam2LoraError]
) -> dict[str, Any]:
    """Parse a JSON object; the parameters are those of `parse_json`.

    Raises
    ------
    Sam2LoraError
        `error`, if it is not an object, or as in `parse_json`.
    """
    return _as_object(parse_json(content, source, error=error), source, error)


def parse_json(
    content: str | bytes, source: str, *, error: type[Sam2LoraError], any_text: bool = False
) -> Any:
    """Parse any JSON value.

    Parameters
    ----------
    content
        The text, or its bytes as UTF-8, UTF-16 or UTF-32.
    source
        Where it comes from, for error messages.
    error
        Class of the error to raise.
    any_text
        Whether halves of characters (lone surrogates) are accepted, with which Python writes names
        of files that are not UTF-8.

    Raises
    ------
    Sam2LoraError
        `error`, if it is truncated or not JSON, is nested deeper than 100 levels, or holds an
        integer beyond 64 bits or half of a character.
    """
    try:
        text = content if isinstance(content, str) else _decode(content)
        value = json.loads(text, parse_int=_parse_int)
        _check_depth(value)
        if not any_text and _ESCAPED_SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as reason:
        raise error(
            f"{source}: holds half of a character, which can be neither shown nor saved."
        ) from reason
    except UnicodeDecodeError as reason:
        raise error(f"{source}: is damaged or not a text file (byte {reason.start}).") from reason
    except RecursionError as reason:
        raise error(f"{source}: is nested deeper than {_DEEPEST} levels.") from reason
    except ValueError as reason:
        raise error(f"{source}: is truncated or not JSON ({reason}).") from reason
    return value


def _decode(content: bytes) -> str:
    # Not by `json.loads`, which accepts bytes that are not UTF-8.
    return content.decode(json.detect_encoding(content))


def _as_object(value: object, source: str, error: type[Sam2LoraError]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise error(f"{source}: is not a JSON object.")
    return value


def _parse_int(digits: str) -> int:
    length = len(digits.lstrip("-"))
    if length > _DIGITS or abs(int(digits)) >= 1 << 63:
        raise ValueError(f"an integer of {length} digits is too large")
    return int(digits)


def _check_depth(value: object) -> None:
    """Raise RecursionError if a value is nested deeper than `_DEEPEST` levels."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        level = [
            item
            for node in level
            if isinstance(node, dict | list)
            for item in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise RecursionError
