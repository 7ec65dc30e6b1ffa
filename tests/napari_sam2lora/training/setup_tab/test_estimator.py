"""The estimate before a training."""

import sys
import tempfile
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from napari_sam2lora.training.data.folder_pairs import pairs_in_folder
from napari_sam2lora.training.data.new_run import TrainingPlan
from napari_sam2lora.training.data.snapshot import PairSource, sources_of
from napari_sam2lora.training.setup_tab import estimator as module
from napari_sam2lora.training.setup_tab.estimator import CostEstimator
from sam2lora.annotations import LabelledImage

pytestmark = pytest.mark.viewer

# Prints what it was asked, and whether the data lie beside the settings.
ASKED = """
import json, sys
from pathlib import Path
words = sys.argv[1:]
settings = Path(words[words.index("--settings") + 1])
print(json.loads(settings.read_text())["target"], *words[-1:])
print((settings.parent / "data/dataset.csv").is_file())
"""


@pytest.fixture
def estimator(qtbot) -> CostEstimator:
    made = CostEstimator()
    yield made
    made.cancel()


@pytest.fixture
def question(folder: Path) -> tuple:
    pairs = pairs_in_folder(folder, "disc")
    return TrainingPlan("disc", preset="standard", pairs=pairs).settings(), sources_of(
        pairs, "disc"
    )


def let_it_run(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(module, "command", lambda *words: [sys.executable, "-c", code, *words])


def test_it_asks_the_command_line(qtbot, estimator, question, monkeypatch) -> None:
    let_it_run(monkeypatch, ASKED)
    with qtbot.waitSignal(estimator.answered, timeout=60_000) as answered:
        estimator.ask(*question)
        assert estimator.busy
    assert answered.args == ["disc --dry-run\nTrue"]
    assert not estimator.busy


def test_what_it_refuses_is_the_answer(qtbot, estimator, question, monkeypatch) -> None:
    let_it_run(
        monkeypatch, "import sys; print('There are too few images.', file=sys.stderr); exit(2)"
    )
    with qtbot.waitSignal(estimator.answered, timeout=60_000) as answered:
        estimator.ask(*question)
    assert answered.args == ["There are too few images."]


def test_a_newer_question_takes_the_place_of_the_older(
    qtbot, estimator, question, monkeypatch
) -> None:
    answers: list[str] = []
    estimator.answered.connect(answers.append)
    let_it_run(monkeypatch, "import time; time.sleep(60)")
    estimator.ask(*question)
    qtbot.waitUntil(lambda: estimator._process is not None, timeout=60_000)
    let_it_run(monkeypatch, "print('new')")
    estimator.ask(*question)
    qtbot.waitUntil(lambda: bool(answers), timeout=60_000)
    assert answers == ["new"]


def test_a_cancelled_one_answers_nothing(qtbot, estimator, question, monkeypatch) -> None:
    let_it_run(monkeypatch, "print('late')")
    with qtbot.assertNotEmitted(estimator.answered, wait=1000):
        estimator.ask(*question)
        estimator.cancel()


def test_a_cancelled_one_reads_no_more_and_leaves_nothing(
    qtbot, estimator, question, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    settings, loads = question
    begun, go_on, read = Event(), Event(), []

    def slow(load: PairSource) -> LabelledImage:
        begun.set()
        assert go_on.wait(60)
        read.append(load)
        return load()

    estimator.ask(settings, [partial(slow, load) for load in loads])
    assert begun.wait(60)
    estimator.cancel()
    go_on.set()
    qtbot.wait(1000)
    assert len(read) == 1
    assert list((tmp_path / "temporary").iterdir()) == []


def test_an_error_of_the_program_is_no_answer_for_ever(qtbot, estimator, question) -> None:
    def broken() -> LabelledImage:
        raise KeyError("disc")

    with (
        qtbot.capture_exceptions() as raised,
        qtbot.waitSignal(estimator.answered, timeout=60_000) as answered,
    ):
        estimator.ask(question[0], [broken])
    assert answered.args == ["No estimate: something went wrong."]
    assert not estimator.busy
    assert [type(error) for _, error, _ in raised] == [KeyError]


def test_an_image_that_is_gone_is_said(qtbot, estimator, question, folder: Path) -> None:
    (folder / "masks/disc/ben_left.png").unlink()
    with qtbot.waitSignal(estimator.answered, timeout=60_000) as answered:
        estimator.ask(*question)
    assert "ben_left" in answered.args[0]
