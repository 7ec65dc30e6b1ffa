"""Choose the folder of base models in a dialog: napari's Preferences browse for files alone."""

from napari.utils.notifications import show_info
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_sam2lora._settings import preferences, set_cache_folder
from sam2lora.utils.download import cache_folder


def choose_cache_folder() -> None:
    """Ask for the folder of downloaded base models, and set it in the Preferences."""
    folder = QFileDialog.getExistingDirectory(
        QApplication.activeWindow(), "Folder for base models", str(cache_folder())
    )
    if folder:
        set_cache_folder(folder)
        used = str(cache_folder())
        fixed = "" if preferences().cache_folder == used else " SAM2LORA_CACHE takes precedence."
        show_info(f"Base models are in {used} from now on.{fixed}")
