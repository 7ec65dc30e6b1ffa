"""Write an adapter's `README.md`, its model card on the Hugging Face Hub."""

import json
from collections.abc import Mapping

from pydantic import JsonValue

from sam2lora.adapters.card import AdapterCard

_PLAIN_PEFT = """\
from peft import PeftModel

model = PeftModel.from_pretrained(sam2_base, "path/to/this/folder")  # sam2_base: a SAM2Base"""

_DETAIL_HEAD = """\
## Detail head

A small network in `detail_head.safetensors` draws the mask at the input's full resolution, from the
input and the output of SAM 2's decoder. PEFT alone does not know it and predicts without it.

"""


def readme(card: AdapterCard) -> str:
    """Return the model card in Markdown, with the metadata block the Hugging Face Hub reads."""
    lora, base, target = card.lora, card.base, card.target.name
    parts = [
        _head(card),
        f"# {card.name}\n\nA LoRA adapter that makes SAM 2 segment **{target}** in retinal fundus "
        f"images, trained with napari-sam2lora. {card.notice}",
        *_sections({"Intended use": card.purpose, "Limits": card.limits}),
        "## Use\n\nFrom the command line:\n\n```sh\n"
        f"sam2lora predict IMAGE --target {target} --model {base.name} "
        "--adapter path/to/this/folder --out results\n```\n\n"
        f"With PEFT alone, on the SAM 2 it was trained for:\n\n```python\n{_PLAIN_PEFT}\n```\n\n"
        "Images must be presented as in the training, see Geometry below.",
        "## Adapter\n\n" + _table(_overview(card)),
        "## Geometry\n\n" + _table(card.geometry.model_dump(mode="json")),
        "## LoRA\n\n" + _table(lora.model_dump(mode="json")),
    ]
    if card.detail_head is not None:
        parts.append(_DETAIL_HEAD + _table(card.detail_head.model_dump(mode="json")))
    for title, content in (
        ("Results", card.results),
        ("Validation", card.validation),
        ("Training data", card.data),
        ("Training", card.training),
        ("Versions", card.versions),
    ):
        if content:
            parts.append(f"## {title}\n\n" + _table(content))
    if card.commands:
        # Indented, since nothing in a line can end such a block.
        lines = [f"    {' '.join(command.split())}" for command in card.commands]
        parts.append("## How to reproduce it\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _sections(texts: Mapping[str, str]) -> list[str]:
    return [f"**{title}:** {_plain(text)}" for title, text in texts.items() if text]


def _head(card: AdapterCard) -> str:
    return (
        "---\n"
        "library_name: peft\n"
        "license: other\n"
        f"license_name: {json.dumps(card.license)}\n"
        "pipeline_tag: image-segmentation\n"
        "tags: [lora, sam2, retina, fundus, medical]\n"
        "---"
    )


def _overview(card: AdapterCard) -> dict[str, JsonValue]:
    started = card.started_from
    return {
        "target": card.target.name,
        "threshold": card.threshold,
        "base model": card.base.name,
        "SHA-256 of the base weights": card.base.identity,
        "trained weights": f"{card.trainable} ({card.share:.2f} % of the base)",
        "initial adapter": f"{started.name} ({started.digest})" if started else None,
        "hash of the training data": card.data_hash,
        "license": card.license,
        "trained": card.created.isoformat(),
    }


def _table(content: Mapping[str, JsonValue]) -> str:
    """Return a Markdown table of two columns; values of None are left out."""
    rows = ["| | |", "|---|---|"]
    for name, value in content.items():
        if value is not None:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            escaped = (_plain(name), _plain(shown))
            rows.append("| {} | {} |".format(*escaped))
    return "\n".join(rows)


def _plain(text: str) -> str:
    for character in "\\|<>[]`":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
