"""Ask the user where to save a file, and before something is lost."""

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget


def ask_where_to_save(
    parent: QWidget, title: str, kind: str, ending: str, *, name: str = "", adds: bool = False
) -> Path | None:
    """Show a file dialog, and return the file that the user chose; None if it was cancelled.

    Parameters
    ----------
    parent
        Parent of the dialog.
    title
        Title of the dialog.
    kind
        File type as shown in the dialog's filter, such as "CSV".
    ending
        File ending with its dot, such as ".csv"; added to a name that ends differently.
    name
        Suggested file name.
    adds
        Whether an existing file is added to, which needs no question.
    """
    options = QFileDialog.Option.DontConfirmOverwrite if adds else QFileDialog.Option(0)
    kinds = f"{kind} (*{ending})"
    chosen, _ = QFileDialog.getSaveFileName(parent, title, name, kinds, options=options)
    if not chosen:
        return None
    if chosen.lower().endswith(ending):
        return Path(chosen)
    path = Path(chosen + ending)
    if path.exists() and not adds:  # the dialog checked the name without the ending
        choice = QMessageBox.question(parent, title, f"{path.name} already exists. Replace it?")
        if choice != QMessageBox.StandardButton.Yes:
            return None
    return path


def confirm(parent: QWidget, title: str, text: str, *, action: str) -> bool:
    """Ask before something is lost, and return whether the user chose `action`.

    Parameters
    ----------
    parent
        Parent of the dialog.
    title, text
        Title of the dialog, and what is lost.
    action
        Text of the button that goes ahead; the other one, Cancel, is the default.
    """
    box = QMessageBox(QMessageBox.Icon.Question, title, text, parent=parent)
    ahead = box.addButton(action, QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
    box.exec()
    return box.clickedButton() is ahead


def keep_or_delete(parent: QWidget, title: str, text: str, *, keep: str, delete: str) -> bool:
    """Ask about something that is deleted otherwise, and return whether it is kept.

    Parameters
    ----------
    parent
        Parent of the dialog.
    title, text
        Title of the dialog, and what it is about.
    keep, delete
        Texts of the buttons; the first is the default, and what Escape does.
    """
    box = QMessageBox(QMessageBox.Icon.Question, title, text, parent=parent)
    kept = box.addButton(keep, QMessageBox.ButtonRole.AcceptRole)
    deleted = box.addButton(delete, QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(kept)
    box.setEscapeButton(kept)
    box.exec()
    return box.clickedButton() is not deleted
