"""An extension of Griffe: a Returns section of plain words is a description, not a type.

NumPy's style wants a type first; here the signature has it, and the section says what it means.
"""

from typing import Any

import griffe


class PlainReturns(griffe.Extension):
    """Take the words for the description and the type from the signature."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Mend the Returns section of one function."""
        for section in func.docstring.parsed if func.docstring else ():
            if not isinstance(section, griffe.DocstringSectionReturns):
                continue
            for item in section.value:
                if isinstance(item.annotation, str) and not item.description:
                    item.description = item.annotation
                    item.annotation = func.returns
