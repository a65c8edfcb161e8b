"""H2Q-Evo: train a small language model on your own text, offline, and talk to it.

The public classes load PyTorch only when they are first used, so that ``import h2q`` and
``--help`` stay quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers alone
    from h2q.evolution.engine import SelfEvolutionEngine
    from h2q.generation.inference import LocalInferenceModel
    from h2q.training.trainer import LocalModelTrainer

__version__ = "0.1.0"

_PUBLIC = {
    "LocalModelTrainer": "h2q.training.trainer",
    "SelfEvolutionEngine": "h2q.evolution.engine",
    "LocalInferenceModel": "h2q.generation.inference",
}
__all__ = ["LocalInferenceModel", "LocalModelTrainer", "SelfEvolutionEngine", "__version__"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
