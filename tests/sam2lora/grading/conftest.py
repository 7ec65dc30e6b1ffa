"""Fixtures: small drawn eyes, sessions of them, and graders who are done with some."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.grading import Grader, Session, list_sources
from sam2lora.synthetic import draw_fundus
from sam2lora.synthetic.settings import SyntheticSettings
from sam2lora.types import Mask
from tests.sam2lora.grading.helpers import STEMS, Eyes, Grade


@pytest.fixture(scope="session")
def drawn() -> Mapping[str, tuple[np.ndarray, dict[str, Mask]]]:
    """Return the pixels and masks of four eyes of two patients; do not change them."""
    eyes = (draw_fundus(number, SyntheticSettings(size=96)) for number in range(len(STEMS)))
    return {
        stem: (eye.image, {name: eye.masks[name] for name in ("disc", "cup")})
        for stem, eye in zip(STEMS, eyes, strict=True)
    }


@pytest.fixture
def photos(drawn: Mapping[str, tuple[np.ndarray, dict[str, Mask]]], tmp_path: Path) -> Path:
    """Return a folder with the images alone."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for stem, (pixels, _) in drawn.items():
        Image.fromarray(pixels).save(folder / f"{stem}.png")
    return folder


@pytest.fixture
def masks(drawn: Mapping[str, tuple[np.ndarray, dict[str, Mask]]]) -> Eyes:
    """Return the masks by stem and target."""
    return {stem: masks for stem, (_, masks) in drawn.items()}


@pytest.fixture
def session(photos: Path, tmp_path: Path) -> Session:
    """Return a session of the four eyes that nobody has graded."""
    return Session.create(tmp_path / "session", list_sources([photos]))


@pytest.fixture
def grade(session: Session, masks: Eyes) -> Grade:
    """Return a function that lets a grader finish images; `shift` moves the masks in pixels."""

    def finish(
        name: str,
        stems: Sequence[str] = STEMS,
        *,
        shift: int = 0,
        targets: Sequence[str] = ("disc", "cup"),
        state: str = "done",
    ) -> None:
        with Grader(session, name) as grader:
            for stem in stems:
                moved = {target: np.roll(masks[stem][target], shift, axis=0) for target in targets}
                grader.corrections.save(stem, session.found_path(stem), moved)
                grader.set_state(stem, state, reason="unclear" if state == "flagged" else "")

    return finish
