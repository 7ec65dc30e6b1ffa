"""Segmenting many files: results, written files, overlap of the steps, and interruption."""

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from sam2lora.errors import OutputError
from sam2lora.inference import batch, result_files
from sam2lora.inference.batch import BatchProgress, segment_paths
from sam2lora.inference.confidence_file import read_confidences
from sam2lora.inference.predictor import Prediction, Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.result_files import FileResult
from sam2lora.inference.segment import SegmentationTask, TargetPrediction, segment_prepared
from sam2lora.models.loading import random_base
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.targets import Target

SPOT = Target(name="spot", label=9, color="#112233", detail="whole")
FOG = Target(name="fog", label=10, color="#445566", detail="zoom")


@pytest.fixture(scope="module")
def nano() -> Predictor:
    return Predictor(random_base("nano"), device="cpu", precision="float32")


@pytest.fixture(scope="module")
def tasks(nano: Predictor, photo: NDArray[np.uint8]) -> list[SegmentationTask]:
    """Create two tasks whose thresholds lie within the probabilities of nano."""
    prepared, created = PreparedImage.of(photo), []
    for target in (SPOT, FOG):
        task = SegmentationTask.of(target)
        prediction = nano.predict(prepared, task.geometry).probabilities
        created.append(replace(task, threshold=float(np.median(prediction[prediction > 0]))))
    return created


