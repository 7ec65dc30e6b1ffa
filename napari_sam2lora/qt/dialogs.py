"""Ask where a file is to be saved."""

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget


def ask_where_to_save(
    parent: QWidget, title: str, kind: str, ending: str, *, name: str = ""
) -> Path | None:
    """Give the file the user chose; None if the dialog was left.

    Parameters
    ----------
    parent
        Over which the dialog lies.
    title
        Of the dialog.
    kind
        What such files are called.
    ending
        With its dot; it is added to a name that ends otherwise, whatever dots are in it.
    name
        What is proposed.
    """
    chosen, _ = QFileDialog.getSaveFileName(parent, title, name, f"{kind} (*{ending})")
    if not chosen:
        return None
    if chosen.lower().endswith(ending):
        return Path(chosen)
    path = Path(chosen + ending)
    if path.exists():  # the dialog asked about the name without the ending
        answer = QMessageBox.question(parent, title, f"{path.name} is there already. Replace it?")
        if answer != QMessageBox.StandardButton.Yes:
            return None
    return path
