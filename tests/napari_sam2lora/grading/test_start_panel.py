"""The panel says what a session is, and starts nothing before one is open."""

from pytestqt.qtbot import QtBot

from napari_sam2lora.grading.start_panel import StartPanel

from ..helpers import label_text, press


def test_grading_starts_once_a_session_is_open(qtbot: QtBot):
    panel = StartPanel()
    qtbot.addWidget(panel)
    names: list[str] = []
    panel.start_requested.connect(names.append)
    press(panel, "Start")
    panel.name.setCurrentText("cleo")
    panel.show_session("trial: 3 images.", ["anna", "ben"], missing=True)
    assert "trial: 3 images." in label_text(panel)
    assert [panel.name.itemText(number) for number in range(panel.name.count())] == ["anna", "ben"]
    press(panel, "Start")
    assert names == ["cleo"], "what was typed stays"


def test_buttons_ask_for_sessions(qtbot: QtBot):
    panel = StartPanel()
    qtbot.addWidget(panel)
    asked: list[object] = []
    panel.new_requested.connect(asked.append)
    panel.open_requested.connect(lambda: asked.append("open"))
    panel.locate_requested.connect(lambda: asked.append("locate"))
    for text in ("New from folder…", "New from table…", "Open…", "Locate images…"):
        press(panel, text)
    assert asked == [False, True, "open", "locate"]
    panel.show_busy("Reading the images…")
    press(panel, "Open…")
    assert len(asked) == 4
    panel.show_busy("")
    press(panel, "Open…")
    assert asked[-1] == "open"
