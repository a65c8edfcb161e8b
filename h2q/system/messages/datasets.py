"""Sentences on text and the knowledge base."""

MESSAGES: dict[str, tuple[str, str]] = {
    "corpus.missing": (
        "找不到 {path}；请检查 --data_dir 或 --eval_dir 给出的路径。",
        "{path} does not exist; check the path given with --data_dir or --eval_dir.",
    ),
    "corpus.unreadable": (
        "无法读取 {path}：{reason}；请检查权限。",
        "{path} cannot be read: {reason}; check its permissions.",
    ),
    "corpus.empty": (
        "{path} 中没有文件；请把文本（.txt、.md、.docx …）放进去，或用 --data_dir 指定别的位置。",
        "There is no file in {path}; put your text there (.txt, .md, .docx …) or name another "
        "--data_dir.",
    ),
    "corpus.no_text": (
        "{path} 中没有可用的文本：{reasons}。",
        "{path} holds no usable text: {reasons}.",
    ),
    "corpus.no_encoding": (
        "{path} 中没有可用的文本：{reasons}；请换成文本文件，或用 --encoding 指明编码。",
        "{path} holds no usable text: {reasons}; use text files, or name their --encoding.",
    ),
    "corpus.unread_one": ("未读 {first}（{reason}）", "{first} is not read ({reason})"),
    "corpus.unread": (
        "未读 {first} 等 {count} 个（{reason}）",
        "{first} and others, {count} in all, are not read ({reason})",
    ),
    "corpus.short": (
        "{path} 只有 {size} 字节文本，至少需要 {needed} 字节；请添加更多文本{others}。",
        "{path} holds only {size} bytes of text, at least {needed} are needed; add more text{others}.",
    ),
    "corpus.others": (
        "（另有 {count} 个文件，用 --include '*' 读入）",
        " (--include '*' reads {count} other files there)",
    ),
    "corpus.encoding": (
        "{path} 不是 {encoding} 编码（{reason}）；请换一个 --encoding，或去掉它以自动识别。",
        "{path} is not in {encoding} ({reason}); name another --encoding, or none to detect it.",
    ),
    "corpus.codec": (
        "不认识编码 {encoding!r}；例如可用 utf-8、gb18030、utf-16、big5。",
        "There is no encoding {encoding!r}; use for instance utf-8, gb18030, utf-16 or big5.",
    ),
    "corpus.changed": (
        "{path} 在训练过程中被修改或删除；请恢复它并用 --resume 继续，或重新开始训练。",
        "{path} was changed or deleted during training; restore it and go on with --resume, "
        "or train anew.",
    ),
    "score.not_text": (
        "{path} 不是可识别编码的文本；请先转成 UTF-8。",
        "{path} is not text in a recognised encoding; convert it to UTF-8 first.",
    ),
    "score.regular": (
        "{path} 不是普通文件；请给出文本文件。",
        "{path} is not a regular file; name a text file.",
    ),
    "skip.empty": ("空文件", "empty"),
    "skip.special": ("不是普通文件", "not a regular file"),
    "skip.denied": ("没有读取权限", "permission denied"),
    "skip.gone": ("文件不存在", "no such file"),
    "skip.unreadable": ("无法读取", "cannot be read"),
    "skip.not_text": (
        "不是可识别编码的文本",
        "not text in a recognised encoding",
    ),
    "skip.no_text": ("没有文字（例如扫描的页面）", "no text in it (scanned pages, for instance)"),
    "skip.changed": ("读取时被修改；请重新运行", "changed while it was read; run again"),
    "skip.not_txt": (
        "有 .txt 时只读 .txt；用 --include '*' 全部读入",
        "beside .txt files only with --include '*'",
    ),
    "skip.not_matched": ("不符合 --include", "not in --include"),
    "skip.format": (
        "不认识的格式；用 --include 指明才读",
        "unknown formats, read only where --include names them",
    ),
    "skip.hidden": ("隐藏文件", "hidden"),
    "skip.folder": ("隐藏的或自动生成的目录", "hidden or generated directories"),
    "skip.link": ("指向目录的链接", "links to directories"),
    "knowledge.missing": (
        "找不到知识库 {path}；请检查 --knowledge_dir。",
        "There is no knowledge base at {path}; check --knowledge_dir.",
    ),
    "knowledge.empty": (
        "知识库 {path} 中没有可用的事实或段落（{problems} 行有误）；"
        "请添加事实（.csv、.tsv、.jsonl、问答）或 .txt、.md 段落。",
        "The knowledge base {path} holds no usable fact or passage ({problems} faulty lines); add "
        "facts (.csv, .tsv, .jsonl, questions with answers) or passages (.txt, .md).",
    ),
    "knowledge.wordings": (
        "{path} 的格式不对（关系 {relation!r}）；请按自带的 wordings.json 书写："
        "陈述要有 subject 和 object，提问要有 subject 而没有 object。",
        "{path} is not of the right form (relation {relation!r}); write it like the wordings.json "
        "that comes with the program: statements hold subject and object, questions "
        "subject and no object.",
    ),
    "knowledge.found": (
        "📖 知识库: {path} | 事实 {facts:,} | 段落 {passages:,} | 有误 {problems}",
        "📖 Knowledge base: {path} | {facts:,} facts | {passages:,} passages | {problems} faulty",
    ),
    "knowledge.file": ("   📄 {file}: {found}", "   📄 {file}: {found}"),
    "knowledge.more_files": ("   … 以及另外 {count} 个文件", "   … and {count} more"),
    "form.json": ("JSON 行", "JSON lines"),
    "form.table": ("表格", "table"),
    "form.anki": ("Anki 卡片", "Anki notes"),
    "form.pair": ("问答", "questions with answers"),
    "form.keys": ("键值行", "key: value lines"),
    "form.passage": ("段落", "passages"),
    "form.faulty": ("有误", "faulty"),
    "knowledge.unread": (
        "⏭️ 知识库里有 {count} 个文件不读（读的是 .csv、.tsv、.jsonl、.md、.txt），例如 {first}",
        "⏭️ Files of the knowledge base that are not read (.csv, .tsv, .jsonl, .md and .txt are): "
        "{count}, for instance {first}",
    ),
    "knowledge.none": (
        "📖 {path} 中没有您的事实：以您的训练文本本身为知识库。"
        "（把事实放进去就会教；要教自带的常识，加 --knowledge shipped）",
        "📖 There are no facts of yours in {path}: your training text itself is taught. (Put facts "
        "there to have them taught; --knowledge shipped teaches those that come with the program.)",
    ),
    "knowledge.problem": (
        "⚠️ {path} 第 {line} 行未采用：{reason}",
        "⚠️ {path}, line {line} was left out: {reason}",
    ),
    "knowledge.problem_file": (
        "⚠️ {path} 未采用：{reason}",
        "⚠️ {path} was left out: {reason}",
    ),
    "knowledge.more_problems": (
        "⚠️ 还有 {count} 处未采用，全部列在 {path}",
        "⚠️ {count} more were left out; all are listed in {path}",
    ),
    "knowledge.unlisted_problems": (
        "⚠️ 还有 {count} 处不能采用；进化时会全部列在一个文件里",
        "⚠️ {count} more cannot be used; an evolution lists them all in a file",
    ),
    "knowledge.not_json": ("不是有效的 JSON", "not valid JSON"),
    "knowledge.no_object": ("不是 JSON 对象", "not a JSON object"),
    "knowledge.no_field": (
        "{name} 缺失、为空，或不是单行文字",
        "{name} is missing, empty, or not a single line of text",
    ),
    "knowledge.no_language": (
        "lang 是 {value!r}，应为 zh 或 en",
        "lang is {value!r}, it must be zh or en",
    ),
    "knowledge.aliases": (
        "aliases 不是由单行文字组成的列表",
        "aliases is not a list of single lines of text",
    ),
    "knowledge.same_id": (
        "编号 {id!r} 已用于 {file} 第 {line} 行",
        "the id {id!r} is already used in {file}, line {line}",
    ),
    "knowledge.repeated": (
        "与 {file} 第 {line} 行是同一个事实（{object}）",
        "the same fact as {file}, line {line} ({object})",
    ),
    "knowledge.contradicts": (
        "与 {file} 第 {line} 行矛盾，那里是 {object}",
        "contradicts {file}, line {line}, which says {object}",
    ),
    "knowledge.not_text": (
        "不是可识别编码的文本；可用 --encoding 指明编码",
        "not text in a recognised encoding; --encoding can name it",
    ),
    "knowledge.quotes": (
        "这一行的引号没有配对",
        "the quotation marks of this row do not match",
    ),
    "knowledge.cells": (
        "有 {cells} 格，而表头只有 {columns} 列；含分隔符的内容要放在引号里",
        "{cells} cells, but the header names {columns}; put a value that holds the separator in "
        "quotation marks",
    ),
    "knowledge.no_name": (
        "{value!r} 所在的列在表头里没有名字",
        "the column of {value!r} has no name in the header",
    ),
    "knowledge.one_column": (
        "表头只有一列；第一行要写列名，例如 subject,relation,object",
        "the header has only one column; the first line names the columns, such as "
        "subject,relation,object",
    ),
    "knowledge.long": (
        "太长：问题和答案放不进模型的 {most} 字节窗口",
        "too long: question and answer do not fit into the model's window of {most} bytes",
    ),
}
