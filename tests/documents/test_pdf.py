"""With the true pypdf where it is installed, and with one that behaves badly."""

import io
import sys
import types

import pytest

from h2q.documents import pdf
from h2q.documents.pdf import pdf_text
from h2q.system.errors import DocumentError


def with_pages(monkeypatch, *pages):
    """Puts a module in the place of pypdf; a page is its text, or an error."""

    class Page:
        def __init__(self, content):
            self.content = content

        def extract_text(self):
            if isinstance(self.content, Exception):
                raise self.content
            return self.content

    reader = types.SimpleNamespace(pages=[Page(content) for content in pages])
    module = types.SimpleNamespace(PdfReader=lambda stream: reader)
    monkeypatch.setitem(sys.modules, "pypdf", module)


def refused() -> str:
    with pytest.raises(DocumentError) as caught:
        list(pdf_text(io.BytesIO(b"%PDF")))
    return caught.value.key


def test_pages_with_text(monkeypatch):
    with_pages(monkeypatch, " One\nline ", "", "第二页")
    assert "".join(pdf_text(io.BytesIO())) == "One\nline\n\n第二页\n\n"


@pytest.mark.parametrize("error", [ValueError("odd"), KeyError("/Root"), RecursionError()])
def test_whatever_goes_wrong_is_a_damaged_file(monkeypatch, error):
    with_pages(monkeypatch, "One", error)
    assert refused() == "document.damaged"


def test_too_much_text_is_refused(monkeypatch):
    monkeypatch.setattr(pdf, "_MOST_CHARACTERS", 10)
    with_pages(monkeypatch, "12345", "678901")
    assert refused() == "document.bomb"


def test_without_pypdf_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdf", None)
    assert refused() == "document.pdf"


def test_a_true_file():
    pytest.importorskip("pypdf")
    content = b"BT /F1 12 Tf 72 720 Td (Hello from a page) Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /MediaBox [0 0 612 792] "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    data, places = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(data)
    data += b"xref\n0 6\n0000000000 65535 f \n" + table
    data += b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start
    assert "".join(pdf_text(io.BytesIO(data))) == "Hello from a page\n\n"
    with pytest.raises(DocumentError):
        list(pdf_text(io.BytesIO(b"no PDF at all")))
