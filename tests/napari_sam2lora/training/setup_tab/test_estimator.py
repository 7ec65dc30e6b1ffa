"""The cost estimate before a training."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from napari_sam2lora.training.data.folder_pairs import pairs_in_folder
from napari_sam2lora.training.data.new_run import TrainingPlan
from napari_sam2lora.training.data.snapshot import labelled_images
from napari_sam2lora.training.setup_tab import estimator as module
from napari_sam2lora.training.setup_tab.estimator import CostEstimator
from sam2lora.annotations import LabelledImage
from sam2lora.training.settings import TrainSettings

pytestmark = pytest.mark.viewer

# Prints the target and the last option, and whether the data lie next to the settings.
ARGUMENTS = """
import json, sys
from pathlib import Path
args = sys.argv[1:]
settings = Path(args[args.index("--settings") + 1])
print(json.loads(settings.read_text())["target"], *args[-1:])
print((settings.parent / "data/dataset.csv").is_file())
"""


@pytest.fixture
def estimator(qtbot) -> Iterator[CostEstimator]:
    made = CostEstimator()
    yield made
    made.cancel()


@pytest.fixture
def plan(folder: Path) -> TrainingPlan:
    return TrainingPlan("disc", preset="standard", pairs=pairs_in_folder(folder, "disc"))


def request_of(plan: TrainingPlan) -> tuple[TrainSettings, Iterator[LabelledImage]]:
    return plan.settings(), labelled_images(plan.pairs, plan.target)


def run_instead(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(module, "command", lambda *args: [sys.executable, "-c", code, *args])


def test_estimate_is_what_a_dry_run_prints(qtbot, estimator, plan, monkeypatch) -> None:
    run_instead(monkeypatch, ARGUMENTS)
    with qtbot.waitSignal(estimator.estimated, timeout=60_000) as estimated:
        estimator.request(*request_of(plan))
        assert estimator.busy
    assert estimated.args == ["disc --dry-run\nTrue"]
    assert not estimator.busy


def test_error_of_a_dry_run_is_shown(qtbot, estimator, plan, monkeypatch) -> None:
    run_instead(
        monkeypatch, "import sys; print('There are too few images.', file=sys.stderr); exit(2)"
    )
    with qtbot.waitSignal(estimator.estimated, timeout=60_000) as estimated:
        estimator.request(*request_of(plan))
    assert estimated.args == ["There are too few images."]


def test_newer_request_replaces_the_older(qtbot, estimator, plan, monkeypatch) -> None:
    estimates: list[str] = []
    estimator.estimated.connect(estimates.append)
    run_instead(monkeypatch, "import time; time.sleep(60)")
    estimator.request(*request_of(plan))
    qtbot.waitUntil(lambda: estimator._process is not None, timeout=60_000)
    run_instead(monkeypatch, "print('new')")
    estimator.request(*request_of(plan))
    qtbot.waitUntil(lambda: bool(estimates), timeout=60_000)
    assert estimates == ["new"]


def test_cancelled_request_emits_nothing(qtbot, estimator, plan, monkeypatch) -> None:
    run_instead(monkeypatch, "print('late')")
    with qtbot.assertNotEmitted(estimator.estimated, wait=1000):
        estimator.request(*request_of(plan))
        estimator.cancel()


def test_cancelled_request_reads_no_more_and_leaves_no_file(
    qtbot, estimator, plan, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    settings, images = request_of(plan)
    started, resume, read = Event(), Event(), []

    def slowly() -> Iterator[LabelledImage]:
        for image in images:
            started.set()
            assert resume.wait(60)
            read.append(image)
            yield image

    estimator.request(settings, slowly())
    assert started.wait(60)
    estimator.cancel()
    resume.set()
    qtbot.wait(1000)
    assert len(read) == 1
    assert list((tmp_path / "temporary").iterdir()) == []


def test_unexpected_error_ends_the_estimate(qtbot, estimator, plan) -> None:
    def broken() -> Iterator[LabelledImage]:
        raise KeyError("disc")
        yield

    with (
        qtbot.capture_exceptions() as raised,
        qtbot.waitSignal(estimator.estimated, timeout=60_000) as estimated,
    ):
        estimator.request(plan.settings(), broken())
    assert estimated.args == ["No estimate: unexpected error."]
    assert not estimator.busy
    assert [type(error) for _, error, _ in raised] == [KeyError]


def test_missing_mask_file_is_named(qtbot, estimator, plan, folder: Path) -> None:
    (folder / "masks/disc/ben_left.png").unlink()
    with qtbot.waitSignal(estimator.estimated, timeout=60_000) as estimated:
        estimator.request(*request_of(plan))
    assert "ben_left" in estimated.args[0]
