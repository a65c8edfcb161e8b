import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from h2q.documents.xml_events import XmlEvent, xml_events
from h2q.system.errors import DocumentError


def refused(text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(DocumentError) as caught:
        list(xml_events([data]))
    return caught.value.key


def test_events_without_namespaces():
    text = '<a xmlns="u:x" xmlns:w="u:w" w:val="1"><w:b/>t&amp;<![CDATA[<]]></a>'
    events = list(xml_events([text.encode()]))
    assert events == [
        XmlEvent("start", "a", {"val": "1"}),
        XmlEvent("start", "b"),
        XmlEvent("end", "b"),
        XmlEvent("text", "t&<"),
        XmlEvent("end", "a"),
    ]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40))
def test_events_do_not_depend_on_how_the_bytes_are_cut(size):
    data = '<?xml version="1.0"?><a b="ü">中文 and <c>more</c></a>'.encode()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    events = list(xml_events(chunks))
    assert "".join(event.name for event in events if event.kind == "text") == "中文 and more"
    assert events[0] == XmlEvent("start", "a", {"b": "ü"})


@pytest.mark.parametrize("text", ["", "no xml", "<a>", "<a></b>", "<a>&unknown;</a>", "<a/><b/>"])
def test_what_is_not_well_formed_is_refused(text):
    assert refused(text) == "document.damaged"


def test_an_encoding_that_is_none_is_refused():
    assert refused('<?xml version="1.0" encoding="nothing"?><a/>') == "document.damaged"
    assert refused('<?xml version="1.0" encoding="gb2312"?><a>中</a>') == "document.damaged"


def test_entities_are_refused(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    outside = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a>&x;</a>'
    laughs = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><a>&y;</a>'
    parameter = f'<!DOCTYPE a [<!ENTITY % x SYSTEM "{secret.as_uri()}"> %x;]><a/>'
    for text in (outside, laughs, parameter):
        assert refused(text) == "document.entities"


def test_an_external_definition_is_not_loaded(tmp_path):
    (tmp_path / "x.dtd").write_text('<!ENTITY x "SECRET">')
    text = f'<!DOCTYPE a SYSTEM "{(tmp_path / "x.dtd").as_uri()}"><a>b&x;c</a>'
    events = list(xml_events([text.encode()]))
    assert "".join(event.name for event in events if event.kind == "text") == "bc"


def test_deep_nesting_needs_no_deep_stack():
    depth = 20_000
    events = xml_events([b"<a>" * depth, b"t", b"</a>" * depth])
    assert sum(event.kind == "text" for event in events) == 1
