"""All trainings of a session start from an adapter that none of them made."""

from collections.abc import Callable

import pytest

from napari_sam2lora._settings import set_adapter_of
from napari_sam2lora.grading.initial_adapter import current_adapter, initial_adapter
from napari_sam2lora.grading.trainings_file import (
    FILE_NAME,
    TargetTrainings,
    Trainings,
    read_trainings,
    write_trainings,
)
from sam2lora.adapters import Adapter, delete_adapter, install_adapter
from sam2lora.adapters.card import AdapterReference
from sam2lora.errors import SettingsError
from sam2lora.grading import GradingSession, SessionGrader
from sam2lora.targets import TARGETS


@pytest.fixture
def install(make_adapter: Callable) -> Callable[[str], Adapter]:
    """Return a function that installs an adapter of the disc.

    Of those made within a second, the default is the first by name.
    """
    return lambda name: install_adapter(make_adapter(name, TARGETS["disc"]))


def made_by(initial: Adapter, *names: str, digest: str = "") -> TargetTrainings:
    """Return trainings that started from an adapter, and made others."""
    reference = AdapterReference(name=initial.name, digest=digest or initial.digest())
    return TargetTrainings(initial=reference, made=names, used=names)


def test_current_adapter_is_the_chosen_one_or_the_default(install: Callable[[str], Adapter]):
    with pytest.raises(SettingsError, match="no adapter of the disc"):
        current_adapter("disc")
    install("b-older")
    install("a-newer")
    assert current_adapter("disc").name == "a-newer"
    set_adapter_of("disc", "b-older")
    assert current_adapter("disc").name == "b-older"


def test_adapter_of_a_training_is_no_initial_one(
    session: GradingSession, install: Callable[[str], Adapter]
):
    first = install("my-disc")
    install("another-disc")
    install("disc-quick-1")
    set_adapter_of("disc", "disc-quick-1")
    own = Trainings(targets={"disc": made_by(first, "disc-quick-1")})
    assert initial_adapter(session, "anna", own, "disc").name == "my-disc"
    set_adapter_of("disc", "another-disc")
    assert initial_adapter(session, "anna", own, "disc").name == "another-disc"


def test_another_adapter_of_the_same_name_is_not_taken(
    session: GradingSession, install: Callable[[str], Adapter]
):
    first = install("my-disc")
    install("another-disc")
    install("disc-quick-1")
    set_adapter_of("disc", "disc-quick-1")
    own = Trainings(targets={"disc": made_by(first, "disc-quick-1", digest="0" * 64)})
    assert initial_adapter(session, "anna", own, "disc").name == "another-disc", "the default"
    delete_adapter("another-disc")
    delete_adapter("my-disc")
    with pytest.raises(SettingsError, match="trained in this session"):
        initial_adapter(session, "anna", own, "disc")


def test_trainings_of_other_graders_count(
    session: GradingSession, install: Callable[[str], Adapter]
):
    first = install("my-disc")
    install("disc-quick-1")
    set_adapter_of("disc", "disc-quick-1")
    with SessionGrader(session, "anna") as grader:
        write_trainings(grader.folder, "disc", made_by(first, "disc-quick-1"))
    assert initial_adapter(session, "ben", Trainings(), "disc").name == "my-disc"
    (session.folder / "graders/anna" / FILE_NAME).write_text("{")
    assert initial_adapter(session, "ben", Trainings(), "disc").name == "disc-quick-1"


def test_trainings_of_other_targets_stay(
    session: GradingSession, install: Callable[[str], Adapter]
):
    first = install("my-disc")
    with SessionGrader(session, "anna") as grader:
        write_trainings(grader.folder, "disc", made_by(first, "disc-quick-1"))
        write_trainings(grader.folder, "cup", TargetTrainings(trained=("eye1",)))
        found = read_trainings(grader.folder)
    assert (found.of("disc").made, found.of("cup").trained) == (("disc-quick-1",), ("eye1",))
    assert found.of("vessel") == TargetTrainings()


def test_steps_back_are_in_order():
    trainings = TargetTrainings(
        initial=AdapterReference(name="start", digest="0" * 64), used=("one", "two")
    )
    assert trainings.before("two") == ("one", "start")
    assert trainings.before("one") == ("start",)
    assert trainings.before("start") == trainings.before("other") == ()
    assert trainings.up_to("one").used == ("one",)
    assert trainings.up_to("start").used == ()
