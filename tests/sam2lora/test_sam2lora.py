"""The public names of the library come from their modules, when they are first used."""

from importlib import import_module

import pytest

import sam2lora


@pytest.mark.parametrize("name", sam2lora.__all__)
def test_a_public_name_is_that_of_its_module(name: str) -> None:
    module = import_module(f"sam2lora.{sam2lora._MODULES[name]}")
    assert getattr(sam2lora, name) is getattr(module, name)


def test_public_names_are_listed_once_each_and_shown_by_dir() -> None:
    assert sam2lora.__all__ == sorted(sam2lora._MODULES)
    assert {*sam2lora.__all__, "__version__"} <= set(dir(sam2lora))


def test_an_unknown_name_is_no_attribute_and_modules_still_are() -> None:
    with pytest.raises(AttributeError, match="no attribute 'segment'"):
        sam2lora.segment  # noqa: B018
    with pytest.raises(ImportError, match="no_such"):
        from sam2lora import no_such  # noqa: F401
    from sam2lora import settings

    assert settings.__name__ == "sam2lora.settings"
