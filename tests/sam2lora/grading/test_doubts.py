"""How doubtful predictions are is found in what `predict` wrote, and kept with the session."""

from pathlib import Path

import numpy as np
import pytest

from sam2lora.errors import ImageError, SessionError, TargetError
from sam2lora.grading import Doubt, GradingSession, doubt_of_confidences, read_doubts
from sam2lora.grading.doubts import doubt_of_predictions, find_doubts, write_doubts
from sam2lora.images.visualization import save_image
from sam2lora.inference.confidence_file import update_confidences
from tests.sam2lora.grading.helpers import STEMS, Eyes


def test_doubt_is_about_the_least_sure_target():
    doubt = doubt_of_confidences({"disc": 0.9, "cup": 0.43})
    assert doubt is not None
    assert doubt.value == 1 - 0.43
    assert doubt.reason == "Lowest confidence: cup, 43%."
    assert doubt_of_confidences({}) is None


def test_doubt_is_about_what_two_predictions_differ_most_in():
    disc, cup = np.zeros((2, 10, 10), bool)
    disc[2:8], cup[4:6] = True, True
    first = {"disc": disc, "cup": cup}
    second = {"disc": disc, "cup": np.roll(cup, 1, axis=0), "vessel": disc}
    doubt = doubt_of_predictions(first, second, names=("mine", "yours"))
    assert doubt is not None
    assert doubt.value == 0.5
    assert doubt.reason == "mine and yours disagree most on the cup: Dice 0.50."
    assert doubt_of_predictions(first, {}) is None


def predict(folder: Path, masks: Eyes, *, shift: int = 0) -> Path:
    """Write the masks as predictions, those of the second eye moved down by `shift` pixels."""
    folder.mkdir()
    for number, (stem, targets) in enumerate(masks.items()):
        for target, mask in targets.items():
            moved = np.roll(mask, shift if number == 1 else 0, axis=0)
            save_image(folder / f"{stem}_{target}.png", moved)
    return folder


def test_doubts_are_those_of_confidences(session: GradingSession, tmp_path: Path):
    known = {"p1_left.png": {"disc": 0.9, "cup": 0.3}, "p2_left.png": {"disc": 0.6}}
    update_confidences(tmp_path, known)
    found = find_doubts(session, tmp_path)
    assert found.doubts["p1_left"].value == pytest.approx(0.7)
    assert "Lowest confidence: cup" in found.doubts["p1_left"].reason
    assert found.without == ["p1_right", "p2_right"]
    found = find_doubts(session, tmp_path, targets=["disc"])
    assert found.doubts["p1_left"].value == pytest.approx(0.1)
    with pytest.raises(TargetError):
        find_doubts(session, tmp_path, targets=["drusen"])


def test_doubts_are_where_two_predictions_differ(
    session: GradingSession, masks: Eyes, tmp_path: Path
):
    mine, other = predict(tmp_path / "mine", masks), predict(tmp_path / "other", masks, shift=9)
    (other / "p2_left_cup.png").unlink()
    (other / "p2_left_disc.png").unlink()
    found = find_doubts(session, mine, other)
    assert found.doubts["p1_left"].value == pytest.approx(0)
    assert found.doubts["p1_right"].value > 0.5
    assert "mine and other disagree most on the cup" in found.doubts["p1_right"].reason
    assert found.without == ["p2_left"]
    assert "disc" in find_doubts(session, mine, other, targets=["disc"]).doubts["p1_left"].reason


def test_mask_of_another_image_is_refused(session: GradingSession, masks: Eyes, tmp_path: Path):
    mine = predict(tmp_path / "mine", masks)
    save_image(mine / "p1_left_disc.png", np.zeros((10, 10), bool))
    with pytest.raises(ImageError, match=r"p1_left_disc\.png"):
        find_doubts(session, mine, mine)


def test_folders_without_predictions_are_refused(session: GradingSession, tmp_path: Path):
    with pytest.raises(SessionError, match="no such folder"):
        find_doubts(session, tmp_path / "missing")
    with pytest.raises(SessionError, match="compare with other predictions"):
        find_doubts(session, tmp_path)
    with pytest.raises(SessionError, match="no masks of the same image"):
        find_doubts(session, tmp_path, tmp_path)


def test_doubts_are_kept_with_the_session(session: GradingSession):
    assert read_doubts(session) == {}
    doubts = {stem: Doubt(number / 4, f"Reason, {number}.") for number, stem in enumerate(STEMS)}
    path = write_doubts(session, doubts)
    assert read_doubts(session) == doubts
    path.write_text("image,doubt\nx,much\n")
    with pytest.raises(SessionError, match=r"doubts\.csv: is damaged"):
        read_doubts(session)
