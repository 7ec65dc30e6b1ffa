"""The Advanced tab: every setting of a training, made from the pydantic models themselves."""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QGroupBox,
    QVBoxLayout,
    QWidget,
)

from napari_sam2lora.qt.dock import scrolling
from napari_sam2lora.qt.widgets import Paragraph, button
from napari_sam2lora.training.settings_tab.field import SettingField
from sam2lora.settings import DetailHeadSettings
from sam2lora.training.settings import TrainSettings

IN_SETUP_TAB = frozenset({"target", "data", "model", "start_from"})
"""Settings that are chosen in the Train tab."""

SettingPath = tuple[str, ...]
"""Names of the groups of a setting, and its own."""

_PREFIX = "Value error, "  # pydantic's, before the message of our own checks


class SettingsTab(QWidget):
    """Shows settings, and emits what the user changes in them.

    Values are checked by the models: the error of a value stands below its field, and the value is
    kept there, but not emitted.

    Signals
    -------
    changed(changes)
        What differs from what was shown first, nested as the settings are.
    """

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._fields: dict[SettingPath, SettingField] = {}
        self._shown: dict[str, Any] = {}
        self._edits: dict[SettingPath, Any] = {}
        content = QWidget()
        self._layout = QVBoxLayout(content)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._add(TrainSettings, "", (), tip="")
        self._state = Paragraph()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._state)
        layout.addWidget(scrolling(content), stretch=1)
        layout.addWidget(
            button("Reset to preset", self.reset, tip="Discard what you changed on this tab")
        )
        self._show_message()

    @property
    def changes(self) -> dict[str, Any]:
        """What the user changed, nested as the settings are."""
        changes: dict[str, Any] = {}
        for path, value in self._edits.items():
            group = changes
            for number, name in enumerate(path[:-1]):
                # An optional group is emitted whole: half of it would mean its defaults.
                whole = self._is_optional(path[: number + 1])
                shown = _at(self._shown, path[: number + 1]) if whole else {}
                group = group.setdefault(name, dict(shown))
            group[path[-1]] = value
        return changes

    def show_settings(self, settings: TrainSettings) -> None:
        """Show the settings of the preset, with the user's changes on top."""
        shown = settings.model_dump(mode="json")
        shown["geometry"] = settings.geometry_for(settings.target).model_dump(mode="json")
        if settings.detail_head is None:  # its fields show what a head would have
            shown["detail_head"] = DetailHeadSettings().model_dump(mode="json")
        self._shown = shown
        for path, field in self._fields.items():
            field.show_value(self._edits.get(path, _at(shown, path)))
        self._check()

    def edit(self, path: SettingPath, value: Any) -> None:
        """Change one setting as a user would."""
        self._fields[path].show_value(value)
        self._fields[path].edited.emit(value)

    def field(self, path: SettingPath) -> SettingField:
        """Return the field of a setting."""
        return self._fields[path]

    def reset(self) -> None:
        """Discard what the user changed."""
        self._edits = {}
        for path, field in self._fields.items():
            field.show_value(_at(self._shown, path))
        self._check()

    def _add(self, model: type[BaseModel], title: str, path: SettingPath, *, tip: str) -> None:
        """Add the settings of a model as a group, and after it those of the models in it."""
        group = QGroupBox(title)
        group.setToolTip(tip)
        form = QFormLayout(group)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self._layout.addWidget(group)
        nested: list[tuple[type[BaseModel], SettingPath, str]] = []
        for name, about in model.model_fields.items():
            place = (*path, name)
            inner = _model_in(about.annotation)
            if place[0] in IN_SETUP_TAB:
                continue
            if inner is not None:
                nested.append((inner, place, self._group_tip(inner, about, place)))
                continue
            field = SettingField(".".join(place), about)
            field.edited.connect(self._edited_at(place))
            self._fields[place] = field
            form.addRow(name.replace("_", " "), field)
        if not form.rowCount():
            group.hide()
        for inner, place, group_tip in nested:
            self._add(inner, " · ".join(place), place, tip=group_tip)

    def _group_tip(self, model: type[BaseModel], about: FieldInfo, path: SettingPath) -> str:
        """Return what a group of settings is, and how one is set that is left out by default."""
        tip = about.description or (model.__doc__ or "").strip().splitlines()[0]
        return f"{tip}. A change below sets it" if self._is_optional(path) else tip

    def _edited_at(self, path: SettingPath) -> Any:
        def edited(value: Any) -> None:
            if value == _at(self._shown, path):
                self._edits.pop(path, None)
            else:
                self._edits[path] = value
            self._check()

        return edited

    def _check(self) -> None:
        """Show the errors at their fields; emit the changes if there are none."""
        problems = self._problems()
        for path, field in self._fields.items():
            # The error of a whole group stands at the first of its fields that was changed.
            messages = [
                message
                for place, message in problems.items()
                if place == path or (place not in self._fields and path == self._first_edit(place))
            ]
            field.show_error(" ".join(messages))
        self._show_message(len(problems))
        if not problems:
            self.changed.emit(self.changes)

    def _problems(self) -> dict[SettingPath, str]:
        content = _merged(self._shown, self.changes)
        try:
            TrainSettings.model_validate(content)
        except ValidationError as error:
            return {
                tuple(str(part) for part in one["loc"] if isinstance(part, str)): one[
                    "msg"
                ].removeprefix(_PREFIX)
                for one in error.errors(include_url=False)
            }
        return {}

    def _first_edit(self, place: SettingPath) -> SettingPath | None:
        inside: Iterable[SettingPath] = (one for one in self._edits if one[: len(place)] == place)
        return next(iter(inside), None)

    def _is_optional(self, path: SettingPath) -> bool:
        annotation = TrainSettings.model_fields[path[0]].annotation
        return len(path) == 1 and type(None) in get_args(annotation)

    def _show_message(self, problems: int = 0) -> None:
        if problems:
            self._state.setText("Invalid value; keeping the previous one.")
        elif self._edits:
            names = ", ".join(".".join(path) for path in self._edits)
            self._state.setText(f"Changed: {names}.")
        else:
            self._state.setText("All settings are as in the preset.")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a field, which may be optional; None if it holds none."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def _at(content: Mapping[str, Any], path: SettingPath) -> Any:
    for name in path:
        content = content[name]
    return content


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        older = merged.get(key)
        if isinstance(value, Mapping) and isinstance(older, Mapping):
            value = _merged(older, value)
        merged[key] = value
    return merged
