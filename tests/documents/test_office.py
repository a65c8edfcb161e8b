import pytest

from h2q.documents.office import odt_text, word_text
from h2q.system.errors import DocumentError
from tests.documents.conftest import archive

RELATIONS = (
    '<Relationships><Relationship Id="r1" Type="http://x/thumbnail" Target="t.jpeg"/>'
    '<Relationship Id="r2" Type="http://x/officeDocument" Target="/word/document2.xml"/>'
    "</Relationships>"
)
W = 'xmlns:w="urn:w" xmlns:mc="urn:mc"'


def word(body: str, **more: str) -> str:
    """The text of a Word file with this body."""
    document = f"<w:document {W}><w:body>{body}</w:body></w:document>"
    members = {"_rels/.rels": RELATIONS, "word/document2.xml": document}
    members |= {f"word/{name}.xml": text for name, text in more.items()}
    return "".join(word_text(archive(members)))


def paragraph(*runs: str) -> str:
    return "<w:p>" + "".join(f"<w:r><w:t>{run}</w:t></w:r>" for run in runs) + "</w:p>"


def test_each_paragraph_is_a_line():
    body = paragraph("One", " and 二 &amp; ", "a half.") + "<w:p/>" + paragraph("Two")
    assert word(body) == "One and 二 & a half.\n\nTwo\n"


def test_tabs_and_line_breaks_are_kept_and_those_of_the_layout_are_not():
    stops = "<w:pPr><w:tabs><w:tab w:val='left'/></w:tabs></w:pPr>"
    body = f"<w:p>{stops}<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r></w:p>"
    assert word(body) == "a\tb\nc\n"


def test_a_row_of_a_table_is_a_line():
    def cell(*texts):
        return f"<w:tc><w:tcPr/>{''.join(map(paragraph, texts))}</w:tc>"

    rows = [cell("a") + cell("b", "b2"), cell("c") + cell("d")]
    table = "".join(f"<w:tr>{row}</w:tr>" for row in rows)
    assert word(f"<w:tbl>{table}</w:tbl>{paragraph('after')}") == "a\tb b2\nc\td\nafter\n"


def test_what_was_deleted_or_is_said_twice_is_left_out():
    deleted = "<w:del><w:r><w:delText>old</w:delText><w:t>old</w:t></w:r></w:del>"
    moved = "<w:moveFrom><w:r><w:t>old</w:t></w:r></w:moveFrom>"
    field = "<w:r><w:instrText>PAGE</w:instrText></w:r>"
    inserted = "<w:ins><w:r><w:t>new</w:t></w:r></w:ins>"
    box = "<w:txbxContent><w:r><w:t> box</w:t></w:r></w:txbxContent>"
    both = (
        f"<mc:AlternateContent><mc:Choice>{box}</mc:Choice>"
        f"<mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
    )
    assert word(f"<w:p>{deleted}{moved}{field}{inserted}{both}</w:p>") == "new box\n"


def test_notes_follow_the_text():
    notes = f"<w:footnotes {W}><w:footnote>{paragraph('a note')}</w:footnote></w:footnotes>"
    assert word(paragraph("text"), footnotes=notes, header1="<x>no</x>") == "text\na note\n"


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"_rels/.rels": "<Relationships/>"},
        {"_rels/.rels": RELATIONS},
        {"_rels/.rels": RELATIONS, "word/document2.xml": "<w:p>"},
    ],
)
def test_what_is_no_word_file_is_refused(members):
    with pytest.raises(DocumentError) as caught:
        list(word_text(archive(members)))
    assert caught.value.key == "document.damaged"


def test_entities_are_refused():
    evil = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
    for members, read in (
        ({"_rels/.rels": RELATIONS, "word/document2.xml": evil}, word_text),
        ({"content.xml": evil}, odt_text),
    ):
        with pytest.raises(DocumentError) as caught:
            list(read(archive(members)))
        assert caught.value.key == "document.entities"


# OpenDocument


def odt(body: str) -> str:
    spaces = 'xmlns:text="urn:t" xmlns:table="urn:b" xmlns:office="urn:o"'
    content = f"<office:body {spaces}><office:text>{body}</office:text></office:body>"
    return "".join(odt_text(archive({"content.xml": content})))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            "<text:h>Title</text:h>\n  <text:p>One <text:span>二</text:span></text:p>",
            "Title\nOne 二\n",
        ),
        ("<text:p>a\n   b<text:s text:c='3'/>c<text:s/>d</text:p>", "a b   c d\n"),
        ("<text:p>a<text:s text:c='999999999999'/>b</text:p>", "a" + " " * 80 + "b\n"),
        ("<text:p>a<text:s text:c='-1'/>b</text:p>", "a b\n"),
        ("<text:p>a<text:tab/>b<text:line-break/>c</text:p>", "a\tb\nc\n"),
        (
            "<text:p>said<text:note><text:note-citation>1</text:note-citation><text:note-body>"
            "<text:p>the note</text:p></text:note-body></text:note>.</text:p>",
            "said [the note].\n",
        ),
        ("<text:tracked-changes><text:p>old</text:p></text:tracked-changes><text:p/>", "\n"),
        ("<text:p>a<office:annotation><text:p>no</text:p></office:annotation></text:p>", "a\n"),
        (
            "<table:table><table:table-row><table:table-cell><text:p>a</text:p><text:p>b</text:p>"
            "</table:table-cell><table:table-cell><text:p>c</text:p></table:table-cell>"
            "</table:table-row></table:table><text:p>d</text:p>",
            "a b\tc\nd\n",
        ),
    ],
)
def test_an_odt(body, text):
    assert odt(body) == text
