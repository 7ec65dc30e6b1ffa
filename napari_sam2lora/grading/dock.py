"""The Grade dock: a session's images, and what the grader says of the one that is shown."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from napari.utils.events import Event
from napari.viewer import Viewer
from qtpy.QtCore import QEvent
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QLabel, QSizePolicy, QWidget

from napari_sam2lora.grading.activity import Activity
from napari_sam2lora.grading.background_training import BackgroundTraining
from napari_sam2lora.grading.exporting import export_session
from napari_sam2lora.grading.grading_controller import GradingController
from napari_sam2lora.grading.image_panel import KEYS, ImagePanel
from napari_sam2lora.grading.opening import SessionOpener
from napari_sam2lora.grading.review_controller import ReviewController
from napari_sam2lora.grading.review_panel import REVIEW_KEYS, ReviewPanel
from napari_sam2lora.grading.rows import FILTERS
from napari_sam2lora.grading.start_panel import StartPanel
from napari_sam2lora.grading.table import ImageTable
from napari_sam2lora.grading.training_controller import TrainingController
from napari_sam2lora.grading.training_panel import TrainingPanel
from napari_sam2lora.grading.work import GraderWork
from napari_sam2lora.layers.list_rows import LayerRows
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.qt.background import in_background
from napari_sam2lora.qt.close_guard import CloseGuard
from napari_sam2lora.qt.dialogs import confirm
from napari_sam2lora.qt.dock import Dock, main_window
from napari_sam2lora.qt.dock_protocol import (
    AcceptedPrediction,
    NextImage,
    open_segment_dock,
)
from napari_sam2lora.qt.notifications import notify, show_user_errors
from napari_sam2lora.qt.widgets import MessageArea, Paragraph, Section, button, column, row
from sam2lora.errors import Sam2LoraError
from sam2lora.targets import all_targets

TITLE = "Grade (SAM2-LoRA fundus)"
"""napari's name of the dock."""

_KEYS = KEYS | REVIEW_KEYS
_LIST_HEIGHT = 110  # pixels, at least
_HELP = (
    ("done", "set the image to done, and show the next one"),
    ("skip", "skip it"),
    ("flag", "flag it, with a reason"),
    ("reopen", "set it back to started"),
    ("gradable", "gradable"),
    ("partly", "partly gradable"),
    ("no", "ungradable"),
    ("comment", "type a comment; Return ends it"),
    ("next", "the next image that is to be graded"),
    ("back", "the image before"),
    ("take", "in a review: use the chosen mask in the consensus"),
    ("edit", "in a review: edit a copy of it"),
    ("withdraw", "in a review: withdraw the decision"),
)


