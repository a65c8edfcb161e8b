"""``SelfEvolutionEngine``: the README's cycle (进化周期), each kept only if measurably better.

A cycle measures the champion on held-out text, generates data from the knowledge base, trains a
copy on it and on a replay of the person's own text, and measures the copy on the same held-out
text. The copy takes the champion's place only when the interval of the paired difference lies
below zero; otherwise the champion's file is not touched.
"""

import math
import random
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from h2q.config import (
    CHECKPOINT_DIR,
    EVOLUTION_STATS,
    MODEL_PATH,
    EvolutionConfig,
    TrainingConfig,
    derived_seed,
)
from h2q.console import Console
from h2q.corpus import ByteStream, Corpus, open_corpus
from h2q.errors import H2QError, Interrupted, TrainingDiverged, UnusableInput
from h2q.evaluation import Evaluation, evaluate, paired_difference
from h2q.files import read_json, write_bytes, write_json
from h2q.knowledge import Document, KnowledgeBase, generate_documents, write_documents
from h2q.model import Transformer
from h2q.model_file import load_model, save_model
from h2q.tokenizer import END_OF_DOCUMENT
from h2q.trainer import LocalModelTrainer

_REPLAY_PIECE_BYTES = 4096
_COUNTERS = {
    "total_evolutions": 0,
    "successful_evolutions": 0,
    "failed_evolutions": 0,
    "average_improvement": 0.0,
}


def read_stats(output_dir: Path) -> dict:
    """The evolution statistics below ``output_dir``, all zero where there are none yet.

    Raises ``UnusableInput`` when the file is damaged.
    """
    path = Path(output_dir) / EVOLUTION_STATS
    if not path.exists():
        return {**_COUNTERS, "history": []}
    stats = read_json(path)
    valid = isinstance(stats, dict) and isinstance(stats.get("history"), list)
    if not valid or any(
        isinstance(stats.get(name), bool) or not isinstance(stats.get(name), type(zero))
        for name, zero in _COUNTERS.items()
    ):
        raise UnusableInput("file.json", path=path, reason="not the statistics of an evolution")
    return stats


