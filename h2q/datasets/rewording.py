"""Questions as people type them: the same words in lower case, without an end, politely, mistyped.

Templates are written with care, and people do not type so. These rules change a question before it
is trained on. Held-out questions are never changed, so their measures stay comparable. A question in
no wording at all, which names subject and relation among any words, teaches that nothing else
matters. Does not know the templates of relations, or facts.
"""

import random
from collections.abc import Callable

# Words that may stand around the names in a question, whatever they mean together.
_WORDS = {
    "en": """
        a about actually after again all also always and another any anyone as asked at away back be
        because been before best but by call came can check come could day did do does done down
        each else end even ever everyone fact few find first for forget friend from get give go good
        had hand happy have heard hello help her here him home how idea if in inside into is it its
        just keep last later least left less let like little long look lot made many maybe me mean
        met might more morning most much must my name never new next nice no not now of off often
        old on once one only or other our out over own page part people place point put quick quite
        rather read really right said same saw say see seems she should show since small so some
        soon still such sure take talk tell than that the their them then there these they thing
        think this those time to today together told too two under until up upon us use very wait
        want was way we week well went were where whether while who whole why will wish with without
        wonder word work would write year yes yet you your""",
    "zh": """
        一下 一个 一直 上面 下次 不 不过 与 个 为 为了 也 了 书里 于是 人 今天 什么样 他 以前 们 但 位
        你 你们 其实 再 出来 别 到 刚才 别人 前面 又 只 可是 可能 吃饭 吧 听 呢 和 咱们 哦 哪 唉 啊 嗯
        回头 因为 在 地方 多 大家 大概 她 好 好像 如果 孩子 它 对 就 已经 帮忙 年 并且 应该 开始 当然
        很 总是 想 想起 或者 所以 打算 找 把 才 找到 拿 推荐 接着 文章 整天 时候 明天 是 昨晚 晚上 最
        最近 有 朋友 有时 本来 某 查 次 正好 每 比较 没 然后 现在 瞧 的 看到 真 知 确实 突然 竟然 等
        笔记 等等 第 经常 给 老是 而且 自己 虽然 被 要 觉得 讨论 记 许多 读 谁家 跟 路上 这 这里 进来
        还 还是 通常 道 那 那么 都 里面 随便 非常 顺便 题目""",
}
_MOST_WORDS = 7  # in a row

Change = Callable[[str, random.Random], str]

_CHANGED_SHARE = 0.5  # of the questions; the others stay as they are written
_ENDS = "?？.。"
_MISTYPED_LETTERS = 4  # of a word, at least
GREETINGS = {
    "en": ("Hi, ", "Hello! ", "Excuse me, ", "Please: ", "Just asking: "),
    "zh": ("请问", "请问，", "你好，", "您好！", "请教一下，"),
}
THANKS = {
    "en": (" Please.", " Thanks!", " Thank you.", ", please?"),
    "zh": ("谢谢", "谢谢！", "，谢谢。", "多谢！"),
}


def any_words(lang: str, generator: random.Random) -> str:
    """A template for a question that names subject and relation, in either order, among any words
    of ``lang``."""
    words = _WORDS[lang].split()
    names = generator.sample(("{subject}", "{relation}"), 2)
    parts = [
        " ".join(generator.choices(words, k=generator.randint(0, _MOST_WORDS))) for _ in range(3)
    ]
    if not any(parts):  # the names alone are a template, which may be held out
        parts[0] = generator.choice(words)
    template = " ".join(filter(None, (parts[0], names[0], parts[1], names[1], parts[2])))
    if lang == "zh":
        template = template.replace(" ", "")
    return template + generator.choice(("?" if lang == "en" else "？", ""))


def lower_case(text: str, _: random.Random) -> str:
    """``text`` in small letters, names too."""
    return text.lower()


def drop_end(text: str, _: random.Random) -> str:
    """``text`` without the mark at its end."""
    return text.rstrip(_ENDS)


def exclaim(text: str, generator: random.Random) -> str:
    """``text`` with another mark at its end, or with more than one."""
    mark = "！" if text.endswith(("？", "。")) else "!"
    return text.rstrip(_ENDS) + generator.choice((mark, "??", "…"))


def western_end(text: str, _: random.Random) -> str:
    """``text`` with the marks of a keyboard that is not Chinese."""
    return text.translate(str.maketrans("？，：。", "?,:."))


def double_space(text: str, generator: random.Random) -> str:
    """``text`` with one of its spaces doubled, if it has any."""
    places = [index for index, letter in enumerate(text) if letter == " "]
    if not places:
        return text
    place = generator.choice(places)
    return f"{text[:place]} {text[place:]}"


def swap_letters(text: str, generator: random.Random) -> str:
    """``text`` with two neighbouring letters of a longer word in the wrong order. The first letter
    of a word stays. Text without such a word, as Chinese, stays as it is."""
    words = text.split(" ")
    places = [
        (number, index)
        for number, word in enumerate(words)
        if len(word) >= _MISTYPED_LETTERS and word.isascii()
        for index in range(1, len(word) - 1)
        if word[index : index + 2].isalpha() and word[index] != word[index + 1]
    ]
    if not places:
        return text
    number, index = generator.choice(places)
    word = words[number]
    words[number] = word[:index] + word[index + 1] + word[index] + word[index + 2 :]
    return " ".join(words)


def greet(lang: str) -> Change:
    """Puts a polite word of ``lang`` in front."""
    return lambda text, generator: generator.choice(GREETINGS[lang]) + text


def thank(lang: str) -> Change:
    """Puts a polite word of ``lang`` at the end, in place of the mark there if it begins with a
    comma."""

    def change(text: str, generator: random.Random) -> str:
        word = generator.choice(THANKS[lang])
        return (text.rstrip(_ENDS) if word.startswith((",", "，")) else text) + word

    return change


# In this order, each with its share of the questions that are changed.
_RULES: dict[str, tuple[tuple[float, Change], ...]] = {
    "en": (
        (0.1, exclaim),
        (0.5, drop_end),
        (0.15, greet("en")),
        (0.15, thank("en")),
        (0.5, lower_case),
        (0.1, swap_letters),
        (0.1, double_space),
    ),
    "zh": (
        (0.1, exclaim),
        (0.5, drop_end),
        (0.2, greet("zh")),
        (0.2, thank("zh")),
        (0.2, western_end),
        (0.2, lower_case),
    ),
}


def reworded(question: str, lang: str, generator: random.Random) -> str:
    """``question``, which is in ``lang``, as somebody might type it. Half of the questions stay as
    they are. The outcome depends on the arguments alone."""
    if generator.random() >= _CHANGED_SHARE:
        return question
    for share, change in _RULES[lang]:
        if generator.random() < share:
            question = change(question, generator)
    return question
