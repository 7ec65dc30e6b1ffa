"""The session of a viewer without a window: current image and target, prompts, messages."""

from collections.abc import Iterator

import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot

from napari_sam2lora.segmentation.session import Session
from sam2lora.errors import TargetError
from sam2lora.targets import TARGETS

from ..segmentation_window import fundus


@pytest.fixture
def session(qtbot: QtBot) -> Iterator[Session]:
    """Create the session of a viewer with two images, of which the left one is current."""
    viewer = ViewerModel()
    for name, seed in (("left", 0), ("right", 1)):
        viewer.add_layer(fundus(name, seed))
    session = Session(viewer)
    session.set_image(viewer.layers["left"])
    yield session
    session.close()


@pytest.fixture
def messages(session: Session) -> list[str]:
    """Collect the messages of the session."""
    collected: list[str] = []
    session.message.connect(collected.append)
    return collected


def test_key_is_that_of_the_current_image_and_target(session: Session) -> None:
    assert session.target_key == ("left", "disc")
    session.set_target("cup", image=session.viewer.layers["right"])
    assert session.target_key == ("right", "cup")
    session.set_image(None)
    assert session.target_key is None


def test_selection_is_emitted_once_for_image_and_target(session: Session) -> None:
    emitted: list[bool] = []
    session.selection_changed.connect(lambda: emitted.append(True))
    session.set_target("cup", image=session.viewer.layers["right"])
    session.set_target("cup")  # nothing changes
    assert len(emitted) == 1


def test_unknown_target_is_an_error(session: Session) -> None:
    with pytest.raises(TargetError, match="iris"):
        session.set_target("iris")


def test_tool_stays_active_when_the_target_changes(session: Session) -> None:
    session.use("box")
    assert session.tool == "box"
    session.set_target("cup")
    assert session.tool == "box"
    assert session.viewer.layers.selection.active.name == "left cup box"


def test_prompts_of_other_targets_are_hidden(session: Session) -> None:
    session.use("point")
    session.prompts.points(session.image, session.target).add([80, 80])
    session.set_target("cup")
    session.use("point")
    layers = session.viewer.layers
    assert not layers["left disc points"].visible
    assert layers["left cup points"].visible
    session.set_target("disc")
    assert layers["left disc points"].visible


@pytest.mark.parametrize("before", [None, "box"])
@pytest.mark.parametrize("positive", [True, False])
def test_switching_points_without_a_point_tool_takes_up_negative_points(
    session: Session, before: str | None, positive: bool
) -> None:
    session.set_positive(positive)
    if before:
        session.use(before)
    session.toggle_positive()
    assert (session.tool, session.prompts.positive) == ("point", False)
    session.prompts.points(session.image, session.target).add([80, 80])
    (point,) = session.prompts.at(session.target_key).points
    assert not point.positive


@pytest.mark.parametrize(("target", "tool"), [("disc", "point"), ("vessel", "branch")])
def test_switching_points_keeps_the_point_tool(session: Session, target: str, tool: str) -> None:
    session.set_target(target)
    session.use(tool)
    for positive in (False, True, False):
        session.toggle_positive()
        assert (session.tool, session.prompts.positive) == (tool, positive)


def test_switching_points_of_a_target_that_is_a_point_sets_it(session: Session) -> None:
    session.set_target("fovea")
    for _ in range(2):
        session.toggle_positive()
        assert (session.tool, session.prompts.positive) == ("point", True)


def test_undo_redo_and_clear_change_the_current_prompts(
    session: Session, messages: list[str]
) -> None:
    session.use("point")
    session.prompts.points(session.image, session.target).add([80, 70])
    session.undo()
    assert session.prompts.at(session.target_key).empty
    session.redo()
    assert [(point.x, point.y) for point in session.prompts.at(session.target_key).points] == [
        (70, 80)
    ]
    session.clear()
    assert session.prompts.at(session.target_key).empty
    assert messages == []


def test_commands_that_are_not_possible_are_explained(
    session: Session, messages: list[str]
) -> None:
    session.undo()
    assert "no prompt to undo" in messages[-1]
    assert session.accept("replace") is None
    assert "no result to accept" in messages[-1]
    session.set_image(None)
    session.segment([TARGETS["disc"]])
    assert "Open a fundus image first" in messages[-1]


def test_positive_is_emitted_when_it_changes(session: Session) -> None:
    emitted: list[bool] = []
    session.positive_changed.connect(emitted.append)
    for positive in (True, False, False, True):
        session.set_positive(positive)
    assert emitted == [False, True]
