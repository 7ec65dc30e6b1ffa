"""Provenance of a report: the files with their hashes, the computer and the libraries."""

import hashlib
import os
import platform
from pathlib import Path

from pydantic import JsonValue

from sam2lora.adapters.card import library_versions
from sam2lora.datasets import Record
from sam2lora.evaluation.data_selection import EvaluationPart
from sam2lora.evaluation.protocols import Protocol
from sam2lora.evaluation.report.schema import DataEntry, FileEntry
from sam2lora.utils.files import sha256_of

_LIBRARIES = ("numpy", "scipy", "scikit-image", "pillow")


def describe_part(part: EvaluationPart, target: str, protocol: Protocol) -> DataEntry:
    """Describe the images of one dataset, each file with the hash of its content."""
    paths = sorted({path for record in part.records for path in _files(record, target)})
    files = tuple(FileEntry(path=str(path), sha256=_sha256(path)) for path in paths)
    digest = hashlib.sha256("\n".join(str(file.sha256) for file in files).encode()).hexdigest()
    return DataEntry(
        dataset=part.dataset.name,
        root=str(part.dataset.root),
        layout=part.dataset.layout,
        split=part.split,
        images=len(part.records),
        without_mask=part.without_mask,
        field_of_view=_field_of_view(part, protocol),
        files=files,
        sha256=digest,
    )


def describe_machine(device: str, precision: str) -> dict[str, JsonValue]:
    """Describe the computer, without anything that identifies it or its user."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "device": device,
        "precision": precision,
    }


def all_versions() -> dict[str, str]:
    """Return the versions of the libraries that the scores depend on."""
    return library_versions() | library_versions(_LIBRARIES)


def _files(record: Record, target: str) -> list[Path]:
    fov = [record.fov.path] if record.fov else []
    return [record.image, *(file.path for file in record.masks[target]), *fov]


def _sha256(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except OSError:
        return None


def _field_of_view(part: EvaluationPart, protocol: Protocol) -> str:
    if not protocol.uses_field_of_view:
        return "whole image"
    given = sum(record.fov is not None for record in part.records)
    if given == len(part.records):
        return "files of the dataset"
    if not given:
        return "found in the images"
    return f"files of the dataset for {given} images, found in the others"
