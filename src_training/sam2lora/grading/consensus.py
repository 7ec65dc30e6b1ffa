"""One mask out of several graders': by majority, or by STAPLE."""

from collections.abc import Mapping, Sequence

import numpy as np

from sam2lora.errors import GeometryError, SessionError
from sam2lora.types import Mask

MAJORITY, STAPLE, PAINTED = "majority", "staple", "painted"

LEAST = {MAJORITY: 3, STAPLE: 2}
"""Number of graders' masks that a joint one needs."""


def majority(masks: Sequence[Mask]) -> Mask:
    """Return the pixels that more than half of the masks have; who drew none does not count.

    Parameters
    ----------
    masks
        Three or more, `(H, W)` bool.

    Raises
    ------
    SessionError
        If there are fewer than three: two graders have no majority where they differ.
    GeometryError
        If they differ in size.
    """
    _check(masks)
    if len(masks) < LEAST[MAJORITY]:
        raise SessionError(
            f"A majority needs masks of {LEAST[MAJORITY]} graders, and there are {len(masks)}. "
            "Take one of them, or STAPLE's."
        )
    votes = np.sum(np.stack(masks), axis=0, dtype=np.int32)
    return np.asarray(votes * 2 > len(masks))


def staple(masks: Sequence[Mask]) -> Mask:
    """Return the pixels that probably belong to the target, by STAPLE (Warfield et al. 2004).

    STAPLE weighs each grader by how often the others agree. Of two graders it cannot know who is
    right: the result is about their union or their intersection. It sees the box around all masks,
    since the size of the image decided which of these it is.

    Parameters
    ----------
    masks
        Two or more, `(H, W)` bool.

    Raises
    ------
    SessionError
        If there is one mask alone, no pixel is likely to be on the target, as of masks that do not
        overlap, or SimpleITK (the extra `grading`) is not installed.
    GeometryError
        If they differ in size.
    """
    _check(masks)
    if len(masks) < LEAST[STAPLE]:
        raise SessionError("STAPLE needs masks of two graders or more.")
    first = masks[0]
    if all(np.array_equal(first, other) for other in masks[1:]):
        return first.copy()
    try:
        import SimpleITK
    except ImportError as error:
        raise SessionError(
            "STAPLE needs SimpleITK. Install it: pip install 'napari-sam2lora[grading]'"
        ) from error
    either = np.logical_or.reduce(masks)
    rows, columns = (np.flatnonzero(either.any(axis=axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    images = [SimpleITK.GetImageFromArray(mask[box].astype(np.uint8)) for mask in masks]
    probability = SimpleITK.GetArrayFromImage(SimpleITK.STAPLE(images, 1.0))
    joined = np.zeros_like(first)
    joined[box] = probability >= 0.5
    if not joined.any():
        raise SessionError(
            "STAPLE finds no pixel that is likely on the target: the masks hardly overlap. Take "
            "one of them, or paint."
        )
    return joined


def resolve(choice: str, masks: Mapping[str, Mask], *, painted: Mask | None = None) -> Mask:
    """Return the mask that a choice stands for.

    Parameters
    ----------
    choice
        A grader's name, `majority`, `staple` or `painted`.
    masks
        The graders' masks of one target, by name.
    painted
        The adjudicator's own, if there is one.

    Raises
    ------
    SessionError
        If there is no such mask, or as for `majority` and `staple`.
    GeometryError
        If the masks differ in size.
    """
    if choice == MAJORITY:
        return majority(list(masks.values()))
    if choice == STAPLE:
        return staple(list(masks.values()))
    if choice == PAINTED:
        if painted is None:
            raise SessionError("Nothing was painted, so it cannot be taken. Paint it, or choose.")
        return painted
    if choice not in masks:
        raise SessionError(
            f"There is no mask {choice!r}. Choose one of: "
            f"{', '.join((*masks, MAJORITY, STAPLE, PAINTED))}."
        )
    return masks[choice]


def _check(masks: Sequence[Mask]) -> None:
    sizes = {mask.shape for mask in masks}
    if len(sizes) > 1:
        raise GeometryError(f"The graders' masks differ in size: {sorted(sizes)}.")
