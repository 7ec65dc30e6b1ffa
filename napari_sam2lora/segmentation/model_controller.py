"""Connects a session to the model panel: base model, adapter, input mode and device."""

from dataclasses import replace

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_sam2lora._settings import preferences, set_adapter_of
from napari_sam2lora.adapters import AdapterWatcher, dice_of
from napari_sam2lora.layers.conversion import size_of
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.segmentation.preflight import has_adapter, warnings
from napari_sam2lora.segmentation.requests import DeviceInfo, ModelChoice
from napari_sam2lora.segmentation.session import Session
from napari_sam2lora.segmentation.widgets.model_panel import (
    AUTOMATIC,
    NO_ADAPTER,
    ComboEntry,
    ModelPanel,
)
from sam2lora.adapters import find_adapter, sort_by_preference
from sam2lora.errors import ImageError
from sam2lora.models.registry import BASE_MODELS, BaseModel
from sam2lora.targets import TARGETS, InputMode, Target, get_target, selectable_targets


class ModelController(QObject):
    """Keeps the lists of models and adapters up to date, and warns about the next prediction.

    Parameters
    ----------
    session
        The session of the viewer.
    panel
        The panel; it owns this controller.

    Signals
    -------
    warned(text)
        Warnings about the next prediction; empty if there are none.
    """

    warned = Signal(str)

    def __init__(self, session: Session, panel: ModelPanel) -> None:
        super().__init__(panel)
        self._session, self._panel = session, panel
        self._device: DeviceInfo | None = None  # unknown until torch is loaded
        self.watch = AdapterWatcher(self)
        self.watch.changed.connect(self._on_adapters)
        panel.model_selected.connect(self._on_model)
        panel.device_selected.connect(self._on_device)
        panel.adapter_selected.connect(self._on_adapter)
        panel.input_mode_selected.connect(self._on_input_mode)
        panel.adapters_requested.connect(self.refresh_adapters)
        session.selection_changed.connect(self.refresh)
        session.device_ready.connect(self._on_device_ready)
        self.refresh_adapters()
        self._choose_as_before()
        self.refresh()

    def refresh_adapters(self) -> None:
        """List the installed adapters again."""
        with show_user_errors(self):
            self.watch.refresh()

    def refresh(self) -> None:
        """Show what is chosen, and warnings about it."""
        session = self._session
        choice = session.choices.choice(session.target)
        models = [_model_entry(base) for base in BASE_MODELS.values()]
        if session.choices.model not in BASE_MODELS:
            models.append((session.choices.model, session.choices.model))
        self._panel.show_models(models, session.choices.model)
        entries = self.adapter_entries()
        if choice.adapter and choice.adapter not in [value for _, value in entries]:
            entries.append((choice.adapter, choice.adapter))
        selected = NO_ADAPTER if choice.no_adapter else choice.adapter or AUTOMATIC
        self._panel.show_adapters(entries, selected, automatic=self._automatic())
        self._panel.show_input_mode(choice.detail)
        self.warn()

    def use_adapter(self, name: str) -> None:
        """Segment an installed adapter's target with it from now on, and with its base model.

        It stays chosen until another one is, after a restart too.

        Parameters
        ----------
        name
            Name of the adapter; its weights may have changed since it was last used.

        Raises
        ------
        AdapterError
            If it is not installed.
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
        set_adapter_of(target.name, name)

    def warn(self, *others: Target) -> None:
        """Emit warnings about the next prediction of the current target, and of others."""
        session, current, image = self._session, self._session.target_key, self._session.image
        latest = session.results.latest
        loaded = any(one.request.compute == session.choices.compute for one in latest.values())
        found = [] if self._device is None else [self._device.hint]
        for target in dict.fromkeys((session.target, *others)):
            at = None if current is None else (current[0], target.name)
            earlier = None if at is None else latest.get(at)
            # What was segmented once needs no more memory now.
            fits = earlier is not None and earlier.request.compute == session.choices.compute
            found += warnings(
                session.choices.model,
                session.choices.choice(target),
                target,
                self.watch.adapters,
                shape=None if image is None or fits else _size(image),
                prompted=at is not None and not session.prompts.at(at).empty,
                loaded=loaded,
                free=None if self._device is None else self._device.free,
            )
        self.warned.emit("\n".join(dict.fromkeys(filter(None, found))))

    def targets_to_segment(self) -> list[Target]:
        """Return vessel, disc and cup, and of all other targets those that have an adapter.

        Raises
        ------
        TargetError
            If the user's own targets cannot be read.
        """
        choices, adapters = self._session.choices, self.watch.adapters
        return [
            target
            for name, target in selectable_targets().items()
            if name in TARGETS
            or has_adapter(choices.model, choices.choice(target), target, adapters)
        ]

    def adapter_entries(self) -> list[ComboEntry]:
        """Return the adapters for the target: those for the base model, then others with theirs."""
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

    def _automatic(self) -> str:
        """Return which adapter is used unless the user chooses another, and why."""
        session = self._session
        fitting = sort_by_preference(
            one
            for one in self.watch.adapters
            if (one.card.base.name, one.card.target.name)
            == (session.choices.model, session.target.name)
        )
        best = next(iter(fitting), None)
        if best is None:
            return "no adapter fits"
        return f"{best.name} ({'shipped with the plugin' if best.shipped else 'your newest'})"

    def _on_adapters(self) -> None:
        self._session.choices.reload_adapters()
        self.refresh()

    def _on_device_ready(self, device: DeviceInfo) -> None:
        self._device = device
        self._panel.show_message(device.text)
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
        set_adapter_of(session.target.name, named)

    def _choose_as_before(self) -> None:
        """Choose the adapters that were trained or chosen last, if they fit the base model."""
        choices = self._session.choices
        cards = {adapter.name: adapter.card for adapter in self.watch.adapters}
        for target, name in preferences().adapters.items():
            card = cards.get(name)
            if card and (card.target.name, card.base.name) == (target, choices.model):
                choices.set_choice(card.target, ModelChoice(adapter=name))

    def _on_input_mode(self, mode: InputMode | None) -> None:
        session = self._session
        session.choices.set_choice(
            session.target, replace(session.choices.choice(session.target), detail=mode)
        )


def _size(image: Image) -> tuple[int, int] | None:
    """Return the size of an image; None for a stack, which is refused when it is segmented."""
    try:
        return size_of(layer_data(image))
    except ImageError:
        return None


def _model_entry(base: BaseModel) -> ComboEntry:
    size = "" if base.embedded or base.path.exists() else ", to be downloaded"
    return f"{base.name} ({base.parameters / 1e6:.0f} M weights{size})", base.name
