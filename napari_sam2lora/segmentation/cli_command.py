"""The commands that do what a session does: settings of `sam2lora predict`, and their text."""

from collections.abc import Sequence

from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.segmentation.session import Session
from sam2lora.errors import ImageError
from sam2lora.inference.settings import PredictSettings, command_args, command_line, merge_targets
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.targets import get_target

_OUT = "masks"


def settings_of_files(
    session: Session, images: Sequence[str], targets: Sequence[str], out: str
) -> list[PredictSettings]:
    """Return how files are segmented: each target as in the dock, without prompts.

    Raises
    ------
    TargetError
        If a target is unknown.
    """
    return merge_targets(_settings(session, images, name, out) for name in targets)


def settings_of_image(session: Session) -> PredictSettings:
    """Return how the current target of the current image is segmented, prompts included.

    A painted mask is not included: it is no file.

    Raises
    ------
    ImageError
        If there is no image, or it is no file, or the target's outline was drawn.
    """
    image, key = session.image, session.target_key
    path = None if image is None else plugin_metadata(image.metadata).get("path")
    if path is None or key is None:
        raise ImageError("The command needs a file: save the image, and open it from there.")
    prompts = session.prompts.at(key)
    located = session.points.at(key)
    if located is not None and located.set_by_hand:
        prompts = Prompts(points=(PointPrompt(located.x, located.y),))
    if prompts.outline is not None:
        raise ImageError("An outline is drawn by hand, and no command gives it. Save the mask.")
    settings = _settings(session, [path], session.target.name, _OUT)
    threshold = session.results.chosen_threshold(key)
    return settings.model_copy(
        update={"points": prompts.points, "box": prompts.box, "threshold": threshold}
    )


def as_text(settings: Sequence[PredictSettings]) -> str:
    """Return the commands, one per line."""
    return "\n".join(command_line(command_args(one)) for one in settings)


def _settings(session: Session, images: Sequence[str], name: str, out: str) -> PredictSettings:
    target = get_target(name)
    choice = session.choices.choice(target)
    compute = session.choices.compute
    return PredictSettings(
        images=tuple(images),
        targets=(name,),
        out=out,
        model=compute.model,
        adapter=choice.adapter,
        outer_adapter=session.choices.outer_adapter(target),
        no_adapter=choice.no_adapter,
        detail=choice.detail,
        device=compute.device,
        precision=compute.precision,
    )
