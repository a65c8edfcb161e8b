"""Facts in CSV and TSV files and in Anki's export."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h2q.datasets.knowledge_tables import facts_in_anki, facts_in_rows, facts_in_table, rows
from h2q.datasets.templates import Fact
from tests.datasets.conftest import PLAIN, numbered, parts


def found(text: str, delimiter: str | None = None) -> list:
    return parts(facts_in_table(numbered(text), delimiter))


@pytest.mark.parametrize(
    "header", ["subject,relation,object", "Object,Subject, relation", "主体,关系,客体"]
)
def test_a_table_of_facts(header):
    names = [name.strip().lower() for name in header.split(",")]
    order = [("subject", "主体"), ("relation", "关系"), ("object", "客体")]
    row = ["" for _ in names]
    for pair, value in zip(order, ("Lena", "Job", "dentist")):
        row[next(names.index(name) for name in pair if name in names)] = value
    assert found(f"{header}\n{','.join(row)}\n") == [(2, "Lena", "Job", "dentist")]


def test_a_table_of_facts_may_name_aliases_language_and_id():
    text = "id,subject,relation,object,aliases,lang\n7,a,b,c,d| e;f,zh\n,a,b,c,,\n"
    first, second = (item.content for item in facts_in_table(numbered(text)))
    assert first == Fact("7", "a", "b", "c", ("d", "e", "f"), "zh")
    assert (second.aliases, second.lang) == ((), "en")


@pytest.mark.parametrize(
    "text", ["name,Job,Town\n", "name;Job;Town\n", "name\tJob\tTown\n", "sep=;\nname;Job;Town\n"]
)
def test_a_table_whose_header_names_the_relations(text):
    """Excel in Europe separates by semicolons, and may say so."""
    delimiter = next(mark for mark in ";,\t" if f"name{mark}" in text)
    text += "Lena,dentist,Ulm\nTom,,Bonn\n".replace(",", delimiter)
    line = text.count("\n")
    assert found(text) == [
        (line - 1, "Lena", "job", "dentist"),
        (line - 1, "Lena", "town", "Ulm"),
        (line, "Tom", "town", "Bonn"),
    ]


def test_numbers_of_rows_are_no_subjects():
    assert found("ID,name,job\n1,Lena,dentist\n") == [(2, "Lena", "job", "dentist")]


@pytest.mark.parametrize(
    "header", ["question,answer", "Front,Back,Tags", "prompt,completion", "问题,答案"]
)
def test_a_table_of_questions(header):
    assert found(f"{header}\nWho?,Lena\n") == [(2, "Who?", "", "Lena")]


def test_formulas_are_text():
    text = 'name,site\nLena,"=HYPERLINK(""http://a.b"",""x"")"\nTom,=1+1\nAnn,@SUM(A1)\n'
    values = ['=HYPERLINK("http://a.b","x")', "=1+1", "@SUM(A1)"]
    assert [item[-1] for item in found(text)] == values


def test_a_cell_goes_on_over_lines():
    text = 'name,address\nLena,"12 Main St\nUlm"\n\n , \nTom,Bonn\n'
    assert found(text) == [(2, "Lena", "address", "12 Main St Ulm"), (6, "Tom", "address", "Bonn")]


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ("Lena,dentist,Ulm,x", "knowledge.cells"),
        (",dentist,Ulm", "knowledge.no_field"),
        ('Lena,"dentist,Ulm', "knowledge.quotes"),
        ('Lena,"den"tist,Ulm', "knowledge.quotes"),
        ("Lena,\x1b[2J,Ulm", "knowledge.no_field"),
        ("Lena,dentist,Ulm,,", None),
        ("Lena", None),
    ],
)
def test_a_faulty_row_is_told_and_the_others_are_read(row, key):
    lines = found(f"name,job,town\n{row}\nTom,cook,Bonn\n")
    assert lines[-2:] == [(3, "Tom", "job", "cook"), (3, "Tom", "town", "Bonn")]
    told = [line for line in lines if len(line) == 2]
    assert told == ([(2, key)] if key else [])


def test_a_mark_that_does_not_close_takes_no_other_rows():
    text = 'name,job\nLena,"dentist\n' + "".join(f"Person {n},cook\n" for n in range(200))
    lines = found(text)
    assert lines[0] == (2, "knowledge.quotes")
    assert len(lines) == 201


def test_a_row_of_tabs_may_hold_marks_in_the_middle():
    assert found('title\tauthor\n"Dune" I\tHerbert\n', "\t") == [
        (2, '"Dune" I', "author", "Herbert")
    ]


def test_a_short_row_of_facts_is_told():
    assert found("subject,relation,object\nLena,job\n") == [(2, "knowledge.no_field")]


def test_a_value_below_no_name_is_told():
    assert found("name,job,\nLena,dentist,x\n") == [(2, "knowledge.no_name")]


def test_headers_alone():
    assert found("name,job\n") == found("") == found("\n\n") == found("sep=,\n") == []
    assert found("name\nLena\n") == [(1, "knowledge.one_column")]


def test_rows_may_all_be_about_one_subject():
    table = [(4, ["key", "value"]), (6, ["Job", "dentist"]), (7, ["town", ""])]
    lines = parts(facts_in_rows(table, "Lena"))
    assert lines == [(6, "Lena", "job", "dentist"), (7, "knowledge.no_field")]


@given(st.lists(st.tuples(PLAIN, PLAIN, PLAIN)), st.sampled_from(",;\t"))
def test_any_facts_can_be_written_and_read(facts, delimiter):
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerows([("subject", "relation", "object"), *facts])
    lines = found(stream.getvalue())
    assert [line[1:] for line in lines] == facts


@given(st.text(st.sampled_from('a",;\t\n '), max_size=200))
def test_any_text_is_read_to_its_end(text):
    lines = list(enumerate(text.splitlines(keepends=True), start=1))
    numbers = [item.line if hasattr(item, "line") else item[0] for item in rows(lines, ",")]
    assert numbers == sorted(set(numbers))
    parts(facts_in_table(lines))


# Anki


def anki(text: str) -> list:
    return parts(facts_in_anki(numbered(text)))


def test_the_notes_of_anki_are_questions():
    text = (
        "#separator:tab\n#html:true\n#guid column:1\n#notetype column:2\n#tags column:5\n"
        "x1\tBasic\tCapital of <b>France</b>?\tParis<br>on the&nbsp;Seine\tgeo\n"
        'x2\tBasic\t"Say ""hi""\nin French"\t[sound:a.mp3]salut<img src="x.png">\t\n'
        "x3\tBasic\tempty\t<div></div>\t\n"
    )
    assert anki(text) == [
        (6, "Capital of France?", "", "Paris on the Seine"),
        (7, 'Say "hi" in French', "", "salut"),
        (9, "knowledge.no_field"),
    ]


@pytest.mark.parametrize(
    ("name", "mark"), [("tab", "\t"), ("Comma", ","), ("semicolon", ";"), ("|", "|"), ("", "\t")]
)
def test_anki_names_its_separator(name, mark):
    text = f"#separator:{name}\n#html:false\n1 < 2{mark}<b>\nalone\n"
    assert anki(text) == [(3, "1 < 2", "", "<b>"), (4, "knowledge.no_field")]


@given(st.lists(st.tuples(PLAIN, PLAIN)))
def test_any_notes_of_anki_are_read(notes):
    stream = io.StringIO("#separator:tab\n#html:false\n", newline="")
    stream.seek(0, io.SEEK_END)
    csv.writer(stream, delimiter="\t").writerows(notes)
    assert [(line[1], line[3]) for line in anki(stream.getvalue())] == notes
