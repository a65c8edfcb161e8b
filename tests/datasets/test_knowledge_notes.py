"""Facts and passages in notes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h2q.datasets.knowledge_notes import facts_and_passages, paragraphs
from tests.conftest import corpus_file
from tests.datasets.conftest import numbered, parts


def found(text: str) -> list:
    return parts(facts_and_passages(numbered(text)))


def passages(text: str) -> list:
    """The paragraphs of ``text``, as if nothing in it could be a fact."""
    return [
        (lines[0][0], "\n".join(line for _, line in lines)) for lines in paragraphs(numbered(text))
    ]


# Questions and answers


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("Q: ", "A: "),
        ("q:", "a:"),
        ("**Q:** ", "**A:** "),
        ("**Q**: ", "**A**: "),
        ("Question 1: ", "Answer: "),
        ("### Q: ", "A: "),
        ("- Q: ", "- A: "),
        ("1. Q: ", "   A: "),
        ("问：", "答："),
        ("**问题：**", "**答案：**"),
    ],
)
@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_a_question_with_its_answer(asked, answered, between):
    text = f"Before.\n\n{asked}Who is Lena?{between}{answered}The dentist.\n\nAfter.\n"
    end = 6 if between == "\n" else 7
    assert found(text) == [(1, "Before."), (3, "Who is Lena?", "", "The dentist."), (end, "After.")]


def test_questions_may_follow_each_other_and_go_on_over_lines():
    text = "Intro\nQ: Who\nis it?\nA: Lena,\nthe `dentist`\nQ: Who?\nA: Tom\n\nQ: Both? A: Yes\n问：谁？答：张三\n"
    assert found(text) == [
        (1, "Intro"),
        (2, "Who is it?", "", "Lena, the dentist"),
        (6, "Who?", "", "Tom"),
        (9, "Both?", "", "Yes"),
        (10, "谁？", "", "张三"),
    ]


def test_a_bold_question_is_bold_to_its_end():
    assert found("**Q: Who?**\nA: **Lena**\n") == [(1, "Who?", "", "Lena")]


def test_an_empty_answer_is_told():
    assert found("Q: Who?\nA:\n\nQ: \nA: Lena\n") == [
        (1, "knowledge.no_field"),
        (4, "knowledge.no_field"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Q: Who?\n",
        "Q: Who?\n\nNobody knows.\n",
        "A: The first answer.\n",
        "Q: Who?\n\nSome prose.\n\nA: Too late.\n",
        "问：谁？\n\n没有人知道。\n",
        "Quality: high\nAnswers: none\n",
    ],
)
def test_half_a_pair_is_prose(text):
    assert found(text) == passages(text)


# Keys and values


@pytest.mark.parametrize(
    "text",
    [
        "# Lena Hart\nJob: dentist\nborn: 1980-02-01\n",
        "# Lena Hart\n\n- Job: dentist\n- born: 1980-02-01\n",
        "## **Lena Hart** ##\n* **Job:** dentist\n* **born**: 1980-02-01\n",
        "# Lena Hart:\n\nJob: dentist\n\nborn: 1980-02-01\n",
        "# [Lena Hart](lena.md)\n1. Job: `dentist`\n2. born: 1980-02-01\n",
    ],
)
def test_keys_below_a_heading(text):
    facts = [line[1:] for line in found(text)]
    assert facts == [("Lena Hart", "job", "dentist"), ("Lena Hart", "born", "1980-02-01")]


def test_chinese_keys_below_a_heading():
    text = "# 张三\n职业：木匠\n生日：1980年2月1日\n电话: 123\n"
    assert found(text) == [
        (2, "张三", "职业", "木匠"),
        (3, "张三", "生日", "1980年2月1日"),
        (4, "张三", "电话", "123"),
    ]


def test_each_key_is_about_the_heading_above_it():
    text = "# Family\n## Lena\njob: cook\n## Tom\njob: none\n\nHe is retired.\n\n# Pets\nno cats\n"
    assert found(text) == [
        (1, "# Family"),
        (3, "Lena", "job", "cook"),
        (4, "## Tom\njob: none"),
        (7, "He is retired."),
        (9, "# Pets\nno cats"),
    ]


def test_a_key_without_a_value_is_told_among_others():
    lines = found("# Lena\njob: dentist\nphone:\ntown: Ulm\n")
    assert [line[0] for line in lines] == [2, 3, 4]
    assert lines[1] == (3, "knowledge.no_field")


PROSE = [
    "# Chapter 1\n\nHe said: I do not know.\n\nThen he left.\n",
    "# Chapter 1\nHe said: no\nShe said: yes\n",
    "# 第一回\n宝玉笑道：“好妹妹，你说的是。”\n\n黛玉道：“我不信。”\n",
    "# Talk\nAnna: hello\nBob: hi\nAnna: how are you\nBob: fine\n",
    "# Talk\nAnna: Hello there, my friend.\nBob: Oh, it is you again!\n",
    "# Day\n12:30 lunch\n14:00 Meeting: room 5\n",
    "# Times\n12:30\n13:45\n",
    "# Links\nhttps://example.org\nhttp://a.b:80/c\n",
    "# Files\nC:\\data\nD:\\more\n",
    "# To do\n- [ ] buy: milk\n- [x] call: Tom\n",
    "# Note\nRemember this: the door is closed on Mondays.\n",
    "# Note\nThis is what we all have to remember: one\nand this is what nobody remembers: two\n",
    "job: dentist\nborn: 1980\n",
    "---\ntitle: Notes\ntags: a\n---\n\n# Notes\n",
    "# Code\n```yaml\njob: dentist\nborn: 1980\n\n# Comment\na: b\nc: d\n```\n",
    "# Lena\njob: dentist\nborn: 1980\nShe lives in Ulm.\n",
    "# This whole sentence is a comment on what comes below it\na: b\nc: d\n",
    "# Finished.\n",
    "# Only\n## Headings\n",
    "Name | Job\nare two words\n",
    "a | b\n",
    "What follows: a list\n\n- one\n- two\n",
]


@pytest.mark.parametrize("text", PROSE)
def test_prose_stays_prose(text):
    assert found(text) == passages(text)


@pytest.mark.parametrize(
    ("name", "encoding"), [("tinyshakespeare.txt", "utf-8"), ("hongloumeng.gb18030.txt", "gb18030")]
)
def test_novels_and_plays_are_prose(name, encoding):
    with open(corpus_file(name), encoding=encoding) as lines:
        text = "# Title\n\n" + "".join(line for line, _ in zip(lines, range(20_000)))
    assert found(text) == passages(text)


# Tables


def test_a_table_names_subjects_and_relations():
    text = "# Birthdays\n\n| Name | Born | Town |\n|:--|---|--:|\n| Lena | 1980 | |\n| Tom \\| x | 2001 | Ulm |\n"
    assert found(text) == [
        (5, "Lena", "born", "1980"),
        (6, "Tom | x", "born", "2001"),
        (6, "Tom | x", "town", "Ulm"),
    ]


@pytest.mark.parametrize(
    "header", ["| | |", "| Field | Value |", "| 项目 | 内容 |", "key | what", "| what | details |"]
)
def test_a_table_below_a_heading_may_be_about_it(header):
    text = f"# Lena\n\n{header}\n|---|---|\n| Job | dentist |\n| **born** | 1980 |\n"
    assert found(text) == [(5, "Lena", "job", "dentist"), (6, "Lena", "born", "1980")]


def test_a_table_may_hold_questions():
    assert found("| Question | Answer |\n|--|--|\n| Who? | Lena |\n") == [(3, "Who?", "", "Lena")]


def test_a_faulty_row_of_a_table_is_told():
    text = "| name | job |\n|--|--|\n| Lena | dentist | x |\n| | cook |\n"
    assert found(text) == [(3, "knowledge.cells"), (4, "knowledge.no_field")]


# Passages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n \n", []),
        ("One\nparagraph. \n\n\nAnother.", [(1, "One\nparagraph."), (5, "Another.")]),
        ("\n  indented\n\t\n中文\n", [(2, "  indented"), (4, "中文")]),
    ],
)
def test_paragraphs_are_runs_of_lines_that_are_not_blank(text, expected):
    assert found(text) == passages(text) == expected


@pytest.mark.parametrize("line", ["x" * 40_000, "中" * 16_384, "x" * 16_385])
def test_a_very_long_line_is_cut(line):
    texts = [text for _, text in found(f"before\n{line}\nafter\n")]
    assert max(map(len, texts)) <= 16_384 + 1  # and a line end
    assert "".join(texts).replace("\n", "") == f"before{line}after"


def test_a_very_long_paragraph_is_cut_between_lines():
    line = "y" * 5000
    texts = [text for _, text in found(f"{line}\n" * 7)]
    assert texts == ["\n".join([line] * 3)] * 2 + [line]


FORMS = [
    "",
    "",
    "text",
    "# h",
    "### Q: q",
    "Q: q",
    "A: a",
    "k{}: v",
    "- l{}: v",
    "| c | d |",
    "|-|-|",
    "```",
]


@given(st.lists(st.sampled_from(FORMS), max_size=40))
def test_nothing_is_lost_or_said_twice(forms):
    """Text stands once in a passage or a fact, and lines come in their order."""
    lines = [
        form.format(number) if "{}" in form else form.replace("text", f"text{number}.")
        for number, form in enumerate(forms)
    ]
    items = found("\n".join(lines))
    assert [item[0] for item in items] == sorted(item[0] for item in items)
    told = " ".join(str(part) for item in items for part in item).replace("\n", " ").split()
    assert [word for word in told if word.startswith("text")] == [
        line for line in lines if line.startswith("text")
    ]
    kept = iter(lines)
    prose = [
        text
        for item in items
        if isinstance(item[1], str) and len(item) == 2
        for text in item[1].split("\n")
    ]
    assert all(text in kept for text in prose if not text.startswith("knowledge."))
