"""LoRA adapters: folders in PEFT's format with a card, written by training, merged for prediction.

What is exported here loads no torch. The rest does, and is imported from its module: `switching`
for prediction; `lora`, `warm_start` and `serialization` for training. PEFT is loaded only when LoRA
is added to a network.
"""

from sam2lora.adapters.archive import export_adapter, import_adapter
from sam2lora.adapters.card import AdapterCard, AdapterReference, BaseReference
from sam2lora.adapters.folder import Adapter, open_adapter
from sam2lora.adapters.hub import pull_adapter, push_adapter
from sam2lora.adapters.run_install import install_best, is_best_installed
from sam2lora.adapters.selection import check_base, check_target, choose_adapter, require_adapter
from sam2lora.adapters.store import (
    adapters_folder,
    adopt_target,
    default_adapter,
    delete_adapter,
    find_adapter,
    install_adapter,
    installed_names,
    is_installed,
    list_adapters,
    list_problems,
    rename_adapter,
    sort_by_preference,
    user_adapter_folder,
)

__all__ = [
    "Adapter",
    "AdapterCard",
    "AdapterReference",
    "BaseReference",
    "adapters_folder",
    "adopt_target",
    "check_base",
    "check_target",
    "choose_adapter",
    "default_adapter",
    "delete_adapter",
    "export_adapter",
    "find_adapter",
    "import_adapter",
    "install_adapter",
    "install_best",
    "installed_names",
    "is_best_installed",
    "is_installed",
    "list_adapters",
    "list_problems",
    "open_adapter",
    "pull_adapter",
    "push_adapter",
    "rename_adapter",
    "require_adapter",
    "sort_by_preference",
    "user_adapter_folder",
]
