"""Code in pages of documentation, which tests run."""

import re


def code_blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a language in a page, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
