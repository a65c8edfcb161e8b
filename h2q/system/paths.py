"""Where every file lies: below the output directory, in the working directory, in the package.

Names and places are part of the contract with the person (README: 文件结构). Other modules take them
from here. Does not read or write anything.
"""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class OutputPaths:
    """The files of one output directory (``--output_dir``)."""

    root: Path

    @property
    def model(self) -> Path:
        """The trained model, which inference loads."""
        return self.root / MODEL_PATH

    @property
    def previous_model(self) -> Path:
        """The model of the training run before this one."""
        return self.model.with_suffix(".previous.pt")

    @property
    def checkpoints(self) -> Path:
        """The directory of the checkpoints of training."""
        return self.root / CHECKPOINT_DIR

    @property
    def training_log(self) -> Path:
        return self.root / TRAINING_LOG

    @property
    def evolution_stats(self) -> Path:
        return self.root / EVOLUTION_STATS

    @property
    def report(self) -> Path:
        """The picture of training and evolution."""
        return self.root / REPORT

    @property
    def tensorboard(self) -> Path:
        """The directory of the TensorBoard curves."""
        return self.root / "tensorboard"

    @property
    def previous_tensorboard(self) -> Path:
        return self.root / "tensorboard.previous"

    @property
    def transcoded(self) -> Path:
        """The directory of the texts that had to be converted to UTF-8."""
        return self.checkpoints / "transcoded"

    @property
    def ask_index(self) -> Path:
        """The index over facts and notes, in which answers are looked up."""
        return self.checkpoints / "ask.sqlite"

    @property
    def evolution(self) -> Path:
        """The directory of what an evolution remembers."""
        return self.checkpoints / "evolution"

    @property
    def evolution_facts(self) -> Path:
        """The list of the facts and of what the model knows of them."""
        return self.root / "evolution_facts.csv"

    @property
    def knowledge_index(self) -> Path:
        return self.evolution / "index.sqlite"

    @property
    def knowledge_problems(self) -> Path:
        """The list of the lines of the knowledge base that could not be used."""
        return self.evolution / "knowledge_problems.txt"

    @property
    def evolution_run(self) -> Path:
        """What a killed evolution needs to go on."""
        return self.evolution / "run.json"

    @property
    def champions(self) -> Path:
        """The best results of the champions so far."""
        return self.evolution / "champions.json"

    def left_out(self, fingerprint: str) -> Path:
        """Which parts of the text with this ``fingerprint`` an evolution leaves out."""
        return self.evolution / f"left_out_{fingerprint[:16]}.json"

    @property
    def ancestor(self) -> Path:
        """The champion before the present one."""
        return self.evolution / "ancestor.pt"

    @property
    def trunk(self) -> Path:
        """The weights as the latest training on prose left them."""
        return self.evolution / "trunk.pt"

    def cycle(self, number: int) -> "CyclePaths":
        """The files of one cycle of evolution, counted from 1."""
        return CyclePaths(self.evolution / f"cycle_{number:04d}")

    @classmethod
    def of_model(cls, model: Path) -> "OutputPaths":
        """The paths of the output directory in which the file ``model`` lies."""
        return cls(model.parent.parent)


@dataclass(frozen=True)
class CyclePaths:
    """The files of one cycle of evolution. Its directory is also the output directory of the
    challenger's training run."""

    root: Path

    def round(self, number: int) -> "CyclePaths":
        """The files of one round of the challenger's training, counted from 1. The first round lies
        in the directory of the cycle itself."""
        return self if number == 1 else CyclePaths(self.root / f"round_{number:02d}")

    @property
    def round_record(self) -> Path:
        """The record of what a round taught."""
        return self.root / "round.json"

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def lesson(self) -> Path:
        return self.root / "lesson.json"

    @property
    def training(self) -> Path:
        """The record of how the challenger was trained."""
        return self.root / "challenger.json"

    @property
    def verdict(self) -> Path:
        return self.root / "verdict.json"

    @property
    def text(self) -> Path:
        """The directory of the text that the challenger is trained on."""
        return self.root / "text"

    @property
    def generated_record(self) -> Path:
        """Kind and source of every generated document."""
        return self.root / "generated.jsonl"

    @property
    def challenger(self) -> Path:
        return self.root / "challenger.pt"

    @property
    def trunk(self) -> Path:
        """The weights as training left them, from which the next cycle may go on."""
        return self.root / "trunk.pt"

    @property
    def output(self) -> OutputPaths:
        """The files of the challenger's training run."""
        return OutputPaths(self.root)


def chat_history(model: Path) -> Path:
    """What a person typed in conversations with the model file ``model``."""
    return model.with_name("chat_history")


def ask_history(model: Path) -> Path:
    """The questions that a person typed beside the model file ``model``."""
    return model.with_name("ask_history")


def shipped_data() -> Path:
    """The directory with the sample text and knowledge base that come with the program."""
    package = Path(str(resources.files("h2q")))
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"


def shipped_knowledge_dir() -> Path:
    """The directory of the knowledge base that comes with the program."""
    return shipped_data() / "shipped_knowledge"
