"""An adapter is a folder of a few files, which is checked here without loading torch.

PEFT reads the same folder, without the detail head that some adapters have. None of it is trusted:
nothing in it is executed, no link is followed, and everything must agree with the card.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import safetensors

from sam2lora.adapters.card import AdapterCard, read_card
from sam2lora.adapters.head_format import check_head_file
from sam2lora.adapters.model_card import readme
from sam2lora.adapters.peft_format import Shapes, check_names, peft_config
from sam2lora.errors import AdapterError
from sam2lora.utils.files import sha256_of
from sam2lora.utils.json_files import read_json_object

CARD = "sam2lora.json"
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
README = "README.md"
HEAD = "detail_head.safetensors"

FILES = (CARD, CONFIG, WEIGHTS, README)
"""The files of every adapter. `HEAD` may come in addition; all others in its folder are ignored."""

LARGEST_WEIGHTS = 2 << 30
"""Bytes; the largest rank on the widest placement of the largest model needs less."""

_LARGEST_CONFIG = 1 << 16
_PICKLES = ("adapter_model.bin", "adapter_model.pt", "adapter_model.pth", "adapter_model.pkl")
_PRECISIONS = ("F32", "F16", "BF16")


@dataclass(frozen=True)
class Adapter:
    """A checked adapter on disk.

    Attributes
    ----------
    folder
        Folder of its files.
    card
        Its card.
    shipped
        Whether it comes with the package, so that it can be neither renamed nor deleted.
    """

    folder: Path
    card: AdapterCard
    shipped: bool = False

    @property
    def name(self) -> str:
        """Name of the adapter."""
        return self.card.name

    @property
    def weights(self) -> Path:
        """Path of the file with the tensors of its LoRA."""
        return self.folder / WEIGHTS

    @property
    def head_weights(self) -> Path:
        """Path of the file with the tensors of its detail head, which only some adapters have."""
        return self.folder / HEAD

    @property
    def tensor_files(self) -> tuple[Path, ...]:
        """Paths of the files with its tensors."""
        return (self.weights, self.head_weights) if self.card.detail_head else (self.weights,)

    def renamed(self, name: str, *, shipped: bool = False) -> Self:
        """Return the same adapter under another name."""
        return replace(self, card=self.card.renamed(name), shipped=shipped)

    def card_files(self) -> dict[str, str]:
        """Return the files that hold the name, with their contents, by file name."""
        return {CARD: self.card.to_json(), README: readme(self.card)}

    def digest(self) -> str:
        """Compute the SHA-256 of the file of its tensors.

        With a detail head, it is the SHA-256 of the two files' digests, one after the other.

        Raises
        ------
        AdapterError
            If the file can no longer be read.
        """
        digests = []
        for path in self.tensor_files:
            with _reading(path):
                digests.append(sha256_of(path))
        return (
            digests[0]
            if len(digests) == 1
            else hashlib.sha256("".join(digests).encode()).hexdigest()
        )


def open_adapter(folder: Path) -> Adapter:
    """Check an adapter's folder (files, card, PEFT configuration, tensor shapes) and open it.

    Parameters
    ----------
    folder
        A folder as `serialization.save_adapter` writes it.

    Raises
    ------
    AdapterError
        If a file is missing, corrupt, unsafe or contradicts the card; the message names it.
    """
    if not folder.is_dir():
        raise AdapterError(f"{folder}: there is no such folder.")
    _check_files(folder)
    card = read_card(folder / CARD)
    _check_config(folder / CONFIG, card)
    check_names(read_shapes(folder / WEIGHTS), card.lora, str(folder / WEIGHTS))
    _check_head(folder / HEAD, card)
    return Adapter(folder, card)


def read_shapes(path: Path) -> Shapes:
    """Read the shape of each tensor of a `.safetensors` file by name, without the values.

    Raises
    ------
    AdapterError
        If the file is truncated, corrupt, far too large, or holds tensors that are not floats.
    """
    with _reading(path):
        size = path.stat().st_size
        if size > LARGEST_WEIGHTS:
            raise AdapterError(f"{path}: has {size} bytes, too many for an adapter.")
        shapes = {}
        with safetensors.safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                tensor = file.get_slice(name)
                if tensor.get_dtype() not in _PRECISIONS:
                    raise AdapterError(
                        f"{path}: {name!r} holds {tensor.get_dtype()}, not one of "
                        f"{', '.join(_PRECISIONS)}."
                    )
                shapes[name] = tuple(tensor.get_shape())
        return shapes


def _check_files(folder: Path) -> None:
    pickles = [name for name in _PICKLES if (folder / name).exists()]
    if pickles and not (folder / WEIGHTS).exists():
        raise AdapterError(
            f"{folder}: has its weights in {pickles[0]}, a file that can run code when it is "
            f"loaded, so it was not. Ask its author for {WEIGHTS}."
        )
    missing = [name for name in (CARD, CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        hint = (
            f" Adapters of other programs have no {CARD} and cannot be used."
            if missing == [CARD]
            else ""
        )
        raise AdapterError(f"{folder}: {', '.join(missing)} is missing.{hint}")


def _check_head(path: Path, card: AdapterCard) -> None:
    """Refuse a detail head that the card does not describe, or none where it does."""
    if card.detail_head is not None:
        check_head_file(path, card.detail_head)
    elif path.exists():
        raise AdapterError(f"{path}: is a detail head, but by {CARD} this adapter has none.")


def _check_config(path: Path, card: AdapterCard) -> None:
    """Refuse a PEFT configuration that differs from what the card implies."""
    found = read_json_object(path, error=AdapterError, largest=_LARGEST_CONFIG)
    expected = peft_config(card.lora)
    for key in sorted(found.keys() | expected.keys()):
        if key not in expected:
            raise AdapterError(f"{path}: has {key!r}, which adapters of this project do not have.")
        if key not in found or found[key] != expected[key]:
            raise AdapterError(
                f"{path}: {key!r} is {found.get(key, 'missing')!r}, but by {CARD} it must be "
                f"{expected[key]!r}."
            )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn errors of reading `path` into an AdapterError that names it."""
    try:
        yield
    except safetensors.SafetensorError as error:
        raise AdapterError(f"{path}: is truncated or not a safetensors file ({error}).") from error
    except OSError as error:
        raise AdapterError(f"{path}: cannot be read ({error.strerror or error}).") from error
