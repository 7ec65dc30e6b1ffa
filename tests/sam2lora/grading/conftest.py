"""Fixtures: small drawn eyes, sessions of them, and graders who are done with some."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.grading import GradingSession, SessionGrader, list_sources
from sam2lora.types import Mask, Pixels
from tests.sam2lora.grading.helpers import STEMS, Eyes, Grade


@pytest.fixture(scope="session")
def drawn() -> Mapping[str, tuple[Pixels, dict[str, Mask]]]:
    """Return the pixels and masks of four eyes of two patients; do not change them."""
    return {stem: _draw(number) for number, stem in enumerate(STEMS)}


def _draw(number: int) -> tuple[Pixels, dict[str, Mask]]:
    """Draw a round field of view with a disc, and a cup in it, that differ from eye to eye."""
    disc, cup = _disk(46, 30 + number, 14), _disk(46, 30 + number, 6 + number)
    pixels = np.zeros((96, 96, 3), np.uint8)
    for mask, color in (
        (_disk(48, 48, 45), (150, 70, 30)),
        (disc, (210, 170, 90)),
        (cup, (240, 220, 180)),
    ):
        pixels[mask] = color
    return pixels, {"disc": disc, "cup": cup}


def _disk(row: int, column: int, radius: int) -> Mask:
    rows, columns = np.ogrid[:96, :96]
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)


@pytest.fixture
def photos(drawn: Mapping[str, tuple[Pixels, dict[str, Mask]]], tmp_path: Path) -> Path:
    """Return a folder with the images alone."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for stem, (pixels, _) in drawn.items():
        Image.fromarray(pixels).save(folder / f"{stem}.png")
    return folder


@pytest.fixture
def masks(drawn: Mapping[str, tuple[Pixels, dict[str, Mask]]]) -> Eyes:
    """Return the masks by stem and target."""
    return {stem: masks for stem, (_, masks) in drawn.items()}


@pytest.fixture
def session(photos: Path, tmp_path: Path) -> GradingSession:
    """Return a session of the four eyes that nobody has graded."""
    return GradingSession.create(tmp_path / "session", list_sources([photos]))


@pytest.fixture
def grade(session: GradingSession, masks: Eyes) -> Grade:
    """Return a function that lets a grader finish images; `shift` moves the masks in pixels."""

    def finish(
        name: str,
        stems: Sequence[str] = STEMS,
        *,
        shift: int = 0,
        targets: Sequence[str] = ("disc", "cup"),
        state: str = "done",
    ) -> None:
        with SessionGrader(session, name) as grader:
            for stem in stems:
                moved = {target: np.roll(masks[stem][target], shift, axis=0) for target in targets}
                grader.corrections.save(stem, session.found_path(stem), moved)
                grader.set_state(stem, state, reason="unclear" if state == "flagged" else "")

    return finish
