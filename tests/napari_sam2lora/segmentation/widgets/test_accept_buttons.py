"""The buttons that accept."""

from pytestqt.qtbot import QtBot

from napari_sam2lora.segmentation.widgets.accept_buttons import AcceptButtons

from ...helpers import press


def test_each_button_emits_its_signal(qtbot: QtBot):
    buttons, emitted = AcceptButtons(), []
    qtbot.addWidget(buttons)
    for name in ("accept", "accept_all", "finish"):
        getattr(buttons, f"{name}_requested").connect(lambda *_, name=name: emitted.append(name))
    for text in ("Accept", "Accept all", "Accept all, next"):
        press(buttons, text)
    assert emitted == ["accept", "accept_all", "finish"]
