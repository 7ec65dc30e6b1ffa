"""What a session would do, as settings of `sam2lora predict`, and as text for the clipboard."""

from collections.abc import Sequence

from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.segmentation.session import Session
from sam2lora.errors import ImageError
from sam2lora.inference.settings import PredictSettings, command_line, command_words, together
from sam2lora.targets import get_target

_OUT = "masks"


def settings_of_files(
    session: Session, images: Sequence[str], targets: Sequence[str], out: str
) -> list[PredictSettings]:
    """Say how files are segmented: each target as it is answered in the dock, without prompts.

    Raises
    ------
    TargetError
        If a target is unknown.
    """
    return together(_settings(session, images, name, out) for name in targets)


def settings_of_image(session: Session) -> PredictSettings:
    """Say how the present image was answered for the present target, prompts included.

    A mask that was painted is not among them: it is no file.

    Raises
    ------
    ImageError
        If there is no image, or it is no file.
    """
    image, key = session.image, session.target_key
    path = None if image is None else plugin_metadata(image.metadata).get("path")
    if path is None or key is None:
        raise ImageError("The command needs a file: save the image, and open it from there.")
    prompts = session.prompts.at(key)
    usual = _settings(session, [path], session.target.name, _OUT)
    threshold = session.results.chosen_threshold(key)
    return usual.model_copy(
        update={"points": prompts.points, "box": prompts.box, "threshold": threshold}
    )


def as_text(settings: Sequence[PredictSettings]) -> str:
    """Give the commands, one a line."""
    return "\n".join(command_line(command_words(one)) for one in settings)


def _settings(session: Session, images: Sequence[str], name: str, out: str) -> PredictSettings:
    chosen = session.choices.choice(get_target(name))
    compute = session.choices.compute
    return PredictSettings(
        images=tuple(images),
        targets=(name,),
        out=out,
        model=compute.model,
        adapter=chosen.adapter,
        no_adapter=chosen.no_adapter,
        detail=chosen.detail,
        device=compute.device,
        precision=compute.precision,
    )
