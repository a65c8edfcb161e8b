from h2q.asking.relations import Relations

WORDINGS = {
    "symbol": {
        "en": {
            "statements": ["{subject} {object}"],
            "questions": [
                "What letters do chemists use for {subject}?",
                "{relation} of {subject}?",
            ],
        }
    }
}


def test_a_relation_is_asked_for_by_name_by_other_words_and_by_its_own_questions():
    relations = Relations(WORDINGS)
    assert relations.phrases("symbol", "en") == (("symbol",), ("letters", "chemists"))
    assert relations.phrases("symbol", "zh") == (("symbol",),)
    assert relations.phrases("birth_date", "en")[0] == ("birth", "date")
    assert ("born",) in relations.phrases("birth_date", "en")
    assert relations.phrases("", "en") == ()