class GradeDock(Dock):
    """Dock in which a person grades the images of a session, or reviews what others did.

    Parameters
    ----------
    napari_viewer
        The viewer; each viewer has one session, in which it writes under one name.

    Attributes
    ----------
    opener
        Creates and opens sessions.
    grading, review
        What is done in the session: one of them at a time, or none.
    training
        Trains while images are graded.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._viewer = napari_viewer
        self._close_guard = CloseGuard(self, self._may_close)
        self._rows = LayerRows(napari_viewer)
        self._build()
        self.opener = SessionOpener(self.start_panel, self)
        self.grading = GradingController(napari_viewer, self.table, self.panel, self)
        self.review = ReviewController(napari_viewer, self.review_panel, self)
        self.training = BackgroundTraining(napari_viewer, self)
        self._activity = Activity(napari_viewer, self.grading.act)
        for name, action in self._actions().items():
            self.add_key(_KEYS[name], action)
        self.start_panel.start_requested.connect(self.start)
        self.start_panel.review_requested.connect(self.start_review)
        self.grading.counted.connect(self._title.setText)
        self.grading.said.connect(self.say)
        self.review.said.connect(self.say)
        panel = self.training_panel
        self._trainer = TrainingController(self.training, panel, self.grading, self.messages.add)
        self._viewer.layers.events.removing.connect(self._on_removing)
        # A window that closes destroys the dock without removing it first.
        for close in (
            self._activity.close,
            self.grading.release,
            self.review.release,
            self.training.release,
        ):
            self.destroyed.connect(close)
        self._show_parts()

    @property
    def work(self) -> GraderWork | None:
        """What the grader does; None while nobody grades."""
        return self.grading.work

    def start(self, name: str) -> None:
        """Start grading under a name."""
        session = self.opener.session
        if session is not None and not self._busy:
            with show_user_errors(self):
                self.grading.begin(session, name, TITLE)
                self.grading.set_order(doubtful=self._doubtful.isChecked())
                self._trainer.show_undo()
            self._show_parts()

    def start_review(self, name: str) -> None:
        """Start to look at what graders did under a name."""
        session = self.opener.session
        if session is not None and not self._busy:
            with show_user_errors(self):
                self.review.begin(session, name, TITLE)
                self._title.setText(f"{session.folder.name}: review by {name}")
            self._show_parts()

    def stop(self) -> bool:
        """Save, and close the session; return False if something cannot be saved."""
        try:
            self.grading.end()
            self.review.end()
        except Sam2LoraError as error:
            self.say(f"Not saved: {error}")
            notify(str(error), self)
            return False
        self.training.stop()
        self._show_parts()
        self.opener.refresh()
        return True

    def export(self, folder: Path) -> None:
        """Write the session's table, and the grader's masks, into a folder, in the background."""
        work = self.work
        if work is not None:
            self.grading.save()
            self.say("Writing…")

            def failed(error: Sam2LoraError) -> None:
                self.say(str(error))
                notify(str(error), self)

            session, name = work.session, work.grader.name
            in_background(self, lambda: export_session(session, folder, name), self.say, failed)

    def next_image(self, image: str) -> NextImage | None:
        """Return the next image; None at the end, or if another image is shown than `image`."""
        work = self.work
        return None if work is None or work.shown.path != image else work.next_image()

    def finish_image(self, image: str) -> bool:
        """Set an image to done, and show the next one; return False if it isn't shown."""
        if self.work is None or self.work.shown.path != image:
            return False
        self.panel.finish()
        return True

    def note_confidence(self, image: str, target: str, confidence: float | None) -> None:
        """Remember how sure a prediction is."""
        if self.work is not None:
            self.work.note_confidence(image, target, confidence)

    def note_accepted(self, accepted: AcceptedPrediction) -> None:
        """Write down what predicted a mask."""
        if self.work is not None:
            with show_user_errors(self):
                self.work.note_accepted(accepted)

    def say(self, text: str) -> None:
        """Show a message."""
        self._message.setText(text)
        self.messages.add(text)

    def showEvent(self, event: QShowEvent) -> None:
        """Watch the main window, to save before it closes."""
        super().showEvent(event)
        self._close_guard.refresh()
        self._rows.follow(main_window(self))

    def changeEvent(self, event: QEvent) -> None:
        """Save and disconnect from the viewer when the dock is removed from the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._close_down()

    @property
    def _busy(self) -> bool:
        return self.work is not None or self.review.work is not None

    def _close_down(self) -> None:
        if not self.stop():  # it stays in the recovery file
            self.grading.end(save=False)
            self.review.end(save=False)
        self.training.close()
        self._activity.close()
        self._rows.close()
        self._close_guard.release()
        self._viewer.layers.events.removing.disconnect(self._on_removing)

    def _may_close(self) -> bool:
        """Save before the window closes; if that fails, ask whether it closes anyway."""
        if self._close_guard.agreed.isActive():
            return True
        try:
            self._save()
        except Sam2LoraError as error:
            closes = confirm(self, TITLE, f"{error} Close anyway?", action="Close")
            if closes:
                self._close_guard.agreed.start()
            return closes
        return True

    def _save(self) -> None:
        self.panel.end_typing()
        for work in (self.work, self.review.work):
            if work is not None:
                work.save()

    def _build(self) -> None:
        self.start_panel, self.table, self.panel = StartPanel(), ImageTable(), ImagePanel()
        self.review_panel, self.training_panel = ReviewPanel(), TrainingPanel()
        self.training_panel.show_targets(list(all_targets()))
        self._title, self._message = Paragraph(), Paragraph()
        self._filter = QComboBox()
        self._filter.addItems(list(FILTERS))
        self._filter.setToolTip("Which images are listed")
        self._filter.currentTextChanged.connect(self.table.set_filter)
        self._doubtful = QCheckBox("Most doubtful next")
        self._doubtful.setToolTip(
            "Next shows the image whose predictions are least certain: those accepted, those of "
            "this window, as of Batch in the Segment dock, and those of sam2lora session doubt"
        )
        self._doubtful.toggled.connect(self._on_order)
        self.table.setMinimumHeight(_LIST_HEIGHT)
        keys = QLabel(_help())
        keys.setWordWrap(True)
        self._grading_part = column(
            row(self._filter, self._doubtful),
            self.table,
            row(
                button("Save", self._on_save, tip="Save the masks of the image that is shown"),
                button(
                    "Export…",
                    self._on_export,
                    tip="Write states, times and numbers as CSV and JSON, and your masks as "
                    "COCO, label maps and a data set",
                ),
                button("Segment…", self._on_segment, tip="Open the Segment dock beside this one"),
            ),
            Section("Train while labelling", self.training_panel),
            Section("Keys", keys),
            stretch=self.table,
        )
        self._session_part = column(
            self._title,
            button("Close session", self._on_stop, tip="Save, and close the session"),
        )
        self._session_part.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._below = column(MessageArea(self._message, lines=2), self.panel)
        self.fill(
            column(
                self.start_panel,
                self._session_part,
                self._grading_part,
                self.review_panel,
                stretch=self._grading_part,
            ),
            above=None,
            below=self._below,
        )

    def _actions(self) -> dict[str, Callable[[], None]]:
        panel = self.panel
        return {
            "take": self.review_panel.decide,
            "edit": self.review_panel.edit,
            "withdraw": self.review_panel.withdraw,
            "back": self.grading.go_back,
            "next": self.grading.go_on,
            "done": panel.finish,
            "skip": panel.skip,
            "flag": panel.flag,
            "reopen": panel.reopen,
            "gradable": partial(panel.toggle_quality, "gradable"),
            "partly": partial(panel.toggle_quality, "partly"),
            "no": partial(panel.toggle_quality, "no"),
            "comment": panel.type_comment,
        }

    def _show_parts(self) -> None:
        """Show the list of images, the review, or what is needed to start."""
        grades, reviews = self.work is not None, self.review.work is not None
        parts: dict[QWidget, bool] = {
            self.start_panel: not (grades or reviews),
            self._session_part: grades or reviews,
            self._grading_part: grades,
            self.panel: grades,
            self.review_panel: reviews,
        }
        for part, shown in parts.items():
            part.setVisible(shown)
        if not self._busy:
            self.say("")

    def _on_order(self, doubtful: bool) -> None:
        self.grading.set_order(doubtful=doubtful)

    def _on_save(self) -> None:
        self.grading.save()

    def _on_stop(self) -> None:
        self.stop()

    def _on_segment(self) -> None:
        open_segment_dock(self._viewer)

    def _on_export(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a folder to write to")
        if folder:
            self.export(Path(folder))

    def _on_removing(self, event: Event) -> None:
        """Save a mask that is removed from the viewer, by hand or because the viewer closes."""
        about = plugin_metadata(self._viewer.layers[event.index].metadata)
        for work in (self.work, self.review.work):
            if work is not None and "target" in about and about.get("image") == work.shown.path:
                with show_user_errors(self):
                    work.save()


def _help() -> str:
    rows = "".join(
        f"<tr><td><b>{_KEYS[name]}</b>&nbsp;&nbsp;</td><td>{does}</td></tr>" for name, does in _HELP
    )
    return f"<table>{rows}</table>"
