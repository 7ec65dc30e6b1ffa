"""The adapter that trainings in the background start from, which is the same for all of them.

A training that started from the adapter of the one before would be validated on images that this
one was trained on.
"""

from napari_sam2lora._settings import preferences
from napari_sam2lora.grading.trainings_file import Trainings, read_trainings
from sam2lora.adapters import Adapter, list_adapters, sort_by_preference
from sam2lora.adapters.card import AdapterReference
from sam2lora.errors import SessionError, SettingsError
from sam2lora.grading import GradingSession
from sam2lora.grading.session import GRADERS


def current_adapter(target: str) -> Adapter:
    """Return the adapter that a target is predicted with: as chosen last, or else the default.

    Raises
    ------
    AdapterError
        If the installed adapters cannot be read.
    SettingsError
        If there is none.
    """
    fitting = _adapters_of(target)
    chosen = preferences().adapters.get(target)
    found = [one for one in fitting if one.name == chosen] or fitting
    if not found:
        raise SettingsError(
            f"There is no adapter of the {target} to start from. Train one in the Train dock."
        )
    return found[0]


def initial_adapter(session: GradingSession, name: str, own: Trainings, target: str) -> Adapter:
    """Return the adapter that a training of a grader starts from.

    That is the current one, unless a training in the background of this session made it: then the
    one that this training started from, or if that is gone, the default among those that no such
    training made.

    Parameters
    ----------
    session
        The session.
    name
        The grader.
    own
        The grader's trainings.
    target
        Name of the target.

    Raises
    ------
    AdapterError
        If the installed adapters cannot be read.
    SettingsError
        If there is none.
    """
    current = current_adapter(target)
    others = [_readable(session, other) for other in session.names(GRADERS) if other != name]
    trainings = [one.of(target) for one in (own, *others)]
    made = {adapter for one in trainings for adapter in one.made}
    if current.name not in made:
        return current
    reference = next(one.initial for one in trainings if current.name in one.made)
    left = [one for one in _adapters_of(target) if one.name not in made]
    found = [one for one in left if reference is not None and _is_same(one, reference)] or left
    if not found:
        raise SettingsError(
            f"There is no adapter of the {target} to start from but those that were trained in "
            "this session. Train or import another one."
        )
    return found[0]


def _adapters_of(target: str) -> list[Adapter]:
    """Return the installed adapters of a target, the default first."""
    return sort_by_preference(one for one in list_adapters() if one.card.target.name == target)


def _readable(session: GradingSession, name: str) -> Trainings:
    try:
        return read_trainings(session.folder / GRADERS / name)
    except SessionError:  # that grader is told
        return Trainings()


def _is_same(adapter: Adapter, reference: AdapterReference) -> bool:
    """Check whether an adapter is the one of a reference, not another one of the same name."""
    return adapter.name == reference.name and adapter.digest() == reference.digest
