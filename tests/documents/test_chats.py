import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from h2q.documents import chats
from h2q.documents.chats import is_whatsapp, telegram_dialogue, whatsapp_dialogue
from h2q.system.errors import DocumentError
from tests.documents.conftest import cut

BEGINNINGS = [  # as phones in several languages write them
    "31/12/20, 21:15 - ",
    "12/31/20, 9:15 PM - ",
    "12/31/20, 9:15\u202fPM - ",
    "31.12.20, 21:15 - ",
    "31.12.2020, 21:15 Uhr - ",
    "2020-12-31, 9:15 p.\u00a0m. - ",
    "31-12-2020 21:15 - ",
    "2020/12/31 下午9:15 - ",
    "[31.12.20, 21:15:00] ",
    "\u200e[12/31/20, 9:15:03\u202fPM] ",
    "[2020/12/31 下午9:15:03] ",
    "[31/12/2020 21.15.03] ",
]


def dialogue(text: str) -> list[str]:
    assert is_whatsapp(text)
    return "".join(whatsapp_dialogue([text])).splitlines()


@pytest.mark.parametrize("begin", BEGINNINGS)
def test_dates_as_phones_write_them(begin):
    text = (
        f"{begin}Messages and calls are end-to-end encrypted.\n"
        f"{begin}Anna Müller: Hello: how are you?\n"
        f"{begin}+49 170 1234567: Fine!\nA second line\r\n"
        f"{begin}~ Ben: 好的\n"
    )
    assert dialogue(text) == [
        "Anna Müller: Hello: how are you?",
        "+49 170 1234567: Fine!",
        "A second line",
        "Ben: 好的",
    ]


@pytest.mark.parametrize(
    "said",
    [
        *("<Media omitted>", "<Medien ausgeschlossen>", "\u200eimage omitted", "null"),
        *("\u200e<attached: 00000012-PHOTO.jpg>", "IMG-20201231-WA0001.jpg (file attached)"),
        *("", "  "),
    ],
)
def test_what_has_no_text_is_left_out(said):
    begin = BEGINNINGS[0]
    assert dialogue(f"{begin}Anna: {said}\n{begin}Ben: yes\n") == ["Ben: yes"]


def test_the_mark_of_a_changed_message_is_left_out():
    assert dialogue(f"{BEGINNINGS[0]}A: new \u200e<This message was edited>") == ["A: new"]
    assert dialogue(f"{BEGINNINGS[0]}A: a tag <b>") == ["A: a tag <b>"]


@pytest.mark.parametrize(
    "text", ["", "A diary\n31/12/20, 21:15 - Anna: x", "31/12/20 was cold", "[1] a note", "1. a"]
)
def test_other_texts_are_no_chats(text):
    assert not is_whatsapp(text)


def test_a_mark_before_the_first_line_does_not_count():
    assert is_whatsapp("\ufeff" + BEGINNINGS[0] + "x")


# Telegram


def message(name: str | None, text, kind: str = "message") -> dict:
    return {"id": 1, "type": kind, "from": name, "text": text}


CHAT = {
    "name": "Ben",
    "messages": [
        message("Anna", 'Hi "messages": [1]'),
        message(None, "joined", "service"),
        message("Ben", ["see ", {"type": "link", "text": "https://x.y"}, {"type": "odd"}, 7]),
        message("Ben", ""),
        message(None, "from nobody"),
        message("Ben", {"text": "object"}),
        "rubbish",
        message("Anna", "两行\n话"),
    ],
}
SAID = 'Anna: Hi "messages": [1]\nBen: see https://x.y\nBen: object\nAnna: 两行\n话\n'


@settings(deadline=None, max_examples=40)
@given(st.data(), st.sampled_from([None, 1]))
def test_one_chat_cut_anywhere(data, indent):
    text = json.dumps(CHAT, indent=indent, ensure_ascii=indent is None)
    assert "".join(telegram_dialogue(data.draw(cut(text)))) == SAID


def test_all_chats_of_an_account():
    text = json.dumps({"chats": {"list": [CHAT, {"messages": []}, CHAT]}, "more": 1})
    assert "".join(telegram_dialogue([text])) == 2 * SAID


@pytest.mark.parametrize("text", ["", "{}", '{"messages": []}', '{"messages": 5}', "rubbish"])
def test_other_json_is_refused(text):
    with pytest.raises(DocumentError) as caught:
        list(telegram_dialogue([text]))
    assert caught.value.key == "document.no_chat"


def test_a_damaged_export_is_read_as_far_as_it_goes(monkeypatch):
    text = json.dumps(CHAT)
    assert "".join(telegram_dialogue([text[:150]])) == SAID.splitlines(keepends=True)[0]
    monkeypatch.setattr(chats, "MOST_CHARACTERS", 1000)
    broken = text.replace('"from": "Ben"', '"from": "Ben', 1) + " " * 2000
    with pytest.raises(DocumentError) as caught:
        list(telegram_dialogue([broken[:100], broken[100:]]))
    assert caught.value.key == "document.damaged"
