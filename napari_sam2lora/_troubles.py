"""Why targets could not be answered, kept until they are asked about again."""

from napari_sam2lora._prompt_layers import Place


class Troubles:
    """What stood in the way of answers, by image and target."""

    def __init__(self) -> None:
        self._words: dict[Place, str] = {}

    def note(self, place: Place, words: str) -> None:
        """Keep why there is no answer, in place of what was kept before."""
        self._words[place] = words

    def settle(self, place: Place) -> None:
        """Forget it: the target is asked about again."""
        self._words.pop(place, None)

    def of_image(self, key: str) -> str:
        """Give what is kept about the targets of an image, a line each; empty if there is none."""
        lines = [f"{target}: {words}" for (of, target), words in self._words.items() if of == key]
        return "\n".join(lines)
