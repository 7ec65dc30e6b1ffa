"""`sam2lora demo`: segment one image, and write masks, a picture and measurements."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from sam2lora.images.field_of_view import FieldOfView
    from sam2lora.images.reading import FundusImage
    from sam2lora.measurements.structures import Measurements
    from sam2lora.types import Mask

SAMPLE_SEED = 7


def demo(
    image: Annotated[
        Path | None,
        typer.Argument(help="A fundus image; by default, a synthetic one is drawn."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
) -> None:
    """Segment vessels, disc and cup of one image; write masks, a picture and a JSON file."""
    from sam2lora.images.views import clahe_view, green_view
    from sam2lora.images.visualization import overlay, save_image, save_overview, save_picture
    from sam2lora.inference.pipeline import load_predictor, segment_image
    from sam2lora.inference.prepared_image import PreparedImage
    from sam2lora.measurements.structures import measure
    from sam2lora.targets import TARGETS
    from sam2lora.utils.files import make_folder

    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    clock = _Clock(console)
    with clock("read"):
        sample = _draw() if image is None else _read(image)
    make_folder(out)
    pixels = sample.image.pixels
    with clock("find the field of view"):
        prepared = PreparedImage.of(pixels)
    with clock("load the model"):
        predictor = load_predictor("nano", device=device)
    base = predictor.base
    masks: dict[str, Mask] = {}
    iou: dict[str, float] = {}
    confidence: dict[str, float] = {}
    for target in TARGETS.values():
        with clock(f"segment {target.name}"):
            prediction = segment_image(prepared, target, predictor=predictor)[target.name]
        masks[target.name], iou[target.name] = prediction.mask, round(prediction.iou, 3)
        if prediction.confidence is not None:
            confidence[target.name] = round(prediction.confidence, 3)
    with clock("measure"):
        measured = measure(masks, prepared.field, spacing=sample.image.spacing)
        manual = measure(sample.masks, prepared.field, spacing=sample.image.spacing)
    report = {
        "image": sample.describe(),
        "model": {
            "name": base.spec.name,
            "identity": base.weights_sha256,
            "device": str(predictor.device),
            "precision": predictor.precision,
        },
        "field_of_view": _describe_field(prepared.field),
        "segmented": measured.model_dump() | {"expected_iou": iou, "confidence": confidence},
        "manual": manual.model_dump() if sample.masks else None,
    }
    with clock("write"):
        for name, mask in masks.items():
            save_image(out / f"{sample.name}_{name}.png", mask)
        save_picture(out / f"{sample.name}_overlay.png", overlay(pixels, masks))
        save_picture(out / f"{sample.name}_green.png", green_view(pixels))
        save_picture(out / f"{sample.name}_clahe.png", clahe_view(pixels))
    with clock("draw the picture"):
        save_overview(
            out / f"{sample.name}_overview.png",
            pixels,
            prepared.field,
            title=sample.title,
            layers={f"segmented by {base.spec.name}": masks}
            | ({sample.caption: sample.masks} if sample.masks else {}),
            lines=_lines(sample, prepared.field, measured, manual),
        )
    report["seconds"] = clock.seconds
    _save_json(out / f"{sample.name}.json", report)

    for stage, seconds in clock.seconds.items():
        console.print(f"{stage:>24}  {seconds:6.2f} s")
    console.print(f"Masks:   {out / f'{sample.name}_<target>.png'}")
    console.print(f"Picture: {out / f'{sample.name}_overview.png'}")
    console.print(f"Report:  {out / f'{sample.name}.json'}")


class _Clock:
    """Times named stages, and shows the current one on a terminal."""

    def __init__(self, console: Console) -> None:
        self.seconds: dict[str, float] = {}
        self._console = console

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        with self._console.status(stage):
            yield
        self.seconds[stage] = round(time.perf_counter() - start, 3)


@dataclass(frozen=True, eq=False)
class _Sample:
    """An image, its reference masks, and the dataset it comes from."""

    name: str
    image: "FundusImage"
    masks: Mapping[str, "Mask"]
    dataset: str | None
    patient: str | None = None
    split: str | None = None

    @property
    def title(self) -> str:
        return f"{self.name} ({self.dataset or 'no recognized dataset'})"

    @property
    def caption(self) -> str:
        return "as drawn" if self.image.path is None else "as marked by grader 1"

    def describe(self) -> dict[str, Any]:
        height, width = self.image.pixels.shape[:2]
        return {
            "name": self.name,
            "height": height,
            "width": width,
            "eye": self.image.eye,
            "spacing_mm": self.image.spacing,
            "conversion": self.image.note,
            "data_set": self.dataset,
            "patient": self.patient,
            "split": self.split,
        }


def _draw() -> _Sample:
    from sam2lora.images.reading import FundusImage
    from sam2lora.synthetic import draw_fundus

    drawn = draw_fundus(SAMPLE_SEED)
    masks = {name: drawn.masks[name] for name in ("vessel", "disc", "cup")}
    image = FundusImage(drawn.image, eye=drawn.eye)
    return _Sample("sample", image, masks, f"synthetic, seed {SAMPLE_SEED}")


def _read(path: Path) -> _Sample:
    from sam2lora.datasets import find_record
    from sam2lora.images.decoding import image_stem
    from sam2lora.images.reading import read_image

    record = find_record(path)
    if record is None:
        return _Sample(image_stem(path), read_image(path), {}, None)
    masks = {target: record.read_mask(target) for target in record.masks}
    return _Sample(
        image_stem(path),
        record.read_image(),
        masks,
        record.dataset,
        record.patient,
        record.split,
    )


def _describe_field(field: "FieldOfView") -> dict[str, Any]:
    return {
        "found": field.found,
        "center": field.center,
        "diameter": field.diameter,
        "share_of_image": float(field.mask.mean()),
    }


def _lines(
    sample: _Sample, field: "FieldOfView", measured: "Measurements", manual: "Measurements"
) -> list[str]:
    height, width = sample.image.pixels.shape[:2]
    conversion = f" ({sample.image.note})" if sample.image.note else ""
    return [
        f"{width} × {height} pixels, {sample.image.eye or 'unknown'} eye{conversion}",
        f"field of view: {field.found}, diameter {field.diameter:.0f} pixels, "
        f"{field.mask.mean():.0%} of the image",
        "vessel density in the field: "
        + _compare(measured.vessel_density, manual.vessel_density, sample.caption, "{:.1%}"),
        "vertical cup/disc ratio:     "
        + _compare(
            measured.vertical_cup_disc_ratio,
            manual.vertical_cup_disc_ratio,
            sample.caption,
            "{:.2f}",
        ),
    ]


def _compare(value: float | None, manual: float | None, caption: str, form: str) -> str:
    segmented = "undefined" if value is None else form.format(value)
    return segmented if manual is None else f"{segmented} ({form.format(manual)} {caption})"


def _save_json(path: Path, content: dict[str, Any]) -> None:
    from sam2lora.utils.files import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
