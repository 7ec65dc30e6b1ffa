"""LoRA adapters: folders in PEFT's format with a card, made by training, merged for prediction.

What is named here loads no torch. The rest does, and is imported from its module: `switch` for
prediction; `placement`, `counting`, `continuing` and `saving` for training. PEFT is loaded when
LoRA is put into a network.
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
    own_folder,
    preferred_first,
    rename_adapter,
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
    "own_folder",
    "preferred_first",
    "pull_adapter",
    "push_adapter",
    "rename_adapter",
    "require_adapter",
]
