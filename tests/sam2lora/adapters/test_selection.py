from dataclasses import replace

import pytest

from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.selection import check_base, check_target, choose_adapter, require_adapter
from sam2lora.adapters.store import install_adapter
from sam2lora.errors import AdapterError
from sam2lora.models.registry import BASE_MODELS
from sam2lora.targets import FOVEA, TARGETS, Target


@pytest.fixture
def adapter(make_card, tmp_path) -> Adapter:
    return Adapter(tmp_path, make_card())


def test_matching_base_model_is_accepted(adapter: Adapter):
    check_base(adapter, "nano", adapter.card.base.identity)


def test_wrong_base_model_error_names_both(adapter: Adapter):
    with pytest.raises(AdapterError) as caught:
        check_base(adapter, "tiny", "ab" * 32)
    for part in ("'vessel-test'", "'nano'", "'tiny'", "abababababab", "--model nano"):
        assert part in str(caught.value)
    assert adapter.card.base.identity[:12] in str(caught.value)


def test_same_architecture_with_other_weights_is_refused(adapter: Adapter):
    with pytest.raises(AdapterError, match=r"not for 'nano' with .*The weights differ"):
        check_base(adapter, "nano", "ab" * 32)


def test_wrong_target_error_names_both(adapter: Adapter):
    check_target(adapter, TARGETS["vessel"])
    with pytest.raises(AdapterError, match=r"'vessel-test' segments 'vessel', not 'disc'"):
        check_target(adapter, TARGETS["disc"])


def test_mask_and_point_of_one_name_are_told_apart(make_card, tmp_path):
    mask = Target(name="fovea", label=4, color="#ffffff")
    adapter = Adapter(tmp_path, make_card(target=FOVEA))
    check_target(adapter, FOVEA)
    with pytest.raises(AdapterError, match="as a point, and here it is a mask"):
        check_target(adapter, mask)


def test_point_needs_an_adapter_or_a_click_on_any_base():
    with pytest.raises(AdapterError, match="--target fovea --model nano"):
        require_adapter(BASE_MODELS["nano"], FOVEA, None, prompted=False)
    require_adapter(BASE_MODELS["nano"], FOVEA, None, prompted=True)


def test_missing_adapter_error_shows_how_to_train_one():
    base, target = BASE_MODELS["large"], TARGETS["disc"]
    with pytest.raises(AdapterError) as caught:
        require_adapter(base, target, None, prompted=False)
    command = "sam2lora train RUN --data FOLDER --target disc --model large"
    assert command in str(caught.value)
    assert "'disc'" in str(caught.value)


def test_prompts_adapter_or_embedded_base_suffice(adapter: Adapter):
    big = replace(BASE_MODELS["large"])
    require_adapter(big, TARGETS["vessel"], None, prompted=True)
    require_adapter(big, TARGETS["vessel"], adapter, prompted=False)
    require_adapter(BASE_MODELS["nano"], TARGETS["vessel"], None, prompted=False)


def test_named_adapter_is_chosen_if_it_fits(make_adapter, untouched):
    nano, vessel = BASE_MODELS["nano"], TARGETS["vessel"]
    made = make_adapter("mine")
    chosen = choose_adapter(nano, untouched.weights_sha256, vessel, named=made.folder)
    assert chosen.digest() == made.digest()
    with pytest.raises(AdapterError, match="no adapter called 'mine'"):
        choose_adapter(nano, untouched.weights_sha256, vessel, named="mine")
    install_adapter(made)
    assert choose_adapter(nano, untouched.weights_sha256, vessel, named="mine").name == "mine"
    with pytest.raises(AdapterError, match="not 'disc'"):
        choose_adapter(nano, untouched.weights_sha256, TARGETS["disc"], named="mine")
    with pytest.raises(AdapterError, match="not for 'large'"):
        choose_adapter(BASE_MODELS["large"], "0" * 64, vessel, named="mine", prompted=True)


def test_without_a_name_the_default_or_no_adapter_is_chosen(make_adapter, untouched):
    nano, large, vessel = BASE_MODELS["nano"], BASE_MODELS["large"], TARGETS["vessel"]
    assert choose_adapter(nano, "0" * 64, vessel) is None
    assert choose_adapter(large, "0" * 64, vessel, prompted=True) is None
    with pytest.raises(AdapterError, match="sam2lora train RUN"):
        choose_adapter(large, "0" * 64, vessel)
    install_adapter(make_adapter("mine"))
    assert choose_adapter(nano, untouched.weights_sha256, vessel, prompted=True).name == "mine"
