"""Everything a session needs torch for. Only its worker thread may use it; it knows no window.

The networks, images and adapters in use are kept, so that the next prompt finds them ready.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sam2lora.layers.conversion import pixels_of
from napari_sam2lora.layers.field_of_view import field_of_view
from napari_sam2lora.layers.images import ImageSnapshot
from napari_sam2lora.qt.worker import ReportProgress
from napari_sam2lora.segmentation.requests import (
    ComputeSettings,
    DeviceInfo,
    FailedRequest,
    SegmentationRequest,
    SegmentationResult,
)
from napari_sam2lora.segmentation.warmup import load_torch, warm_up_colors
from sam2lora.adapters import Adapter
from sam2lora.errors import DeviceError, GeometryError, Sam2LoraError
from sam2lora.inference.settings import PredictSettings

if TYPE_CHECKING:
    from sam2lora.inference.batch import BatchProgress, FileResult
    from sam2lora.inference.predictor import Predictor
    from sam2lora.inference.prepared_image import PreparedImage

_PER_IMAGE = 100  # steps of progress that one image of a batch is
_SCENES = 4  # images whose fields of view are kept; features have a cache of their own


class Engine:
    """The predictor in use, and what it was asked about last."""

    def __init__(self) -> None:
        self._machine: ComputeSettings | None = None
        self._predictor: Predictor | None = None
        self._scenes: OrderedDict[str, tuple[ImageSnapshot, PreparedImage]] = OrderedDict()
        self._adapters: dict[tuple[Any, ...], Adapter | None] = {}
        self._adapters_of = 0  # the number of the questions for which they were looked up

    def release(self) -> None:
        """Keep no network and no image any more; what is at work ends first by itself."""
        self._machine = self._predictor = None
        self._scenes.clear()

    def free(self, report: ReportProgress) -> None:
        """Give a GPU's memory back; the next question loads the network again.

        Main memory is left alone: the features in it are worth more than the room.
        """
        if self._predictor is None or self._predictor.device.type == "cpu":
            return
        report("Freeing memory", 0, None)
        from sam2lora.compute.device import release_memory

        device = self._predictor.device
        self.release()
        release_memory(device)

    def describe(self, machine: ComputeSettings, report: ReportProgress) -> DeviceInfo:
        """Find out what computes, and make ready what the first answer needs in the window."""
        report("Loading PyTorch", 0, None)
        load_torch()
        warm_up_colors()
        from sam2lora.compute.device import choose_device, choose_precision, free_memory, gpu_hint

        try:
            device = choose_device(machine.device)
            precision = choose_precision(machine.precision, device)
        except DeviceError as error:
            return DeviceInfo(str(error), str(error))
        words = f"Computes on {device} in {precision}."
        return DeviceInfo(words, gpu_hint() or "", free_memory(device))

    def segment(self, request: SegmentationRequest, report: ReportProgress) -> SegmentationResult:
        """Answer a question.

        Raises
        ------
        Sam2LoraError
            If the model, the adapter, the device or the prompts do not allow it.
        Stopped
            If it was cancelled.
        """
        predictor = self.predictor(request.compute, report)
        from sam2lora.inference.segment import SegmentationTask, segment_prepared

        target = request.target
        task = SegmentationTask.of(
            target,
            adapter=self._adapter(request, predictor),
            prompts=request.prompts,
            detail=request.choice.detail,
        )
        prepared = self._scene(request.image)
        show = partial(report, f"Looking for {target.name}")
        segmented = segment_prepared(predictor, prepared, [task], progress=show)[target.name]
        return SegmentationResult(request, task, prepared, segmented)

    def try_segment(
        self, request: SegmentationRequest, report: ReportProgress
    ) -> SegmentationResult | FailedRequest:
        """Answer a question, or say why that is not possible."""
        try:
            return self.segment(request, report)
        except GeometryError as error:
            kept = self._scenes.get(request.image.key)
            return FailedRequest(request, error, kept and kept[1].field.mask)
        except Sam2LoraError as error:
            return FailedRequest(request, error)

    def segment_files(
        self, settings: Sequence[PredictSettings], machine: ComputeSettings, report: ReportProgress
    ) -> "Iterator[FileResult]":
        """Segment files as `sam2lora predict` does, in one pass over the images.

        Parameters
        ----------
        settings
            They differ in their targets, and in how these are answered; not in images and folder.
        compute
            By what.
        report
            Told how far it is.

        Yields
        ------
        What became of each image.

        Raises
        ------
        Sam2LoraError
            If nothing can be done at all.
        Stopped
            If it was cancelled; what is written by then is complete.
        """
        predictor = self.predictor(machine, report)
        from sam2lora.inference.pipeline import segment_files

        def show(progress: "BatchProgress") -> None:
            text = f"{progress.path.name}, {progress.number + 1} of {progress.total}"
            report(text, round(_PER_IMAGE * progress.done), _PER_IMAGE * progress.total)

        yield from segment_files(settings, predictor=predictor, progress=show)

    def predictor(self, machine: ComputeSettings, report: ReportProgress) -> "Predictor":
        """Give the predictor for a machine, loading torch and the base model if need be.

        Raises
        ------
        Sam2LoraError
            If the model cannot be had, or the device is not there.
        Stopped
            If a download was cancelled.
        """
        if self._predictor is not None and machine == self._machine:
            return self._predictor
        report("Loading PyTorch", 0, None)
        load_torch()
        from sam2lora.compute.device import release_memory
        from sam2lora.inference.predictor import Predictor
        from sam2lora.models.loading import load_base

        report(f"Loading {machine.model}", 0, None)
        base = load_base(machine.model, progress=partial(report, f"Downloading {machine.model}"))
        old, self._predictor = self._predictor, None
        if old is not None:
            device = old.device
            del old
            release_memory(device)
        predictor = Predictor(base, device=machine.device, precision=machine.precision)
        self._machine, self._predictor, self._adapters = machine, predictor, {}
        return predictor

    def _adapter(self, request: SegmentationRequest, predictor: "Predictor") -> Adapter | None:
        """Choose the adapter; the same object each time, which spares reading its files again."""
        from sam2lora.inference.pipeline import adapter_for

        if request.adapters_revision != self._adapters_of:
            self._adapters, self._adapters_of = {}, request.adapters_revision
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

    def _scene(self, snapshot: ImageSnapshot) -> "PreparedImage":
        """Return an image with its field of view, as `sam2lora predict` prepares it."""
        from sam2lora.inference.prepared_image import PreparedImage

        kept = self._scenes.pop(snapshot.key, None)
        if kept is None or kept[0].source is not snapshot.source:
            kept = (
                snapshot,
                PreparedImage.of(pixels_of(snapshot.layer), field=field_of_view(snapshot.layer)),
            )
        self._scenes[snapshot.key] = kept
        while len(self._scenes) > _SCENES:
            self._scenes.popitem(last=False)
        return kept[1]
