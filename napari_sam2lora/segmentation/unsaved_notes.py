"""The prompts and previews of an image as JSON, so that they outlive a crash of napari.

Probabilities are not kept: the same prompts give the same prediction again.
"""

from collections.abc import Mapping
from typing import Any

from napari_sam2lora.layers.prompt_history import history_notes, history_of
from napari_sam2lora.segmentation.session import Session
from sam2lora.targets import get_target, selectable_targets

PROMPTS, PREVIEWS, THRESHOLDS = "prompts", "previews", "thresholds"


def notes_of(session: Session, image: str) -> dict[str, Any]:
    """Return the prompts of an image with their undo steps, and what predictions it shows.

    Parameters
    ----------
    session
        The session of the viewer.
    image
        The image's id.
    """
    prompts = {
        target: history_notes(history)
        for target, history in session.prompts.histories(image).items()
    }
    previews = [target for _, target in session.results.unaccepted(image)]
    thresholds = {
        target: chosen
        for target in selectable_targets()
        if (chosen := session.results.chosen_threshold((image, target))) is not None
    }
    notes = {PROMPTS: prompts, PREVIEWS: previews, THRESHOLDS: thresholds}
    return notes if any(notes.values()) else {}


def bring_back(session: Session, image: str, notes: Mapping[str, Any]) -> None:
    """Show the prompts of an image again, and predict again what was shown and not accepted.

    What is unknown is left out.

    Raises
    ------
    SessionError
        If the notes are damaged.
    """
    layer = session.images.find(image)
    if layer is None:
        return
    known = selectable_targets()
    for target, history in dict(notes.get(PROMPTS) or {}).items():
        if target in known:
            session.prompts.set_history(layer, get_target(target), history_of(history))
    for target, threshold in dict(notes.get(THRESHOLDS) or {}).items():
        if target in known:
            session.results.set_threshold((image, target), float(threshold))
    for target in list(notes.get(PREVIEWS) or []):
        if target in known:
            session.queue.submit(layer, get_target(target))
