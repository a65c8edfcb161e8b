"""The list of a person's facts: which the model knows, which it was taught in vain, which not yet.

Each fact is asked once, in wordings of the vault, which nothing was ever trained on. Decides nothing.
"""

import csv
import io
from collections import Counter

from h2q.evolution.context import Setup
from h2q.evolution.examiner import ask
from h2q.model.transformer import Transformer
from h2q.system.files import write_bytes

_MOST_ASKED = 5000  # facts; of more, so many are asked, evenly spaced
_COLUMNS = ("state", "question", "answer", "subject", "relation", "file", "line")


def write(setup: Setup, model: Transformer, taught: frozenset[str]) -> None:
    """Asks ``model`` for the facts of the knowledge base, and writes ``evolution_facts.csv``.

    The states are ``known``, ``not learnt`` (one of the ids in ``taught``) and ``not taught``. The
    file is UTF-8 with a mark at its beginning, as spreadsheets want it. Writes nothing without facts.
    """
    knowledge = setup.knowledge
    if knowledge is None or not knowledge.fact_count:
        return
    step = -(-knowledge.fact_count // _MOST_ASKED)
    facts = [knowledge.fact(number) for number in range(1, knowledge.fact_count + 1, step)]
    correct = setup.examiner.facts(model, facts, "vault").correct
    questions = ask(facts, knowledge.wordings, "vault")
    states: Counter[str] = Counter()
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for fact, question, right in zip(facts, questions, correct):
        state = "known" if right else "not learnt" if fact.id in taught else "not taught"
        states[state] += 1
        file, line = knowledge.place(fact)
        rows.writerow(
            (state, question.prompt, fact.object, fact.subject, fact.relation, file, line)
        )
    path = setup.paths.evolution_facts
    write_bytes(path, table.getvalue().encode("utf-8-sig"))
    setup.console.say(
        "evolve.facts",
        asked=len(facts),
        known=states["known"],
        failed=states["not learnt"],
        waiting=states["not taught"],
        path=path,
    )
