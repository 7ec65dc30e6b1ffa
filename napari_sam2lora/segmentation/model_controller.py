"""Joins a session to the part of the dock where one chooses what answers."""

from dataclasses import replace

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_sam2lora.adapters import AdapterWatcher, dice_of
from napari_sam2lora.layers.conversion import size_of
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.segmentation.preflight import warnings
from napari_sam2lora.segmentation.requests import DeviceInfo
from napari_sam2lora.segmentation.session import Session
from napari_sam2lora.segmentation.widgets.model_panel import (
    AUTOMATIC,
    NO_ADAPTER,
    ComboEntry,
    ModelPanel,
)
from sam2lora.adapters import find_adapter
from sam2lora.errors import ImageError
from sam2lora.models.registry import BASE_MODELS, BaseModel
from sam2lora.targets import Target, get_target


class ModelController(QObject):
    """Keeps the lists of models and adapters as they are, and says what could go wrong.

    Parameters
    ----------
    session
        Of the viewer.
    advanced
        The widget; with it, this goes as well.

    Signals
    -------
    warned(words)
        What could go wrong with the next answer; empty if nothing could.
    """

    warned = Signal(str)

    def __init__(self, session: Session, advanced: ModelPanel) -> None:
        super().__init__(advanced)
        self._session, self._advanced = session, advanced
        self._computer: DeviceInfo | None = None  # unknown until torch is loaded
        self.watch = AdapterWatcher(self)
        self.watch.changed.connect(self._on_adapters)
        advanced.model_selected.connect(self._on_model)
        advanced.device_selected.connect(self._on_device)
        advanced.adapter_selected.connect(self._on_adapter)
        advanced.input_mode_selected.connect(self._on_input_mode)
        advanced.adapters_requested.connect(self.refresh_adapters)
        session.selection_changed.connect(self.refresh)
        session.device_ready.connect(self._on_computer)
        self.refresh_adapters()
        self.refresh()

    def refresh_adapters(self) -> None:
        """List the adapters that are there now."""
        with show_user_errors():
            self.watch.refresh()

    def refresh(self) -> None:
        """Show what is chosen, and what could go wrong with it."""
        session = self._session
        chosen = session.choices.choice(session.target)
        models = [_model_entry(base) for base in BASE_MODELS.values()]
        if session.choices.model not in BASE_MODELS:
            models.append((session.choices.model, session.choices.model))
        self._advanced.show_models(models, session.choices.model)
        entries = self.adapter_entries()
        if chosen.adapter and chosen.adapter not in [value for _, value in entries]:
            entries.append((chosen.adapter, chosen.adapter))
        named = NO_ADAPTER if chosen.no_adapter else chosen.adapter or AUTOMATIC
        self._advanced.show_adapters(entries, named)
        self._advanced.show_input_mode(chosen.detail)
        self.warn()

    def use_adapter(self, name: str) -> None:
        """Answer an installed adapter's target by it from now on, and by its base model.

        Parameters
        ----------
        name
            Of the adapter; its weights may be others than when it was last used.

        Raises
        ------
        AdapterError
            If it is not there.
        """
        session, card = self._session, find_adapter(name).card
        self.watch.refresh()
        session.choices.reload_adapters()
        if card.base.name in BASE_MODELS and card.base.name != session.choices.model:
            self._on_model(card.base.name)
        target = get_target(card.target.name)
        session.choices.set_choice(
            target, replace(session.choices.choice(target), adapter=name, no_adapter=False)
        )

    def warn(self, *others: Target) -> None:
        """Say what could go wrong with the next answer, and with those for other targets."""
        session, current, image = self._session, self._session.target_key, self._session.image
        replies = session.results.latest
        loaded = any(one.request.compute == session.choices.compute for one in replies.values())
        found = [] if self._computer is None else [self._computer.hint]
        for target in dict.fromkeys((session.target, *others)):
            at = None if current is None else (current[0], target.name)
            answered = None if at is None else replies.get(at)
            # What was answered once needs no more memory now.
            fits = answered is not None and answered.request.compute == session.choices.compute
            found += warnings(
                session.choices.model,
                session.choices.choice(target),
                target,
                self.watch.adapters,
                shape=None if image is None or fits else _size(image),
                prompted=at is not None and not session.prompts.at(at).empty,
                loaded=loaded,
                free=None if self._computer is None else self._computer.free,
            )
        self.warned.emit("\n".join(dict.fromkeys(filter(None, found))))

    def adapter_entries(self) -> list[ComboEntry]:
        """List adapters for the target, those for the base model first, others with their base."""
        session, entries = self._session, []
        for adapter in self.watch.adapters:
            card = adapter.card
            if card.target.name == session.target.name:
                other = card.base.name != session.choices.model
                text = ", ".join(filter(None, (card.name, dice_of(card))))
                entries.append((other, text, card.base.name, card.name))
        return [
            (f"{text} (for {base})" if other else text, name)
            for other, text, base, name in sorted(entries)
        ]

    def _on_adapters(self) -> None:
        self._session.choices.reload_adapters()
        self.refresh()

    def _on_computer(self, computer: DeviceInfo) -> None:
        self._computer = computer
        self._advanced.show_message(computer.text)
        self.warn()

    def _on_model(self, name: str) -> None:
        choices = self._session.choices
        choices.set_compute(name, choices.device, choices.precision)

    def _on_device(self, device: str | None) -> None:
        choices = self._session.choices
        choices.set_compute(choices.model, device, choices.precision)
        self._session.queue.describe_device()

    def _on_adapter(self, name: str) -> None:
        session = self._session
        named = None if name in (AUTOMATIC, NO_ADAPTER) else name
        chosen = replace(
            session.choices.choice(session.target), adapter=named, no_adapter=name == NO_ADAPTER
        )
        session.choices.set_choice(session.target, chosen)

    def _on_input_mode(self, detail: str | None) -> None:
        session = self._session
        session.choices.set_choice(
            session.target, replace(session.choices.choice(session.target), detail=detail)
        )


def _size(image: Image) -> tuple[int, int] | None:
    """Give the size of a photograph; None for a stack, which is refused when it is asked about."""
    try:
        return size_of(layer_data(image))
    except ImageError:
        return None


def _model_entry(base: BaseModel) -> ComboEntry:
    size = "" if base.embedded or base.path.exists() else ", to be downloaded"
    return f"{base.name} ({base.parameters / 1e6:.0f} M weights{size})", base.name
