"""List the weights that come with the package by a short hash, as pages name them.

python -m scripts.shipped_weights

A page of the documentation with figures of weights says in its front matter which ones, as
`weights: {nano-disc: 3058dfe7}`, or `weights: history` where none of them is shipped any more.
A test compares these with the package.
"""

import sys
from typing import get_args

from sam2lora.adapters import list_adapters
from sam2lora.models.click_refiner import RefinerKind, refiner_path
from sam2lora.utils.files import sha256_of

LENGTH = 8
"""Characters of a hash that a page names."""


def shipped_weights() -> dict[str, str]:
    """Return the short hash of the embedded base model, its adapters and the click refiners."""
    adapters = [one for one in list_adapters() if one.shipped]
    found = {one.card.base.name: one.card.base.identity for one in adapters}
    found |= {one.name: one.digest() for one in adapters}
    found |= {f"clicks-{kind}": sha256_of(refiner_path(kind)) for kind in get_args(RefinerKind)}
    return {name: digest[:LENGTH] for name, digest in found.items()}


if __name__ == "__main__":
    for name, digest in shipped_weights().items():
        sys.stdout.write(f"{name}: {digest}\n")
