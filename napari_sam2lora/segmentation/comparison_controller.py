"""Connects a session to the comparison panel."""

from napari.layers import Labels
from qtpy.QtCore import QObject

from napari_sam2lora.layers.conversion import mask_of
from napari_sam2lora.layers.lookup import layer_data, masks_of_image
from napari_sam2lora.layers.metadata import target_in
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.segmentation.model_comparison import Display, ModelComparison
from napari_sam2lora.segmentation.model_controller import ModelController
from napari_sam2lora.segmentation.requests import ModelChoice
from napari_sam2lora.segmentation.session import Session
from napari_sam2lora.segmentation.widgets.comparison_panel import ComparisonPanel
from napari_sam2lora.segmentation.widgets.model_panel import AUTOMATIC, NO_ADAPTER
from sam2lora.targets import InputMode, Target

_COLORS = "Green: in both; red: not in the reference; blue: only in the reference."


class ComparisonController(QObject):
    """Starts comparisons, and shows their scores.

    Parameters
    ----------
    session, models
        The session of the viewer, and its model controller.
    view
        The panel; it owns this controller.
    """

    def __init__(self, session: Session, models: ModelController, view: ComparisonPanel) -> None:
        super().__init__(view)
        self._session, self._models, self._view = session, models, view
        self.comparison = ModelComparison(session.viewer, session.queue.worker, self)
        self.comparison.changed.connect(self._on_changed)
        self.comparison.busy_changed.connect(view.show_busy)
        view.compare_requested.connect(self._on_compare)
        view.clear_requested.connect(self.comparison.clear)
        view.lists_requested.connect(self._fill_lists)
        session.selection_changed.connect(self._fill_lists)
        self._fill_lists()

    def close(self) -> None:
        """Stop showing results."""
        self.comparison.close()

    def _fill_lists(self) -> None:
        self._view.show_adapters(self._models.adapter_entries())
        references = self._references()
        own = (key for key, one in references.items() if _shows(one, self._session.target))
        self._view.show_references(
            [(one.name, key) for key, one in references.items()], next(own, None)
        )

    def _references(self) -> dict[str, Labels]:
        """Return the masks of the image by an id that survives renaming."""
        image = self._session.image
        masks = [] if image is None else masks_of_image(self._session.viewer, image)
        return {str(mask.unique_id): mask for mask in masks}

    def _on_compare(self, names: list[str], reference: str | None, display: Display) -> None:
        session = self._session
        if session.image is None:
            self._view.show_message("Open a fundus image first.")
            return
        if session.target.kind == "point":
            self._view.show_message(f"{session.target.name} is a point; masks are compared here.")
            return
        references = self._references()
        if reference is not None and reference not in references:
            self._view.show_message(
                "The reference is no longer a mask of this image. Choose another."
            )
            return
        detail = session.choices.choice(session.target).detail
        models = [(_title(name), _choice(name, detail)) for name in names]
        with show_user_errors(self):
            mask = None if reference is None else mask_of(layer_data(references[reference]))
            request = session.queue.make_request(session.image, session.target)
            self._view.show_message("")
            self.comparison.start(
                session.queue.engine,
                session.image,
                request,
                models,
                reference=mask,
                display=display,
            )

    def _on_changed(self) -> None:
        results = self.comparison.results
        lines = [f"{one.title}: {one.score_text}" for one in results]
        self._view.show_message("\n".join([*lines, _COLORS] if results else []))


def _shows(mask: Labels, target: Target) -> bool:
    return target_in(mask.metadata, mask.name) == target


def _title(name: str) -> str:
    return {NO_ADAPTER: "No adapter", AUTOMATIC: "Automatic"}.get(name, name)


def _choice(name: str, detail: InputMode | None) -> ModelChoice:
    named = None if name in (AUTOMATIC, NO_ADAPTER) else name
    return ModelChoice(adapter=named, no_adapter=name == NO_ADAPTER, detail=detail)