@pytest.fixture
def image_files(tmp_path: Path, photo: NDArray[np.uint8]) -> list[Path]:
    """Write four different images."""
    paths = [tmp_path / "in" / f"{name}.png" for name in "abcd"]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        Image.fromarray(np.rot90(photo, number)).save(path)
    return paths


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    """Check that no thread outlives a test."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def written(folder: Path) -> list[str]:
    """Return the file names in a folder, after checking that each is a complete image."""
    for path in folder.iterdir():
        Image.open(path).load()
    return names(folder)


def test_unreadable_file_does_not_stop_the_batch(
    nano: Predictor,
    image_files: list[Path],
    tmp_path: Path,
    tasks: list[SegmentationTask],
) -> None:
    image_files[1].write_text("no image")
    missing = tmp_path / "missing.tif"
    paths = [image_files[2], image_files[1], missing, image_files[0]]
    results = list(segment_paths(nano, paths, tasks, tmp_path / "new" / "out"))
    assert [result.path for result in results] == paths
    good, bad, gone, last = results
    assert bad == FileResult(image_files[1], error=bad.error)
    assert str(image_files[1]) in bad.error
    assert "not an image" in bad.error
    assert "no such file" in gone.error
    assert good.error == last.error == ""
    expected = ["a_fog.png", "a_spot.png", "c_fog.png", "c_spot.png"]
    assert written(tmp_path / "new" / "out") == expected
    assert good.files == {
        name: tmp_path / "new" / "out" / f"c_{name}.png" for name in ("spot", "fog")
    }


def test_masks_are_native_binary_and_empty_outside_the_field(
    nano: Predictor,
    image_files: list[Path],
    tmp_path: Path,
    tasks: list[SegmentationTask],
) -> None:
    (result,) = segment_paths(nano, image_files[:1], tasks, tmp_path, probabilities=True)
    prepared = PreparedImage.of(np.asarray(Image.open(image_files[0])))
    assert 0.5 < prepared.field.mask.mean() < 0.8
    direct = segment_prepared(nano, prepared, tasks)
    for task in tasks:
        name = task.target.name
        image = Image.open(result.files[name])
        mask = np.asarray(image)
        assert (image.mode, mask.shape) == ("L", (160, 160))
        assert set(np.unique(mask)) == {0, 255}
        assert not mask[~prepared.field.mask].any()
        np.testing.assert_array_equal(mask == 255, direct[name].mask)
        values = tifffile.imread(tmp_path / f"a_{name}_probability.tif")
        assert (values.dtype, values.shape) == (np.float32, (160, 160))
        assert (values[~prepared.field.mask] == 0).all()
        np.testing.assert_array_equal(values >= task.threshold, mask == 255)
        np.testing.assert_array_equal(values, direct[name].probabilities)
        assert result.measurements is not None
        assert result.measurements.structures[name].area_px == (mask == 255).sum()
        assert 0 <= result.iou[name] <= 1


def test_probabilities_are_written_on_request_only(
    nano: Predictor,
    image_files: list[Path],
    tmp_path: Path,
    tasks: list[SegmentationTask],
) -> None:
    list(segment_paths(nano, image_files[:1], tasks[:1], tmp_path / "out"))
    assert names(tmp_path / "out") == ["a_spot.png"]


def test_mask_name_drops_both_extensions_of_a_compressed_image(
    nano: Predictor,
    tmp_path: Path,
    photo: NDArray[np.uint8],
    tasks: list[SegmentationTask],
) -> None:
    import gzip

    Image.fromarray(photo).save(tmp_path / "im0001.ppm")
    packed = tmp_path / "im0001.ppm.gz"
    packed.write_bytes(gzip.compress((tmp_path / "im0001.ppm").read_bytes()))
    (result,) = segment_paths(nano, [packed], tasks[:1], tmp_path)
    assert result.files["spot"].name == "im0001_spot.png"


def test_prompt_outside_the_field_is_an_error_of_its_image(
    nano: Predictor, image_files: list[Path], tmp_path: Path
) -> None:
    outside = [SegmentationTask.of(SPOT, prompts=Prompts((PointPrompt(1, 1),)))]
    (result,) = segment_paths(nano, image_files[:1], outside, tmp_path / "out")
    assert "outside the field of view" in result.error
    assert result.measurements is None
    assert names(tmp_path / "out") == []


def test_unwritable_folder_is_refused_before_any_image_is_read(
    nano: Predictor,
    image_files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tasks: list[SegmentationTask],
) -> None:
    monkeypatch.setattr(batch, "read_image", lambda path: pytest.fail("was read"))
    for place in (image_files[0], image_files[0] / "below"):
        with pytest.raises(OutputError, match="cannot be written"):
            list(segment_paths(nano, image_files, tasks, place))
    assert names(image_files[0].parent) == ["a.png", "b.png", "c.png", "d.png"]


@pytest.mark.parametrize("linked", [False, True])
def test_mask_that_would_replace_an_image_is_refused(
    nano: Predictor,
    image_files: list[Path],
    tmp_path: Path,
    linked: bool,
    tasks: list[SegmentationTask],
) -> None:
    folder = image_files[0].parent
    marked = image_files[1].rename(folder / "a_spot.png")
    before = marked.read_bytes()
    out = folder
    if linked:
        out = tmp_path / "linked"
        out.symlink_to(folder)
    with pytest.raises(OutputError, match=r"a_spot\.png: is one of the images.* mask of .*a\.png"):
        list(segment_paths(nano, [marked, image_files[0]], tasks, out))
    assert marked.read_bytes() == before
    assert names(folder) == ["a.png", "a_spot.png", "c.png", "d.png"]


def test_full_disk_stops_the_batch_and_leaves_complete_files(
    nano: Predictor,
    image_files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tasks: list[SegmentationTask],
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "c_fog.png").write_bytes(b"an older mask")
    room = iter(range(5))

    def full_after_five(handle: int) -> None:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full_after_five)
    results = segment_paths(nano, image_files, tasks, out)
    assert [next(results).path, next(results).path] == image_files[:2]
    with pytest.raises(OutputError, match=r"c_fog\.png: .*No space left on device"):
        next(results)
    assert (out / "c_fog.png").read_bytes() == b"an older mask"
    (out / "c_fog.png").unlink()
    assert written(out) == ["a_fog.png", "a_spot.png", "b_fog.png", "b_spot.png", "c_spot.png"]


def test_closing_the_iterator_early_leaves_complete_files(
    nano: Predictor,
    image_files: list[Path],
    tmp_path: Path,
    tasks: list[SegmentationTask],
) -> None:
    results = segment_paths(nano, image_files, tasks, tmp_path / "out")
    assert next(results).path == image_files[0]
    results.close()
    assert set(written(tmp_path / "out")) >= {"a_fog.png", "a_spot.png"}
    assert "d_spot.png" not in names(tmp_path / "out")


def test_batch_progress_covers_each_image_and_can_stop_the_work(
    nano: Predictor,
    image_files: list[Path],
    tmp_path: Path,
    tasks: list[SegmentationTask],
) -> None:
    shown: list[BatchProgress] = []
    fresh = Predictor(nano.base, device="cpu", precision="float32")
    two = [
        SegmentationTask.of(Target(name=name, label=9, color="#112233")) for name in ("one", "two")
    ]
    list(segment_paths(fresh, image_files[:2], two, tmp_path / "out", progress=shown.append))
    # Encoded and decoded for the first task; for the second, the prediction is cached.
    assert shown == [
        BatchProgress(path, number, 2, share)
        for number, path in enumerate(image_files[:2])
        for share in (0, 0.25, 0.5, 1)
    ]
    assert [one.done for one in shown] == [0, 0.25, 0.5, 1, 1, 1.25, 1.5, 2]

    class StopError(Exception):
        pass

    def stop_in_second(progress: BatchProgress) -> None:
        if progress.path == image_files[1]:
            raise StopError

    yielded: list[FileResult] = []
    pending = segment_paths(nano, image_files, tasks, tmp_path / "new", progress=stop_in_second)
    with pytest.raises(StopError):
        yielded.extend(pending)
    assert [result.path for result in yielded] == image_files[:1]  # what is written is yielded
    assert written(tmp_path / "new") == ["a_fog.png", "a_spot.png"]


def test_existing_masks_can_be_kept(
    nano: Predictor,
    image_files: list[Path],
    tmp_path: Path,
    tasks: list[SegmentationTask],
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a_fog", "a_spot", "c_spot"):
        (out / f"{name}.png").write_text("corrected")
    paths = [image_files[0], image_files[2]]
    first, second = segment_paths(nano, paths, tasks, out, keep=True)
    assert (first.error, first.files, set(first.kept)) == ("", {}, {"fog", "spot"})
    assert (set(second.files), second.kept) == ({"fog"}, ("spot",))
    for name in ("a_fog", "a_spot", "c_spot"):
        assert (out / f"{name}.png").read_text() == "corrected"
    Image.open(out / "c_fog.png").load()
    list(segment_paths(nano, paths, tasks, out))
    assert written(out) == ["a_fog.png", "a_spot.png", "c_fog.png", "c_spot.png"]


def test_unexpected_exception_ends_one_image_and_is_named_as_a_defect(
    nano: Predictor,
    image_files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tasks: list[SegmentationTask],
) -> None:
    segment = batch.segment_prepared
    errors = iter([ZeroDivisionError("by zero"), None, MemoryError()])

    def broken(*given: Any, **named: Any) -> Any:
        error = next(errors, None)
        if error:
            raise error
        return segment(*given, **named)

    monkeypatch.setattr(batch, "segment_prepared", broken)
    one, two, three = segment_paths(nano, image_files[:3], tasks[:1], tmp_path / "out")
    assert str(image_files[0]) in one.error
    assert "defect of this program (ZeroDivisionError: by zero)" in one.error
    assert "(MemoryError)" in three.error
    assert two.error == ""
    assert names(tmp_path / "out") == ["b_spot.png"]


def test_images_of_any_shape_are_segmented(
    nano: Predictor, tmp_path: Path, tasks: list[SegmentationTask]
) -> None:
    """The square around the second has more pixels than Pillow makes images of."""
    shapes = [(60, 90), (16, 20_000), (20_000, 16)]
    paths = [tmp_path / f"{height}x{width}.png" for height, width in shapes]
    for path, (height, width) in zip(paths, shapes, strict=True):
        Image.fromarray(np.full((height, width, 3), 120, np.uint8)).save(path)
    results = list(segment_paths(nano, paths, tasks, tmp_path / "out"))
    assert [result.error for result in results] == ["", "", ""]
    for result, (height, width) in zip(results, shapes, strict=True):
        assert Image.open(result.files["spot"]).size == (width, height)


class Steps:
    """Stands in for a predictor, and signals when each image is predicted."""

    def __init__(self) -> None:
        self.started = [Event() for _ in range(4)]
        self.wait_for: dict[int, Event] = {}
        self.waited: list[bool] = []
        self._number = 0

    def set_adapter(self, adapter: object) -> None:
        """Ignore the adapter."""

    def predict(self, prepared: PreparedImage, *_: object, **__: object) -> Prediction:
        number, self._number = self._number, self._number + 1
        self.started[number].set()
        if number in self.wait_for:
            self.waited.append(self.wait_for[number].wait(10))
        return Prediction(np.zeros(prepared.shape, np.float32), 0.5)


def test_reading_computing_and_writing_overlap(
    image_files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tasks: list[SegmentationTask],
) -> None:
    """While a is predicted, b is read; while b is, a is written; d is read only when c is."""
    steps = Steps()
    reading = {path: Event() for path in image_files}
    a_is_written, read_while_a, written_while_b = Event(), [], []
    read_image, save_image = batch.read_image, result_files.save_image

    def read(path: Path) -> Any:
        reading[path].set()
        if path == image_files[1]:
            read_while_a.append(steps.started[0].wait(10))
        return read_image(path)

    def save(path: Path, pixels: Any) -> None:
        if path.name == "a_spot.png":
            a_is_written.set()
            written_while_b.append(steps.started[1].wait(10))
        save_image(path, pixels)

    monkeypatch.setattr(batch, "read_image", read)
    monkeypatch.setattr(result_files, "save_image", save)
    steps.wait_for = {0: reading[image_files[1]], 1: a_is_written, 2: reading[image_files[3]]}
    results = segment_paths(steps, image_files, tasks[:1], tmp_path / "out")
    assert next(results).path == image_files[0]
    assert not reading[image_files[3]].is_set()
    assert [result.path for result in results] == image_files[1:]
    assert steps.waited == [True, True, True]
    assert (read_while_a, written_while_b) == ([True], [True])


def test_no_images_or_no_targets_write_nothing(
    nano: Predictor,
    image_files: list[Path],
    tmp_path: Path,
    tasks: list[SegmentationTask],
) -> None:
    def run(paths: Sequence[Path], wanted: Sequence[SegmentationTask]) -> list[FileResult]:
        return list(segment_paths(nano, paths, wanted, tmp_path / "out"))

    assert run([], tasks) == []
    (result,) = run(image_files[:1], [])
    assert (result.files, result.error) == ({}, "")
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("probabilities", [False, True])
def test_name_too_long_for_a_mask_is_an_error_of_its_image(
    nano: Predictor,
    tasks: list[SegmentationTask],
    image_files: list[Path],
    tmp_path: Path,
    keep: bool,
    probabilities: bool,
) -> None:
    longest = 255 - len("_fog_probability.tif" if probabilities else "_spot.png")
    fits, too_long = ("é" * (longest // 2), "é" * (longest // 2 + 1))
    paths = [
        path.rename(path.with_name(f"{name}.png"))
        for path, name in zip(image_files, (too_long, fits, "c"), strict=False)
    ]
    results = list(
        segment_paths(
            nano,
            paths,
            tasks[1:] if probabilities else tasks[:1],
            tmp_path / "out",
            keep=keep,
            probabilities=probabilities,
        )
    )
    assert ["is too long" in result.error for result in results] == [True, False, False]
    assert len(written(tmp_path / "out")) == (4 if probabilities else 2)


def test_confidences_are_written_beside_the_masks(
    nano: Predictor,
    image_files: list[Path],
    tmp_path: Path,
    tasks: list[SegmentationTask],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def doubtful(*args: Any, **options: Any) -> dict[str, TargetPrediction]:
        found = segment_prepared(*args, **options)
        return {name: replace(one, confidence=0.25) for name, one in found.items()}

    monkeypatch.setattr(batch, "segment_prepared", doubtful)
    pending = segment_paths(nano, image_files, tasks[:1], tmp_path / "out")
    assert next(pending).confidence == {"spot": 0.25}
    pending.close()  # stopped: what was written until then is known
    assert read_confidences(tmp_path / "out") == {"a.png": {"spot": 0.25}}
