"""What is chosen to segment with: base model, device, and each target's adapter and input mode."""

from qtpy.QtCore import QObject, Signal

from napari_sam2lora._settings import preferences
from napari_sam2lora.segmentation.requests import (
    ComputeSettings,
    ModelChoice,
    SegmentationRequest,
)
from sam2lora.settings import PrecisionChoice
from sam2lora.targets import Target


class ModelChoices(QObject):
    """The choices of one viewer; they know no image, no layer and no result.

    Signals
    -------
    changed()
        What is predicted from now on may differ.

    Attributes
    ----------
    model
        Name of the base model, or path of its weights.
    device, precision
        As chosen here; None: as the Preferences say.
    start_from_mask
        Whether predictions start from the mask that is painted.
    adapters_revision
        Another number whenever adapters on the disk may have changed.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.model = "nano"
        self.device: str | None = None
        self.precision: PrecisionChoice | None = None
        self.start_from_mask = False
        self.adapters_revision = 0
        self._choices: dict[str, ModelChoice] = {}

    @property
    def compute(self) -> ComputeSettings:
        """The base model with device and precision: those chosen here, else the Preferences'."""
        default = preferences()
        return ComputeSettings(
            self.model, self.device or default.device, self.precision or default.precision
        )

    def set_compute(
        self, model: str, device: str | None = None, precision: PrecisionChoice | None = None
    ) -> None:
        """Set the base model, device and precision; None is what the Preferences say."""
        self.model, self.device, self.precision = model, device, precision
        self.changed.emit()

    def choice(self, target: Target) -> ModelChoice:
        """Return how a target is segmented."""
        return self._choices.get(target.name, ModelChoice())

    def outer_adapter(self, target: Target) -> str | None:
        """Return the adapter chosen for the target that another one lies in; None: the default."""
        return self._choices.get(target.inside or "", ModelChoice()).adapter

    def set_choice(self, target: Target, choice: ModelChoice) -> None:
        """Set how a target is segmented from now on."""
        self._choices[target.name] = choice
        self.changed.emit()

    def set_start_from_mask(self, start: bool) -> None:
        """Set whether predictions start from the painted mask from now on."""
        self.start_from_mask = start
        self.changed.emit()

    def reload_adapters(self) -> None:
        """Look adapters up again for requests made from now on."""
        self.adapters_revision += 1

    def match(self, request: SegmentationRequest) -> bool:
        """Check whether a request was made with what is chosen now."""
        target = request.target
        known = request.outer_mask is not None  # then no adapter looks for it
        return (request.compute, request.choice, request.start_from_mask) == (
            self.compute,
            self.choice(target),
            self.start_from_mask,
        ) and (known or request.outer_adapter == self.outer_adapter(target))