class SelfEvolutionEngine:
    """Improves the trained model of ``output_dir`` cycle by cycle (README: 自我进化引擎)."""

    def __init__(
        self,
        corpus: Corpus,
        knowledge: KnowledgeBase,
        output_dir: Path,
        config: EvolutionConfig = EvolutionConfig(),
        training_config: TrainingConfig = TrainingConfig(),
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        console: Console | None = None,
    ):
        """``training_config`` is that of the base model; a challenger trains at a share of its
        rate. Raises ``UnusableInput`` when the statistics so far cannot be read."""
        self.corpus = corpus
        self.knowledge = knowledge
        self.output_dir = Path(output_dir)
        self.model_path = self.output_dir / MODEL_PATH
        self.config = config
        self.training_config = training_config
        self.device = device
        self.dtype = dtype
        self.console = console or Console(silent=True)
        self.stats = read_stats(output_dir)

    def evolve(self) -> dict:
        """Runs ``config.cycles`` cycles; returns the statistics, which are saved after each.

        A cycle that fails for whatever reason counts as failed and changes nothing. Raises
        ``ModelFileError`` without a usable champion, ``Interrupted`` when asked to stop.
        """
        for cycle in range(1, self.config.cycles + 1):
            self.console.say("evolve.cycle", cycle=cycle, cycles=self.config.cycles)
            champion, provenance = load_model(self.model_path)
            if cycle == 1 and provenance.get("corpus") != self.corpus.fingerprint:
                self.console.warn("evolve.other_text")
            try:
                entry = self._run_cycle(champion, provenance)
            except Interrupted:
                raise
            except H2QError as error:
                self.console.warn("evolve.failed", reason=error)
                entry = {"promoted": False, "improvement": 0.0, "reason": str(error)}
            self._record(entry)
        self.console.say("evolve.stats", **self.stats)
        return self.stats

    def _run_cycle(self, champion: Transformer, provenance: dict) -> dict:
        number = self.stats["total_evolutions"] + 1
        directory = self.output_dir / CHECKPOINT_DIR / "evolution" / f"cycle_{number:04d}"
        shutil.rmtree(directory, ignore_errors=True)  # of a cycle that was killed
        seed = derived_seed(self.training_config.seed, number)

        before = self._evaluate(champion)
        self.console.say("evolve.baseline", loss=before.loss, perplexity=before.perplexity)
        documents = self._generate(directory / "text", number, seed)
        challenger = self._train_challenger(champion, directory, seed)
        after = self._evaluate(challenger)
        if not math.isfinite(after.loss):
            raise TrainingDiverged("evolve.not_finite")
        difference = paired_difference(after, before, self.config.confidence)
        promoted = difference.high < 0
        if promoted:
            save_model(self.model_path, challenger, {**provenance, "evolution_cycle": number})
        for leftover in (CHECKPOINT_DIR, Path(MODEL_PATH).parent):
            shutil.rmtree(directory / leftover, ignore_errors=True)
        self.console.say(
            "evolve.promoted" if promoted else "evolve.rejected",
            before=before.loss,
            after=after.loss,
            improvement=-difference.mean,
            low=-difference.high,
            high=-difference.low,
            confidence=self.config.confidence,
        )
        return {
            "promoted": promoted,
            "improvement": before.loss - after.loss if promoted else 0.0,
            "eval_loss_before": before.loss,
            "eval_loss_after": after.loss,
            "difference": vars(difference),
            "confidence": self.config.confidence,
            "eval_bytes": before.predicted_bytes,
            "generated_documents": len(documents),
        }

    def _evaluate(self, model: Transformer) -> Evaluation:
        return evaluate(
            model.to(self.device),
            self.corpus.heldout,
            limit_bytes=self.training_config.eval_bytes,
            dtype=self.dtype,
        )

    def _generate(self, directory: Path, number: int, seed: int) -> list[Document]:
        """Writes this cycle's text: new documents that no held-out text holds, and the replay."""
        heldout = self.corpus.heldout.read(0, len(self.corpus.heldout))
        generated = generate_documents(self.knowledge, self.config.generated_bytes, seed)
        documents = [item for item in generated if item.text.encode("utf-8") not in heldout]
        write_documents(documents, directory, number)
        size = sum(len(document.text.encode("utf-8")) for document in documents)
        share = self.config.replay_fraction
        replay = _replay(self.corpus.train, int(size * share / (1 - share)), seed)
        write_bytes(directory / "replay.txt", replay)
        self.console.say(
            "evolve.generated",
            documents=len(documents),
            size=size,
            replay=len(replay),
            excluded=len(generated) - len(documents),
        )
        return documents

    def _train_challenger(self, champion: Transformer, directory: Path, seed: int) -> Transformer:
        base = self.training_config
        corpus = open_corpus(
            directory / "text",
            directory / CHECKPOINT_DIR,
            context_length=champion.config.context_length,
            heldout=self.corpus.heldout,
        )
        factor = self.config.lr_factor
        config = replace(
            base,
            epochs=1,
            max_minutes=0.0,
            lr=base.lr * factor,
            muon_lr=base.muon_lr * factor,
            seed=seed,
        )
        return LocalModelTrainer(
            corpus,
            directory,
            champion.config,
            config,
            device=self.device,
            dtype=self.dtype,
            console=self.console,
            initial=champion,
        ).train()

    def _record(self, entry: dict) -> None:
        """Adds one cycle to the statistics and saves them."""
        stats = self.stats
        stats["history"].append({"cycle": stats["total_evolutions"] + 1, **entry})
        stats["total_evolutions"] += 1
        stats["successful_evolutions" if entry["promoted"] else "failed_evolutions"] += 1
        realised = sum(item["improvement"] for item in stats["history"])
        stats["average_improvement"] = realised / stats["total_evolutions"]
        write_json(self.output_dir / EVOLUTION_STATS, stats)


def _replay(train: ByteStream, size_bytes: int, seed: int) -> bytes:
    """About ``size_bytes`` of the training text: pieces from random places, as whole characters."""
    generator = random.Random(seed)
    length = min(_REPLAY_PIECE_BYTES, len(train))
    pieces = []
    for _ in range(-(-size_bytes // length)):
        data = train.read(generator.randrange(len(train)), length)
        data = data.replace(bytes([END_OF_DOCUMENT]), b"\n")
        pieces.append(data.decode("utf-8", "ignore").strip())
    return "\n\n".join(pieces).encode("utf-8")
