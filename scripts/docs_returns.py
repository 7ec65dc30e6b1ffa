"""Griffe extension: a Returns section of plain text is a description, not a type.

NumPy style has the type first; here the signature has it, and the section describes the value.
"""

from typing import Any

import griffe


class PlainReturns(griffe.Extension):
    """Uses the text as the description, and the type of the signature."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Repair the Returns section of one function."""
        for section in func.docstring.parsed if func.docstring else ():
            if not isinstance(section, griffe.DocstringSectionReturns):
                continue
            for item in section.value:
                if isinstance(item.annotation, str) and not item.description:
                    item.description = item.annotation
                    item.annotation = func.returns
