"""Which knowledge an evolution teaches, opened and reported.

What a person gave comes first, and nothing is added to it. Only the index and the list of problems
are written, at the paths that are given.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from h2q.cli.settings import TrainingCall
from h2q.datasets.file_search import find_files
from h2q.datasets.knowledge_base import KnowledgeBase, load_knowledge_base
from h2q.datasets.knowledge_files import knowledge_files, unread_files
from h2q.datasets.sample_text import is_sample_text
from h2q.system.console import Console
from h2q.system.files import write_bytes
from h2q.system.messages.catalogue import message
from h2q.system.paths import (
    DEFAULT_DATA_DIR,
    DEFAULT_KNOWLEDGE_DIR,
    OutputPaths,
    shipped_knowledge_dir,
)

_PROBLEMS_SHOWN = 10
_FILES_SHOWN = 20
_FORMS = {
    "json": "form.json",
    "table": "form.table",
    "anki": "form.anki",
    "pair": "form.pair",
    "keys": "form.keys",
    "passage": "form.passage",
    "faulty": "form.faulty",
}


def knowledge_path(call: TrainingCall) -> Path | None:
    """The knowledge base that is taught: the one that is named, the shipped one where it is asked
    for, or ``default_knowledge``."""
    if call.knowledge_dir is not None:
        return call.knowledge_dir
    if call.job.knowledge == "shipped":
        return shipped_knowledge_dir()
    return default_knowledge(call.data_dir, call.include)


def default_knowledge(data_dir: Path | None, include: Sequence[str] = ()) -> Path | None:
    """The knowledge base where none is named: the default directory. None where the person gave text
    and no facts, so that only the text counts. The one that comes with the program is for who has
    neither facts nor text."""
    own = Path(DEFAULT_KNOWLEDGE_DIR)
    if own.is_dir():
        return own if any(knowledge_files(own).values()) else None
    text = data_dir or Path(DEFAULT_DATA_DIR)
    files = find_files(text, include).files if text.exists() else []
    return None if files and not is_sample_text(files) else shipped_knowledge_dir()


def open_knowledge(
    call: TrainingCall, paths: OutputPaths, context_length: int
) -> KnowledgeBase | None:
    """The knowledge base, with its index in ``paths``; None where the text itself is taught.

    Raises ``KnowledgeError`` where nothing in it is usable.
    """
    if (path := knowledge_path(call)) is None:
        return None
    encoding = None if path == shipped_knowledge_dir() else call.encoding
    return load_knowledge_base(
        path, paths.knowledge_index, context_length=context_length, encoding=encoding
    )


def report_knowledge(
    call: TrainingCall,
    knowledge: KnowledgeBase | None,
    problems_path: Path | None,
    console: Console,
) -> None:
    """Says what was found and which lines cannot be used, ten of them at most.

    Where there are more, all of them are written to ``problems_path``. It is None in a dry run,
    which also says what was found in each file.
    """
    _say_unread(knowledge_path(call) or Path(DEFAULT_KNOWLEDGE_DIR), console)
    if knowledge is None:
        console.say("knowledge.none", path=DEFAULT_KNOWLEDGE_DIR)
        return
    console.say(
        "knowledge.found",
        path=knowledge_path(call),
        facts=knowledge.fact_count,
        passages=knowledge.passage_count,
        problems=knowledge.problem_count,
    )
    if problems_path is None:
        _say_files(knowledge, console)
    for problem in knowledge.problems(_PROBLEMS_SHOWN):
        key = "knowledge.problem" if problem.line else "knowledge.problem_file"
        console.warn(key, **vars(problem))
    count = knowledge.problem_count - _PROBLEMS_SHOWN
    if count <= 0:
        return
    if problems_path is None:
        console.warn("knowledge.unlisted_problems", count=count)
    else:
        lines = [f"{p.path}:{p.line}: {p.reason}\n" for p in knowledge.problems()]
        write_bytes(problems_path, "".join(lines).encode("utf-8", "replace"))
        console.warn("knowledge.more_problems", count=count, path=problems_path)


def _say_unread(path: Path, console: Console) -> None:
    """Names a file that is not read, and says how many there are."""
    if unread := unread_files(path):
        console.warn("knowledge.unread", count=len(unread), first=unread[0])


def _say_files(knowledge: KnowledgeBase, console: Console) -> None:
    """What each file holds, and in which form."""
    files = [
        (file, list(rows)) for file, rows in groupby(knowledge.inventory(), lambda row: row[0])
    ]
    for file, rows in files[:_FILES_SHOWN]:
        found = " · ".join(f"{message(_FORMS[form])} {count:,}" for _, form, count in rows)
        console.say("knowledge.file", file=file, found=found)
    if len(files) > _FILES_SHOWN:
        console.say("knowledge.more_files", count=len(files) - _FILES_SHOWN)
