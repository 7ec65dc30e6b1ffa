"""Several models on the same prompts, each compared with a reference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from napari.layers import Image, Layer
from napari.utils import DirectLabelColormap
from napari.viewer import Viewer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.conversion import transform_of, view_layer
from napari_sam2lora.layers.insertion import add_quietly, set_visible
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.qt.worker import ReportProgress, Worker
from napari_sam2lora.segmentation.engine import Engine
from napari_sam2lora.segmentation.requests import (
    FailedRequest,
    LocatedResult,
    ModelChoice,
    SegmentationRequest,
    SegmentationResult,
)
from sam2lora.images.visualization import ERROR_COLORS
from sam2lora.metrics.segmentation import dice
from sam2lora.types import Mask, Pixels

Display = Literal["side by side", "blink"]

_VIEW = "comparison"
_GAP = 1.05  # of the image's width, from one copy to the next
_BLINK = 800  # milliseconds


@dataclass(frozen=True, eq=False)
class ComparedModel:
    """The result of one model.

    Attributes
    ----------
    title
        The model's title.
    result
        Its result; None if it failed.
    score_text
        Its Dice against the reference, or why there is none.
    agreement
        `(H, W)` uint8: 1 true positive, 2 false positive, 3 false negative.
    """

    title: str
    result: SegmentationResult | None
    score_text: str
    agreement: np.ndarray


def compare_models(
    engine: Engine,
    request: SegmentationRequest,
    models: Sequence[tuple[str, ModelChoice]],
    reference: Mask | None,
    report: ReportProgress,
) -> Iterator[ComparedModel]:
    """Segment the same with several models, on the worker thread.

    Parameters
    ----------
    engine
        What segments.
    request
        The request; each model replaces its choice.
    models
        Titles and choices.
    reference
        `(H, W)` bool to compare with; None for the first model's mask.
    report
        Called with the progress.

    Yields
    ------
    The result of each model.
    """
    for title, choice in models:
        result = engine.try_segment(replace(request, choice=choice), report)
        if isinstance(result, FailedRequest):
            yield ComparedModel(title, None, str(result.error), np.zeros((0, 0), np.uint8))
            continue
        if isinstance(result, LocatedResult):
            raise TypeError("Masks are compared, not points.")
        mask = result.prediction.mask
        if reference is None:
            reference, text = mask, "reference"
        else:
            text = f"Dice {dice(mask, reference, valid=result.prepared.field.mask):.3f}"
        agreement = np.select([mask & reference, mask, reference], [1, 2, 3]).astype(np.uint8)
        yield ComparedModel(title, result, text, agreement)


class ModelComparison(QObject):
    """Shows the results of several models in one image.

    Parameters
    ----------
    viewer
        The viewer.
    worker
        The session's worker.
    parent
        Qt parent.

    Signals
    -------
    changed()
        Another result was added, or all were cleared.
    busy_changed(busy)
        A comparison has begun or ended.

    Attributes
    ----------
    results
        The results so far.
    """

    changed = Signal()
    busy_changed = Signal(bool)

    def __init__(self, viewer: Viewer, worker: Worker, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.results: list[ComparedModel] = []
        self._viewer, self._worker = viewer, worker
        self._image: Image | None = None
        self._display: Display = "side by side"
        self._number = 0  # of the comparison that is shown
        self._running = False
        self._timer = QTimer(self)
        self._timer.setInterval(_BLINK)
        self._timer.timeout.connect(self._blink)
        worker.yielded.connect(self._on_yielded)
        for end in (worker.done, worker.failed, worker.stopped):
            end.connect(self._on_end)

    def start(
        self,
        engine: Engine,
        image: Image,
        request: SegmentationRequest,
        models: Sequence[tuple[str, ModelChoice]],
        *,
        reference: Mask | None,
        display: Display,
    ) -> None:
        """Compare models, replacing a comparison that runs; see `compare_models`."""
        self.clear()
        self._image, self._display = image, display
        work = partial(compare_models, engine, request, models, reference)
        self._worker.submit(self._key, work)
        self._set_running(True)

    def clear(self) -> None:
        """Remove all layers of the comparison, and stop what still runs."""
        old, self._number = self._key, self._number + 1  # later results of the old one are dropped
        if self._running:
            self._worker.cancel(old)
            self._set_running(False)
        self._timer.stop()
        self.results = []
        shown = self._own()
        self._viewer.layers.selection.difference_update(shown)
        for layer in shown:
            self._viewer.layers.remove(layer)
        if shown and self._display == "side by side":
            self._viewer.fit_to_view()  # the view was zoomed out for all of them
        self.changed.emit()

    def close(self) -> None:
        """Stop showing results."""
        self._timer.stop()
        self._image = None

    @property
    def _key(self) -> str:
        return f"comparison {self._number}"

    def _set_running(self, running: bool) -> None:
        self._running = running
        self.busy_changed.emit(running)

    def _on_end(self, key: object, _: object = None) -> None:
        if key == self._key:
            self._set_running(False)

    def _own(self) -> list[Layer]:
        return [
            one for one in self._viewer.layers if plugin_metadata(one.metadata).get("view") == _VIEW
        ]

    def _on_yielded(self, key: object, result: object) -> None:
        if key != self._key or not isinstance(result, ComparedModel):
            return
        self.results.append(result)
        if result.result is not None and self._image in self._viewer.layers:
            if self._display == "side by side":
                self._show_beside(result, len(self.results))
            else:
                self._show_over(result)
                self._timer.start()
        self.changed.emit()

    def _show_beside(self, compared: ComparedModel, number: int) -> None:
        image, found = self._image, compared.result
        if image is None or found is None:
            return
        step = number * _GAP * found.prepared.shape[1] * image.scale[-1]
        for layer in (
            _copy(image, found.prepared.pixels, compared.title),
            _errors(image, compared),
        ):
            place = transform_of(layer_data(layer))["translate"]
            layer.translate = (place[0], place[1] + step)
            add_quietly(self._viewer, layer)
        self._viewer.fit_to_view()

    def _show_over(self, result: ComparedModel) -> None:
        if self._image is not None:
            layer = _errors(self._image, result)
            layer.visible = not self._own()
            add_quietly(self._viewer, layer)

    def _blink(self) -> None:
        """Show the next result instead of the current one."""
        layers = self._own() if self._image is not None else []
        if len(layers) > 1:
            shown = next((number for number, one in enumerate(layers) if one.visible), 0)
            for number, layer in enumerate(layers):
                set_visible(layer, number == (shown + 1) % len(layers))


def _copy(image: Image, pixels: Pixels, title: str) -> Layer:
    made = view_layer(_VIEW, pixels, layer_data(image), "image", rgb=True)
    made[1]["name"] = f"{title}: {image.name}"
    return Layer.create(*made)


def _errors(image: Image, result: ComparedModel) -> Layer:
    colors: dict[int | None, Any] = {0: "transparent", None: "transparent"}
    colors |= dict(enumerate(ERROR_COLORS, start=1))
    made = view_layer(
        _VIEW,
        result.agreement,
        layer_data(image),
        "labels",
        colormap=DirectLabelColormap(color_dict=colors),
        opacity=0.6,
    )
    made[1]["name"] = f"{result.title}: {result.score_text}"
    return Layer.create(*made)
