"""Choose images of a data set by their names."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from sam2lora.datasets.records import Record
from sam2lora.errors import DatasetError, SettingsError


def check_expression(text: str | None) -> str | None:
    """Give `text` back if it is a regular expression, or None.

    Raises
    ------
    SettingsError
        If it is none; the message says where it goes wrong.
    """
    try:
        re.compile(text or "")
    except re.error as error:
        raise SettingsError(f"{text!r} is no regular expression ({error}).") from error
    return text


def _is_expression(text: str | None) -> str | None:
    try:
        return check_expression(text)
    except SettingsError as error:
        raise ValueError(str(error)) from error


Expression = Annotated[str | None, AfterValidator(_is_expression)]
"""A setting that is a regular expression, or None."""


def filter_by_stem(
    records: Sequence[Record],
    root: Path | str,
    *,
    include: str | None = None,
    exclude: str | None = None,
) -> list[Record]:
    """Choose records by their stems.

    Parameters
    ----------
    records
        Of one data set.
    root
        Where it is, for the message.
    include
        Regular expression; only stems it matches somewhere are kept. None: all.
    exclude
        Regular expression; stems it matches somewhere are left out. None: none.

    Raises
    ------
    DatasetError
        If nothing is left.
    """
    kept = [
        record
        for record in records
        if (include is None or re.search(include, record.stem))
        and not (exclude is not None and re.search(exclude, record.stem))
    ]
    if not kept:
        raise DatasetError(
            f"{root}: none of its {len(records)} images is left by include {include!r} and exclude "
            f"{exclude!r}. They match stems, such as {records[0].stem!r}."
        )
    return kept
