"""Prediction for a session: all it needs torch for. Only its worker thread may use it.

The network, images and adapters in use are cached, so that the next prompt is fast.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sam2lora.layers.conversion import LayerData, pixels_of
from napari_sam2lora.layers.field_of_view import field_of_view
from napari_sam2lora.layers.images import ImageSnapshot
from napari_sam2lora.qt.worker import ReportProgress, Stopped
from napari_sam2lora.segmentation.requests import (
    ComputeSettings,
    DeviceInfo,
    FailedRequest,
    LocatedResult,
    SegmentationRequest,
    SegmentationResult,
)
from napari_sam2lora.segmentation.warmup import load_torch, warm_up_colors
from sam2lora.adapters import Adapter
from sam2lora.errors import DeviceError, GeometryError, Sam2LoraError
from sam2lora.inference.settings import PredictSettings
from sam2lora.targets import Target

if TYPE_CHECKING:
    from sam2lora.inference.batch import BatchProgress
    from sam2lora.inference.predictor import Predictor
    from sam2lora.inference.prepared_image import PreparedImage
    from sam2lora.inference.result_files import FileResult
    from sam2lora.inference.segment import SegmentationTask

_PER_IMAGE = 100  # steps of progress that one image of a batch is
_IMAGES = 4  # prepared images that are cached; embeddings have a cache of their own


class Engine:
    """The predictor in use, with the images and adapters it used last."""

    def __init__(self) -> None:
        self._compute: ComputeSettings | None = None
        self._predictor: Predictor | None = None
        self._prepared: OrderedDict[str, tuple[ImageSnapshot, PreparedImage]] = OrderedDict()
        self._adapters: dict[tuple[Any, ...], Adapter | None] = {}
        self._outer_tasks: dict[tuple[Target, str | None], SegmentationTask | None] = {}
        self._closed = False
        self._adapters_revision = 0  # of the requests for which they were looked up

    def release(self) -> None:
        """Drop the network, its adapters and all images; a job that runs ends first by itself."""
        self._compute = self._predictor = None
        self._prepared.clear()
        self._adapters.clear()
        self._outer_tasks.clear()

    def close(self) -> None:
        """Release everything, and load no network any more."""
        self._closed = True
        self.release()

    def free(self, report: ReportProgress) -> None:
        """Release a GPU's memory; the next request loads the network again.

        Main memory is kept: the embeddings in it are worth more than the space.
        """
        if self._predictor is None or self._predictor.device.type == "cpu":
            return
        report("Freeing memory", 0, None)
        from sam2lora.compute.device import release_memory

        device = self._predictor.device
        self.release()
        release_memory(device)

    def describe(self, compute: ComputeSettings, report: ReportProgress) -> DeviceInfo:
        """Return what the network runs on, and warm up what the first preview needs."""
        report("Loading PyTorch", 0, None)
        load_torch()
        warm_up_colors()
        from sam2lora.compute.device import choose_device, choose_precision, free_memory, gpu_hint

        try:
            device = choose_device(compute.device)
            precision = choose_precision(compute.precision, device)
        except DeviceError as error:
            return DeviceInfo(str(error), str(error))
        text = f"Runs on {device} in {precision}."
        return DeviceInfo(text, gpu_hint() or "", free_memory(device))

    def segment(self, request: SegmentationRequest, report: ReportProgress) -> SegmentationResult:
        """Return the result of a request.

        Raises
        ------
        Sam2LoraError
            If the model, the adapter, the device or the prompts do not allow it.
        Stopped
            If it was cancelled.
        """
        predictor = self.predictor(request.compute, report)
        from sam2lora.inference.segment import segment_prepared

        target = request.target
        task = self._task(request, predictor)
        prepared = self._prepare(request.image)
        show = partial(report, f"Segmenting {target.name}")
        mask = request.outer_mask
        known = {} if mask is None or target.inside is None else {target.inside: mask}
        found = segment_prepared(predictor, prepared, [task], known=known, progress=show)
        prediction = found[target.name]
        return SegmentationResult(request, task, prepared, prediction)

    def locate(self, request: SegmentationRequest, report: ReportProgress) -> LocatedResult:
        """Return the result of a request for a target that is a point.

        Raises
        ------
        Sam2LoraError
            If the model, the adapter or the device do not allow it.
        Stopped
            If it was cancelled.
        """
        predictor = self.predictor(request.compute, report)
        from sam2lora.inference.points import locate_prepared

        task, prepared = self._task(request, predictor), self._prepare(request.image)
        show = partial(report, f"Locating {request.target.name}")
        return LocatedResult(request, locate_prepared(predictor, prepared, task, progress=show))

    def _task(self, request: SegmentationRequest, predictor: "Predictor") -> "SegmentationTask":
        from sam2lora.inference.segment import SegmentationTask

        return SegmentationTask.of(
            request.target,
            adapter=self._adapter(request, predictor),
            prompts=request.prompts,
            detail=request.choice.detail,
            threshold=request.threshold,
            outer=self._outer(request, predictor),
        )

    def _compute_result(
        self, request: SegmentationRequest, report: ReportProgress
    ) -> SegmentationResult | LocatedResult:
        of_kind = self.locate if request.target.kind == "point" else self.segment
        return of_kind(request, report)

    def try_segment(
        self, request: SegmentationRequest, report: ReportProgress
    ) -> SegmentationResult | LocatedResult | FailedRequest:
        """Return the result of a request, or why there is none."""
        try:
            return self._compute_result(request, report)
        except GeometryError as error:
            cached = self._prepared.get(request.image.key)
            return FailedRequest(request, error, cached and cached[1].field.mask)
        except Sam2LoraError as error:
            return FailedRequest(request, error)

    def segment_ahead(
        self,
        key: str,
        read: Callable[[], LayerData],
        make: Callable[[ImageSnapshot], SegmentationRequest],
        report: ReportProgress,
    ) -> SegmentationResult | LocatedResult | None:
        """Return the result for an image that is not shown yet; None if there is none.

        Parameters
        ----------
        key
            The image's id.
        read
            Reads the image.
        make
            Makes the request for it.
        report
            Called with the progress.
        """
        cached = self._prepared.get(key)
        try:
            snapshot = cached[0] if cached else ImageSnapshot(key, read())
            return self._compute_result(make(snapshot), report)
        except Sam2LoraError:  # shown when the image is
            return None

    def segment_files(
        self, settings: Sequence[PredictSettings], compute: ComputeSettings, report: ReportProgress
    ) -> "Iterator[FileResult]":
        """Segment files as `sam2lora predict` does, in one pass over the images.

        Parameters
        ----------
        settings
            One or more; they agree in images and output folder.
        compute
            What the network runs on.
        report
            Called with the progress.

        Yields
        ------
        The result of each image.

        Raises
        ------
        Sam2LoraError
            If nothing can be segmented at all.
        Stopped
            If it was cancelled; files that are written by then are complete.
        """
        predictor = self.predictor(compute, report)
        from sam2lora.inference.pipeline import segment_files

        def show(progress: "BatchProgress") -> None:
            text = f"{progress.path.name}, {progress.number + 1} of {progress.total}"
            report(text, round(_PER_IMAGE * progress.done), _PER_IMAGE * progress.total)

        yield from segment_files(settings, predictor=predictor, progress=show)

    def predictor(self, compute: ComputeSettings, report: ReportProgress) -> "Predictor":
        """Return the predictor, loading torch and the base model if needed.

        Raises
        ------
        Sam2LoraError
            If the model cannot be loaded, or there is no such device.
        Stopped
            If a download was cancelled.
        """
        if self._predictor is not None and compute == self._compute:
            return self._predictor
        report("Loading PyTorch", 0, None)
        load_torch()
        from sam2lora.compute.device import release_memory
        from sam2lora.inference.predictor import Predictor
        from sam2lora.models.loading import load_base

        report(f"Loading {compute.model}", 0, None)
        base = load_base(compute.model, progress=partial(report, f"Downloading {compute.model}"))
        if self._closed:
            raise Stopped
        old, self._predictor = self._predictor, None
        if old is not None:
            device = old.device
            del old
            release_memory(device)
        predictor = Predictor(base, device=compute.device, precision=compute.precision)
        self._compute, self._predictor = compute, predictor
        self._adapters, self._outer_tasks = {}, {}
        return predictor

    def _adapter(self, request: SegmentationRequest, predictor: "Predictor") -> Adapter | None:
        """Return the adapter of a request; the same object each time, so files are read once."""
        from sam2lora.inference.tasks import adapter_for

        if request.adapters_revision != self._adapters_revision:
            self._adapters, self._outer_tasks = {}, {}
            self._adapters_revision = request.adapters_revision
        prompted = not request.prompts.empty
        key = (request.target, request.choice, prompted)
        if key not in self._adapters:
            found = adapter_for(
                predictor.base,
                request.target,
                named=request.choice.adapter,
                no_adapter=request.choice.no_adapter,
                prompted=prompted,
            )
            same = (one for one in self._adapters.values() if one == found)
            self._adapters[key] = next(same, found)
        return self._adapters[key]

    def _outer(
        self, request: SegmentationRequest, predictor: "Predictor"
    ) -> "SegmentationTask | None":
        """Return how the target that a request's target lies in is found; the same each time."""
        from sam2lora.inference.tasks import outer_task

        target, named = request.target, request.outer_adapter
        if (target, named) not in self._outer_tasks:
            self._outer_tasks[target, named] = outer_task(predictor.base, target, named=named)
        return self._outer_tasks[target, named]

    def _prepare(self, snapshot: ImageSnapshot) -> "PreparedImage":
        """Return an image with its field of view, as `sam2lora predict` prepares it."""
        from sam2lora.inference.prepared_image import PreparedImage

        cached = self._prepared.pop(snapshot.key, None)
        if cached is None or cached[0].source is not snapshot.source:
            cached = (
                snapshot,
                PreparedImage.of(pixels_of(snapshot.layer), field=field_of_view(snapshot.layer)),
            )
        self._prepared[snapshot.key] = cached
        while len(self._prepared) > _IMAGES:
            self._prepared.popitem(last=False)
        return cached[1]
