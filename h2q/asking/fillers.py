"""Words of a question that name nothing: they ask, are polite, or hold the sentence together.

Does not know what is asked for.
"""

import re
from collections.abc import Iterable, Sequence

from h2q.asking.words import is_han

# Words that ask for a kind of answer. They name nothing, but a question with one of them does not
# ask for everything about somebody.
_ASKING = "when where why how old many much long often"
_ENGLISH = """

a an the often this that these those it its he him his she her hers they them their theirs i im me my
mine you your yours we us our ours one ones am is are was were be been being isnt wasnt do does
did done doing have has had having can could will would shall should may might must cant dont
didnt doesnt lets ive id youd whats whos hows wheres whens of for to in on at by with from about
as into and or but if so than then not no yes there here over up out per via vs through during
between upon regarding concerning who whom whose what which when where why how please pls plz
thanks thank thx ty hi hey hello ok okay oh um uh hmm well sorry kindly cheers tell say give show
find look lookup search check know known knows remember remind recall think guess want wanted
wants need needed needs like ask asking asked wonder wondering let get got see list read quick
quickly question answer help just again really actually exactly maybe perhaps any some anyone
anybody someone somebody something anything right now currently today still ever also only even
more all each every other another same such very too much many call called named name names says
said written down noted note notes listed file files record records entry entries info information
details detail according use used uses go goes went come comes make made keep keeps kept put set
happen happens mean means curious idea clue possible possibly able forgot forget forgotten cannot
mind matter lot short fast supposed btw fyi asap kinda sort belong belongs belonging looking
checked telling provide send
"""
_CHINESE = """

的 了 吗 呢 啊 吧 呀 嘛 哦 哈 嗯 哎 喂 之 过 么 请问 请 麻烦 劳驾 拜托 帮忙 帮我
帮 一下 下 能否 能不能 可否 可不可以 可以 能 告诉我 告诉 跟我说 和我说 说说 说一下 说
讲讲 讲 我想知道 想知道 我想问 想问 问一下 问下 问问 问 我想 想 我要 要 我 你们 你 您
他们 她们 它们 他 她 它 咱们 咱 我们 大家 有人 有谁 谁 知道不 知不知道 知道 晓得
记不记得 记得 不记得 忘记 忘了 忘 记不清 想不起来 想起来 查一下 查查 查询 查 看看 看一下
看 找一下 找找 找 搜一下 搜 什么 啥 是啥 哪个 哪位 哪些 哪一个 哪一 哪里 哪儿 哪 何处
何时 几时 什么时候 啥时候 什么地方 啥地方 怎么样 怎么 咋 怎样 如何 多少 多大 几 是不是
是 叫做 叫什么 叫 为 有没有 有 在 到底 究竟 来着 具体 目前 现在 如今 那个 这个 那
这 个 位 对于 关于 对 把 被 和 与 跟 及 就 才 都 也 还 又 再 呗 哟 请教 求问 求
有关 应该 应当 算 属于 用 给 去 来 快 急 谢谢 多谢 谢 你好 您好 嗨 哈喽 好 不 没
一个 一 笔记里 笔记 里面 里 上 中 记的 记 写的 写 资料 档案 信息 内容 情况 答案 问题
名字 名称 是谁 请说 直接 只 先 能帮 吗请 会 该 另外 顺便 随便 随口 各位 老师 朋友们
哥们 亲 在线等 等 哪一天 哪天 哪年 哪一年 哪个月 烦请 劳烦 提供 发我 帮我找 需要 之前
具体是 写了没 有记录
"""
_ASKING_CHINESE = re.compile(
    "什么时候|啥时候|几时|何时|哪天|哪里|哪儿|何处|什么地方|怎么|咋|怎样|如何|为什么|多少|多大|几"
)
_ASKING_WORDS, _WORDS = frozenset(_ASKING.split()), frozenset(_ENGLISH.split())
_UNITS = {
    "day",
    "month",
    "year",
    "time",
    "hour",
    "hours",
    "minutes",
    "degrees",
    "date",
    "kind",
    "type",
}
_BEFORE_UNITS = {"what", "which", "many", "much"}
_COUNTED = "(?:几|多少|哪一?)[天年月号点个位只条本张块元度岁次种家分钟]+"
_FILLER = re.compile("|".join([_COUNTED, *sorted(_CHINESE.split(), key=lambda one: -len(one))]))


def is_filler(token: str) -> bool:
    """Whether an English word names nothing by itself."""
    return token in _WORDS


def fillers(found: Sequence[str]) -> list[bool]:
    """For each token whether it names nothing. A gap in the text is an empty token."""
    text = "".join(token if is_han(token) else " " for token in found)
    before = ("", *found)
    result = [
        token in _WORDS or (token in _UNITS and last in _BEFORE_UNITS)
        for token, last in zip(found, before)
    ]
    for match in _FILLER.finditer(text):
        for place in range(*match.span()):
            result[place] = True
    return result


def asks_for_one_thing(found: Iterable[str]) -> bool:
    """Whether a question asks when, where, how much and the like, and not about somebody."""
    found = list(found)
    text = "".join(token if is_han(token) else " " for token in found)
    return not _ASKING_WORDS.isdisjoint(found) or bool(_ASKING_CHINESE.search(text))
