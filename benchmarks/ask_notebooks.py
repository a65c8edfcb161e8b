"""Invented notebooks for ``ask.py``, in English and Chinese: facts, notes, and questions about them.

A notebook is made from a seed alone: persons, pets, things with codes and places, dates, and notes
on how to do something. Each question has its right place, or none where nothing tells the answer.
The words, and the forms of the questions, are in ``ask_notebooks.json``; nothing is ever trained on
them.
"""

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

DATA = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
FILES = {"people": "people.jsonl", "things": "home/things.jsonl", "notes": "notes.txt"}


@dataclass(frozen=True)
class Fact:
    subject: str
    relation: str
    object: str
    lang: str
    kind: str  # person, pet, thing, event
    place: str = ""  # file:line, once it is written


@dataclass(frozen=True)
class Asked:
    """A question, and the places where the right answer stands; none: it is in no file."""

    kind: str
    text: str
    answer: str = ""
    places: tuple[str, ...] = ()


class Notebook:
    """Facts and notes of one person, and questions about them."""

    def __init__(self, lang: str, seed: int):
        self.lang = lang
        self.other_forms: list[tuple[str, list[str]]] = []  # with how they are typed
        self._data = DATA[lang]
        self._random = random.Random(f"{lang} {seed}")
        self._names = self._all_names()
        self.facts = list(self._made())
        self._random.shuffle(self.facts)

    def write(self, directory: Path) -> None:
        """Writes all files below ``directory``; from then on the facts know their places."""
        kept: dict[str, list[str]] = {name: [] for name in FILES.values()}
        for number, fact in enumerate(self.facts):
            name = FILES["people" if fact.kind in ("person", "pet") else "things"]
            values = {"subject": fact.subject, "relation": fact.relation, "object": fact.object}
            values = {"id": f"{fact.subject} {fact.relation} {number}", **values, "lang": self.lang}
            kept[name].append(json.dumps(values, ensure_ascii=False))
            self.facts[number] = replace(fact, place=f"{name}:{len(kept[name])}")
        kept[FILES["notes"]] = [one["note"] for one in self._data["notes"]]
        for name, lines in kept.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def edit(self, share: float) -> list[Fact]:
        """Gives some facts another object; returns them as they were."""
        chosen = self._random.sample(range(len(self.facts)), int(share * len(self.facts)))
        before = [self.facts[number] for number in chosen]
        for number in chosen:
            fact = self.facts[number]
            while (value := self._value(fact.relation)) == fact.object:
                pass
            self.facts[number] = replace(fact, object=value)
        return before

    # Facts

    def _all_names(self) -> list[str]:
        data = self._data
        if self.lang == "en":
            names = [f"{first} {last}" for first in data["first"] for last in data["last"]]
        else:
            pairs = [
                first + second
                for first in data["given"]
                for second in data["given"]
                if first != second
            ]
            given = [*data["given"], *self._random.sample(pairs, 200)]
            names = [family + name for family in data["family"] for name in given]
        self._random.shuffle(names)
        return names

    def _made(self) -> Iterator[Fact]:
        people = [self._names.pop() for _ in range(40)]
        self.people = people
        for person in people:
            for relation in self._random.sample(self._data["persons"], 5):
                yield self._fact(person, relation, "person")
        relations = self._data["of"]
        for pet in self._data["pets"]:
            for relation in relations["pet"]:
                yield self._fact(pet, relation, "pet")
        for thing in self._data["things"]:
            for relation in self._random.sample(relations["thing"], 2):
                yield self._fact(thing, relation, "thing")
        for event in self._data["events"]:
            yield self._fact(event, *relations["event"], "event")

    def _fact(self, subject: str, relation: str, kind: str) -> Fact:
        return Fact(subject, relation, self._value(relation), self.lang, kind)

    def _value(self, relation: str) -> str:
        """An invented object of a relation."""
        draw, chinese = self._random, self.lang == "zh"
        if relation in self._data["values"]:
            return draw.choice(self._data["values"][relation])
        name = self._data["kinds"].get(relation, relation)
        month, day = draw.randint(1, 12), draw.randint(1, 28)
        if name == "birthday":
            year = draw.randint(1940, 2015)
            return f"{year}年{month}月{day}日" if chinese else f"{year}-{month:02}-{day:02}"
        if name == "date":
            return f"{month}月{day}日" if chinese else f"{day} {['May', 'June', 'July'][month % 3]}"
        if name == "phone":
            return (
                f"1{draw.randrange(3 * 10**9, 10**10)}" if chinese else f"0{draw.randrange(10**9)}"
            )
        if name == "shoe_size":
            return f"{draw.randint(30, 47)}"
        if name == "spouse" or name == "owner":
            return draw.choice(self._names[:300])
        letters = "".join(draw.choices("ABCDEFGHKLMNPRSTUVWXYZ", k=3))
        return f"{letters}-{draw.randint(100, 9999)}"

    # Questions

    def asked(self) -> Iterator[Asked]:
        """Questions of every kind but those about edited facts."""
        yield from self.typed("forms")
        for number, (form, style) in enumerate(self.other_forms):
            for fact in self.facts[number :: len(self.other_forms)]:
                asked = self._about(fact, form, "other forms", typo="typo" in style)
                asked = replace(asked, text=asked.text.lower()) if "lower" in style else asked
                yield replace(asked, text=asked.text.upper()) if "upper" in style else asked
        own = self._data["own_words"]
        for fact in self.facts:
            for form in own.get(fact.relation, []):
                yield self._about(fact, form, "own words")
        yield from self._short_names()
        yield from self._reversed()
        for line, one in enumerate(self._data["notes"], 1):
            yield Asked("notes", one["question"], one["note"], (f"{FILES['notes']}:{line}",))
        yield from self._unanswerable()

    def typed(self, kind: str, facts: list[Fact] | None = None) -> Iterator[Asked]:
        """Each form once, about facts in turn; a third of them with a typo, a third in lower case."""
        facts = self._random.sample(self.facts, len(self.facts)) if facts is None else facts
        forms = self._data["forms"]
        for number in range(max(len(forms), len(facts))):
            fact, form = facts[number % len(facts)], forms[number % len(forms)]
            asked = self._about(fact, form, kind)
            if number % 3 == 0:
                asked = self._about(fact, form, kind, typo=True)
            elif number % 3 == 1:
                asked = replace(asked, text=asked.text.lower().rstrip("?？"))
            yield asked

    def _about(self, fact: Fact, form: str, kind: str, typo: bool = False) -> Asked:
        subject, relation = fact.subject, fact.relation.replace("_", " ")
        if typo and (self._random.random() < 0.7 or fact.lang == "zh"):
            subject = misspelt(subject, self._random)
        elif typo:
            relation = misspelt(relation, self._random)
        text = form.format(subject=subject, relation=relation, object=fact.object)
        return Asked(kind, text, fact.object, (fact.place,))

    def _short_names(self) -> Iterator[Asked]:
        """A person by the first name alone, where no other has it."""
        for fact in self.facts:
            if fact.kind != "person":
                continue
            short = fact.subject.split()[0] if self.lang == "en" else fact.subject[1:]
            alike = [name for name in self.people if short in (name.split()[0], name[1:])]
            if len(alike) == 1 and len(short) > 1:
                form = self._random.choice(self._data["forms"][:8])
                yield self._about(replace(fact, subject=short), form, "first name")

    def _reversed(self) -> Iterator[Asked]:
        for fact in self.facts:
            alike = [one for one in self.facts if one.object == fact.object]
            if fact.kind == "person" and len(alike) == 1:
                form = self._random.choice(self._data["reverse"])
                yield replace(self._about(fact, form, "reverse"), answer=fact.subject)

    def _unanswerable(self) -> Iterator[Asked]:
        """A person who is in no file; a relation that somebody does not have; relatives of
        somebody; questions about something else."""
        forms = self._data["forms"]
        relations = self._data["persons"]
        for number in range(60):
            stranger = Fact(self._names[300 + number], relations[number % 8], "", self.lang, "")
            yield self._nowhere(stranger, forms[number % len(forms)], "stranger")
        known = {(fact.subject, fact.relation) for fact in self.facts}
        missing = [(p, r) for p in self.people for r in relations if (p, r) not in known]
        for number, (person, relation) in enumerate(self._random.sample(missing, 60)):
            fact = Fact(person, relation, "", self.lang, "")
            yield self._nowhere(fact, forms[number % len(forms)], "not noted")
        for number, fact in enumerate(self._random.sample(self.facts, 40)):
            form = self._data["relatives"][number % 2]
            yield self._nowhere(fact, form, "relative")
        for text in self._data["elsewhere"]:
            yield Asked("elsewhere", text)

    def _nowhere(self, fact: Fact, form: str, kind: str) -> Asked:
        return replace(self._about(fact, form, kind), answer="", places=())


def misspelt(text: str, generator: random.Random) -> str:
    """``text`` with one typo in its longest word: two letters swapped, one left out or doubled. In
    Chinese, where a typo is another word, a space that does not belong there."""
    if re.search("[\u4e00-\u9fff]", text):
        cut = generator.randrange(1, len(text)) if len(text) > 1 else 1
        return text[:cut] + " " + text[cut:]
    word = max(re.findall(r"[^\W\d_]+", text), key=len, default="")
    if len(word) < 4:
        return text
    place = generator.randrange(1, len(word) - 2)
    kind = generator.choice(("swapped", "left out", "doubled"))
    if kind == "swapped":
        wrong = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    elif kind == "left out":
        wrong = word[:place] + word[place + 1 :]
    else:
        wrong = word[:place] + word[place] + word[place:]
    return text.replace(word, wrong, 1)
