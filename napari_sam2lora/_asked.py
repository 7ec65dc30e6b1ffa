"""What was asked last of each image and target, and whether the same would be asked now."""

from collections.abc import Callable
from typing import Any

from napari_sam2lora._past import same_prompts
from napari_sam2lora._photos import Photos
from napari_sam2lora._prompt_layers import Place
from napari_sam2lora._prompts import PromptLayers
from napari_sam2lora._questions import Choice, Machine, Question
from sam2lora.targets import Target


class Asked:
    """The questions of one session that are not answered yet.

    Parameters
    ----------
    photos, prompts
        Of the session.
    how
        Gives by what, and how, a target would be answered now, and whether from what is painted.
    """

    def __init__(
        self,
        photos: Photos,
        prompts: PromptLayers,
        how: Callable[[Target], tuple[Machine, Choice, bool]],
    ) -> None:
        self._photos, self._prompts, self._how = photos, prompts, how
        self._open: dict[Place, Question] = {}

    def add(self, question: Question) -> None:
        """Wait for the answer to a question, and no longer to those before it."""
        self._open[question.photo.key, question.target.name] = question

    def end(self, key: Any, question: Question | None = None) -> None:
        """Wait no longer for the answer to this question, or to any at this place."""
        if question is None or self._open.get(key) is question:
            self._open.pop(key, None)

    def newest(self, place: Place) -> Question | None:
        """Give the question whose answer is still to come."""
        return self._open.get(place)

    def is_present(self, question: Question) -> bool:
        """Tell whether the same would be asked now; what was painted since is another matter."""
        key, target = question.photo.key, question.target
        image = self._photos.find(key)
        return (
            image is not None
            and image.data is question.photo.source
            and same_prompts(self._prompts.at((key, target.name)), question.prompts)
            and self._how(target) == (question.machine, question.choice, question.painted)
        )
