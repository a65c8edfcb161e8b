"""The sample text for a person who has none yet: the passages and facts that come with the program.

Does not decide where the files go, nor when they are written.
"""

import random
from collections.abc import Iterable
from pathlib import Path

from h2q.datasets.knowledge_files import knowledge_files, parse_fact
from h2q.datasets.templates import LANGUAGES, WORDINGS_NAME, fill, read_wordings, statements
from h2q.system.files import write_bytes
from h2q.system.paths import shipped_data, shipped_knowledge_dir

_SAMPLE_SEED = 42
_ONE_FACT_IN = 3  # is stated
_FILES = {lang: f"sample_{lang}.txt" for lang in LANGUAGES}


def create_sample_text(directory: Path) -> list[Path]:
    """Writes sample text to ``directory`` for a person who has none; returns the files.

    It holds the shipped passages and statements of a third of the shipped facts, in random order.
    The facts stated in Chinese are others than those stated in English.
    """
    knowledge = shipped_knowledge_dir()
    wordings = read_wordings(knowledge / WORDINGS_NAME)
    facts = sorted(
        (
            parse_fact(line)  # an index of them would take a second
            for path in knowledge_files(knowledge)["facts"]
            for line in path.read_text(encoding="utf-8").splitlines()
        ),
        key=lambda fact: fact.id,
    )
    generator = random.Random(_SAMPLE_SEED)
    paths = []
    for turn, lang in enumerate(LANGUAGES):
        path = shipped_data() / "sample_text" / f"passages.{lang}.txt"
        passages = path.read_text(encoding="utf-8").strip().split("\n\n")
        for fact in [fact for fact in facts if fact.lang == lang][turn::_ONE_FACT_IN]:
            passages.append(fill(generator.choice(statements(wordings, fact)), fact))
        generator.shuffle(passages)
        text = "\n\n".join(dict.fromkeys(passages)) + "\n"
        path = Path(directory) / _FILES[lang]
        write_bytes(path, text.encode("utf-8"))
        paths.append(path)
    return paths


def is_sample_text(files: Iterable[Path]) -> bool:
    """Whether all ``files`` have names of the sample text."""
    return {path.name for path in files} <= set(_FILES.values())
