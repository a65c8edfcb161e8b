"""Where everything lies: below the output directory, in the working directory, in the package."""

from importlib import resources
from pathlib import Path

DEFAULT_DATA_DIR = "data/training_data"
DEFAULT_KNOWLEDGE_DIR = "data/knowledge_base"
MODEL_PATH = "h2q_project/h2q_trained_model.pt"
CHECKPOINT_DIR = "training_checkpoints"
TRAINING_LOG = "training_log.json"
EVOLUTION_STATS = "evolution_stats.json"
REPORT = "training_report.png"
EXPORT_DIR = "h2q_export"


def shipped_data() -> Path:
    """The directory with the sample text and knowledge base that come with the program."""
    package = Path(str(resources.files("h2q")))
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"
