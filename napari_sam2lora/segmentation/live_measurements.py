"""Numbers about the answers of an image, measured in a thread, for they are not in a hurry."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.metadata import TargetKey
from napari_sam2lora.qt.worker import ReportProgress, Worker
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.metrics.measurements import Measurements, Spacing, measure
from sam2lora.types import Mask

_PAUSE = 150  # milliseconds without a change before measuring


@dataclass(frozen=True, eq=False)
class MeasurementResult:
    """What was measured.

    Attributes
    ----------
    place
        The image, and the target that is chosen.
    iou
        The IoU the network expects of it; None where it did not answer.
    measurements
        Of all targets of the image.
    """

    place: TargetKey
    iou: float | None
    measurements: Measurements

    @property
    def target(self) -> str:
        """Name of the target that is chosen."""
        return self.place[1]


class LiveMeasurements(QObject):
    """Measures masks when they have stopped changing for a moment.

    Signals
    -------
    measured(measured)
        New numbers.
    failed(key, error)
        There are none, because of a defect.
    """

    measured = Signal(object)
    failed = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self.worker = Worker()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._measure)
        self._asked: partial[MeasurementResult] | None = None
        self.worker.done.connect(self._on_done)
        self.worker.failed.connect(self.failed)

    def ask(
        self,
        place: TargetKey,
        iou: float | None,
        masks: Mapping[str, Mask],
        field: FieldOfView,
        spacing: Spacing | None,
    ) -> None:
        """Measure these masks soon, in place of what was asked before.

        Parameters
        ----------
        place, iou
            As the attributes of `MeasurementResult`.
        masks, field, spacing
            As for `measurements.measure`.
        """
        self._asked = partial(_measured, place, iou, masks, field, spacing)
        self._timer.start()

    def forget(self) -> None:
        """Measure what was asked no more."""
        self._asked = None

    def close(self) -> None:
        """Measure nothing more."""
        self._asked = None
        self.worker.close()

    def _measure(self) -> None:
        if self._asked is not None:
            self.worker.ask("numbers", self._asked)

    def _on_done(self, key: object, measured: MeasurementResult) -> None:
        self.measured.emit(measured)


def _measured(
    place: TargetKey,
    iou: float | None,
    masks: Mapping[str, Mask],
    field: FieldOfView,
    spacing: Spacing | None,
    report: ReportProgress,
) -> MeasurementResult:
    return MeasurementResult(place, iou, measure(masks, field, spacing=spacing))


def rows(measured: MeasurementResult) -> Iterator[tuple[str, str]]:
    """Give the numbers that matter while correcting, as rows of a name and a value."""
    if measured.iou is not None:
        yield f"expected IoU of the {measured.target}", f"{measured.iou:.3f}"
    found = measured.measurements
    extent = found.structures.get(measured.target)
    if extent is not None:
        in_mm = "" if extent.area_mm2 is None else f"  ({_area(extent.area_mm2)})"
        yield f"area of the {measured.target}", f"{extent.area_px} px{in_mm}"
        if extent.vertical_mm is not None and measured.target != "vessel":
            size = f"{1000 * extent.vertical_mm:.0f} × {1000 * (extent.horizontal_mm or 0):.0f} µm"
            yield "height × width", size
    if found.vertical_cup_disc_ratio is not None:
        yield "vertical cup/disc ratio", f"{found.vertical_cup_disc_ratio:.3f}"
    if found.vessel_density is not None:
        yield "vessel density in the field of view", f"{found.vessel_density:.1%}"


def _area(square_mm: float) -> str:
    """Give an area in the unit in which it is a number one can read."""
    return f"{square_mm:.3f} mm²" if square_mm >= 0.01 else f"{1e6 * square_mm:.0f} µm²"
