"""Results as a file, and back."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from sam2lora.benchmarking.result import Result
from sam2lora.errors import BenchmarkError
from sam2lora.files import atomic_path


def write_results(path: Path, results: Sequence[Result]) -> None:
    """Write results as JSON, whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    content = [result.model_dump(mode="json") for result in results]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_results(path: Path) -> list[Result]:
    """Read what `write_results` wrote.

    Raises
    ------
    BenchmarkError
        If it is missing or something else.
    """
    try:
        content = json.loads(path.read_bytes())
        return [Result.model_validate(one) for one in content]
    except (OSError, ValueError, TypeError, ValidationError) as error:
        raise BenchmarkError(f"{path}: cannot be read as results ({error}).") from error
