"""Measurements of an image's masks while they are corrected, in a worker thread of their own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.metadata import TargetKey
from napari_sam2lora.layers.points import LocatedPoint
from napari_sam2lora.qt.worker import ReportProgress, Worker
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.measurements.structures import Measurements, measure
from sam2lora.types import Mask, Spacing

_WORDS = ((0.9, "sure"), (0.7, "fairly sure"), (0.3, "doubtful"), (0.0, "probably wrong"))
_PAUSE = 150  # milliseconds without a change before measuring


@dataclass(frozen=True, eq=False)
class MeasurementResult:
    """Measurements of one image.

    Attributes
    ----------
    key
        The image, and the current target.
    iou
        The predicted IoU of its result; None without one.
    confidence
        How sure that result is, 0…1; None if it is not known.
    measurements
        Of all targets of the image.
    """

    key: TargetKey
    iou: float | None
    confidence: float | None
    measurements: Measurements

    @property
    def target(self) -> str:
        """Name of the current target."""
        return self.key[1]


class LiveMeasurements(QObject):
    """Measures masks once they have stopped changing for a moment.

    Signals
    -------
    measured(result)
        A `MeasurementResult`.
    failed(key, error)
        Measuring failed, because of a defect.
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
        self._request: partial[MeasurementResult] | None = None
        self.worker.done.connect(self._on_done)
        self.worker.failed.connect(self.failed)

    def submit(
        self,
        key: TargetKey,
        iou: float | None,
        masks: Mapping[str, Mask],
        field: FieldOfView,
        spacing: Spacing | None,
        *,
        confidence: float | None = None,
    ) -> None:
        """Measure these masks soon, in place of an earlier request.

        Parameters
        ----------
        key, iou, confidence
            As the attributes of `MeasurementResult`.
        masks, field, spacing
            As for `sam2lora.measurements.structures.measure`.
        """
        self._request = partial(_measured, key, iou, confidence, masks, field, spacing)
        self._timer.start()

    def cancel(self) -> None:
        """Drop a measurement that has not begun."""
        self._request = None
        self.worker.cancel()

    def close(self) -> None:
        """Stop measuring."""
        self._request = None
        self.worker.close()

    def _measure(self) -> None:
        if self._request is not None:
            self.worker.submit("measure", self._request)

    def _on_done(self, key: object, result: MeasurementResult) -> None:
        self.measured.emit(result)


def _measured(
    key: TargetKey,
    iou: float | None,
    confidence: float | None,
    masks: Mapping[str, Mask],
    field: FieldOfView,
    spacing: Spacing | None,
    report: ReportProgress,
) -> MeasurementResult:
    return MeasurementResult(key, iou, confidence, measure(masks, field, spacing=spacing))


def rows(measured: MeasurementResult) -> Iterator[tuple[str, str]]:
    """Return the measurements that matter while correcting, as rows of a name and a value."""
    if measured.confidence is not None:
        words = confidence_words(measured.confidence)
        yield f"Confidence in the {measured.target}", f"{words} ({measured.confidence:.2f})"
    if measured.iou is not None:
        yield f"Predicted IoU of the {measured.target}", f"{measured.iou:.3f}"
    found = measured.measurements
    extent = found.structures.get(measured.target)
    if extent is not None:
        in_mm = "" if extent.area_mm2 is None else f"  ({_area(extent.area_mm2)})"
        yield f"Area of the {measured.target}", f"{extent.area_px} px{in_mm}"
        if extent.vertical_mm is not None and measured.target != "vessel":
            size = f"{1000 * extent.vertical_mm:.0f} × {1000 * (extent.horizontal_mm or 0):.0f} µm"
            yield "Height × width", size
    if found.vertical_cup_disc_ratio is not None:
        yield "Vertical cup/disc ratio", f"{found.vertical_cup_disc_ratio:.3f}"
    if found.vessel_density is not None:
        yield "Vessel density", f"{found.vessel_density:.1%}"


def point_rows(target: str, point: LocatedPoint) -> Iterator[tuple[str, str]]:
    """Return where a target is that is a point, as rows of a name and a value."""
    yield (
        f"Confidence in the {target}",
        "set by hand" if point.set_by_hand else f"{point.confidence:.2f}",
    )
    yield f"Place of the {target}", f"x {point.x:.1f}, y {point.y:.1f} px"
    yield "Accepted", "yes" if point.accepted else "not yet"


def confidence_words(confidence: float) -> str:
    """Return a confidence 0…1 in words."""
    return next(words for least, words in _WORDS if confidence >= least)


def _area(square_mm: float) -> str:
    """Return an area as text, in a unit that makes it readable."""
    return f"{square_mm:.3f} mm²" if square_mm >= 0.01 else f"{1e6 * square_mm:.0f} µm²"
