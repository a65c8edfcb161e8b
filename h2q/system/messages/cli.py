"""Sentences on use of the command line, help, trial runs, the report."""

MESSAGES: dict[str, tuple[str, str]] = {
    "start.loading": ("⏳ 正在加载 PyTorch …", "⏳ Loading PyTorch …"),
    "dependency.missing": (
        "没有安装 {name}；请先建立虚拟环境并安装：pip install -c constraints.txt -e .",
        "{name} is not installed; make a virtual environment and install it: "
        "pip install -c constraints.txt -e .",
    ),
    "memory.full": (
        "内存不足；请用更小的 --batch_size 或 --preset tiny，用 --resume 可从上次保存处继续。",
        "Out of memory; use a smaller --batch_size or --preset tiny; --resume goes on from the "
        "last save.",
    ),
    "settings.toml": (
        "{path} 不是有效的 TOML（{reason}）；请修正后再试。",
        "{path} is not valid TOML ({reason}); correct it and try again.",
    ),
    "settings.unknown": (
        "{path} 中的设置 {name} 不存在，最接近的是 {nearest}。",
        "{path}: there is no setting {name}; the nearest one is {nearest}.",
    ),
    "settings.value": (
        "{path} 中 {name} 的值 {value!r} 类型不对。",
        "{path}: the value {value!r} of {name} is of the wrong type.",
    ),
    "usage.epochs_or_minutes": (
        "--epochs 和 --max_minutes 只能给一个：按时间计划时，轮数由速度决定。",
        "Give --epochs or --max_minutes, not both: with a planned time the speed decides the "
        "number of epochs.",
    ),
    "usage.knowledge": (
        "--knowledge shipped 和 --knowledge_dir 只能给一个。",
        "Give --knowledge shipped or --knowledge_dir, not both.",
    ),
    "usage.flag": (
        "未知参数 {flag}{hint}；用 --help 查看全部参数。",
        "Unknown argument {flag}{hint}; --help lists them all.",
    ),
    "usage.no_value": (
        "{flag} 后面要有一个值；用 --help 查看用法。",
        "{flag} needs a value; see --help.",
    ),
    "usage.nearest": ("，您是否想写 {nearest}", ", did you mean {nearest}"),
    "usage.wrong": ("用法有误：{reason}；用 --help 查看用法。", "Wrong use: {reason}; see --help."),
    "dry.sample_text": (
        "📝 {path} 中没有文本；训练时会在那里创建示例文本，下面按示例文本估算。",
        "📝 There is no text in {path}; training will create sample text there, on which the figures "
        "below are based.",
    ),
    "dry.time": (
        "⏳ 每步 {step:.2g} 秒（{speed:,.0f} 字节/秒） | 每轮约 {epoch} | 共约 {total}",
        "⏳ {step:.2g} s a step ({speed:,.0f} bytes/s) | about {epoch} an epoch | {total} in all",
    ),
    "dry.time_planned": (
        "⏳ 每步 {step:.2g} 秒（{speed:,.0f} 字节/秒） | 每轮约 {epoch} | {total}内约 {steps:,} 步",
        "⏳ {step:.2g} s a step ({speed:,.0f} bytes/s) | about {epoch} an epoch | "
        "about {steps:,} steps in {total}",
    ),
    "dry.memory": (
        "🧮 内存: 实测峰值 {peak:.1f} GB | 检查点每个约 {checkpoint:.0f} MB，最多占用磁盘约 {disk:.0f} MB",
        "🧮 Memory: {peak:.1f} GB at the most, measured | a checkpoint is about {checkpoint:.0f} MB, "
        "all files at most about {disk:.0f} MB",
    ),
    "dry.disk": (
        "🧮 检查点每个约 {checkpoint:.0f} MB，最多占用磁盘约 {disk:.0f} MB",
        "🧮 A checkpoint is about {checkpoint:.0f} MB, all files at most about {disk:.0f} MB",
    ),
    "dry.timing": ("⏳ 正在试跑几步 …", "⏳ Timing a few steps …"),
    "dry.done": (
        "ℹ️ 这只是试算（--dry_run）：没有写入任何文件。",
        "ℹ️ This was a trial (--dry_run): nothing was written.",
    ),
    "dry.resume": (
        "--dry_run 和 --resume 只能给一个：试算从头训练的用时。",
        "Give --dry_run or --resume, not both: the estimate is for training anew.",
    ),
    "usage.files": (
        "--mode score 需要文件：{chat_program} --mode score 文件…",
        "--mode score needs files: {chat_program} --mode score FILE...",
    ),
    "usage.no_files": (
        "只有 --mode score 才接受文件（这里给了 {name}）；要续写文字请用 --prompt。",
        "Only --mode score takes files ({name} was given); use --prompt for text to continue.",
    ),
    "usage.not_in": (
        "{flag} 不能用于 --mode {mode}。",
        "{flag} cannot be used with --mode {mode}.",
    ),
    "usage.prompt_or_file": (
        "--prompt 和 --prompts_file 只能给一个。",
        "Give --prompt or --prompts_file, not both.",
    ),
    "report.written": ("📈 训练报告: {path}", "📈 Report: {path}"),
    "report.missing": (
        "ℹ️ 安装 matplotlib 后会画出训练报告 training_report.png：pip install matplotlib",
        "ℹ️ With matplotlib a training_report.png is drawn too: pip install matplotlib",
    ),
    "report.loss": ("损失", "Loss"),
    "report.batches": ("训练（单个批次）", "training (single batches)"),
    "report.train": ("训练（每轮平均）", "training (mean of the epoch)"),
    "report.heldout": ("评估（留出文本）", "held out"),
    "report.memory": ("评估（加上记忆）", "held out, with the memory"),
    "report.step": ("步", "step"),
    "report.nats": ("nat / 字节", "nats per byte"),
    "report.rate": ("学习率", "Learning rate"),
    "report.speed": ("速度（字节/秒）", "Speed (bytes/s)"),
    "report.minutes": ("分钟", "minutes"),
    "report.evolution": (
        "进化：新模型的改进及其置信区间",
        "Evolution: gain of the new model",
    ),
    "report.promoted": ("采用", "kept"),
    "report.rejected": ("未采用", "not kept"),
    "report.cycle": ("周期", "cycle"),
    "report.facts": ("新事实答对（百分点）", "new facts right (percentage points)"),
    "report.prose": ("留出文本（比特 / 字节）", "held-out text (bits per byte)"),
    "help.format": (
        "导出格式：safetensors（原样）或 transformers（GPT-NeoX，默认：safetensors）",
        "format of the export: safetensors (as it is, default) or transformers (GPT-NeoX)",
    ),
    "help.export_dir": (
        "导出到哪个目录（默认：h2q_export）",
        "where to export to (default: h2q_export)",
    ),
    "help.train": (
        "用您自己的文本在本机训练语言模型，或让它自我进化。完全离线。",
        "Train a language model on your own text, or let it evolve. Entirely offline.",
    ),
    "help.chat": (
        "与本机训练好的模型对话。完全离线。",
        "Talk to the model trained on this machine. Entirely offline.",
    ),
    "help.usage": ("用法: ", "usage: "),
    "help.positionals": ("文件", "files"),
    "help.options": ("参数", "options"),
    "help.help": ("显示本说明", "show this help"),
    "help.version": ("显示版本", "show the version"),
    "help.completion": (
        "显示命令行补全的脚本（需要安装 shtab）",
        "show the script that completes this command in a shell (needs shtab installed)",
    ),
    "help.lang": (
        "界面语言（默认：环境变量 H2Q_LANG，或 zh）",
        "language (default: H2Q_LANG, or zh)",
    ),
    "help.mode_train": (
        "运行模式（默认：train）",
        "train a model, or let the trained one evolve (default: train)",
    ),
    "help.epochs": ("训练轮数（默认：10）", "epochs (default: 10)"),
    "help.max_minutes": (
        "训练多少分钟（代替 --epochs）：学习率按实测速度安排，时间到时恰好降完；进化模式下为进化的总时间",
        "minutes to train, in place of --epochs: the measured speed decides the number of steps, "
        "and the learning rate has decayed when the time is up; with --mode evolve, minutes of "
        "all cycles together",
    ),
    "help.cycles": ("进化周期数（默认：3）", "evolution cycles (default: 3)"),
    "help.data_dir": (
        "训练数据：目录（其下所有 .txt；没有 .txt 时读 .md、.docx、.html 等）或一个文件"
        "（默认：data/training_data，为空时自动创建示例文本）",
        "training text: a directory (all .txt below it; without any, .md, .docx, .html and others) or "
        "one file (default: data/training_data; sample text is created when there is none)",
    ),
    "help.eval_dir": (
        "评估文本：目录或文件（默认：从训练数据中留出约 5%%）",
        "held-out text: a directory or file (default: about 5%% of the training text)",
    ),
    "help.include": (
        "只读路径符合此模式的文件，例如 '*.md' 或 '*'；可给多次，或用逗号分隔",
        "read the files whose path fits this pattern, '*.md' or '*' for instance, and no others; may "
        "be given several times, or with commas",
    ),
    "help.encoding": (
        "训练和评估文本的编码（默认：自动识别 UTF-8、UTF-16、GB18030）",
        "encoding of the text (default: detected among UTF-8, UTF-16, GB18030)",
    ),
    "help.knowledge_dir": (
        "知识库目录或文件（默认：data/knowledge_base；没有时教您的文本，没有自己的文本时教自带的）",
        "knowledge base, a directory or a file (default: data/knowledge_base; without it your text "
        "is taught, or, where there is none, what comes with the program)",
    ),
    "help.knowledge": (
        "教谁的知识：自己的，或程序自带的（默认：own）",
        "whose knowledge is taught: your own, or the one that comes with the program (default: own)",
    ),
    "help.knowledge_dir_chat": (
        "ask 模式的事实：知识库目录（默认：data/knowledge_base，没有时用自带的）",
        "facts for --mode ask: a knowledge base (default: data/knowledge_base, or the one that "
        "comes with the program)",
    ),
    "help.data_dir_chat": (
        "ask 模式的笔记：目录或文件（默认：data/training_data，如果有）",
        "notes for --mode ask: a directory or file (default: data/training_data, if it is there)",
    ),
    "help.output_dir": (
        "输出目录：检查点、日志、模型（默认：当前目录）",
        "where checkpoints, log and model go (default: the current directory)",
    ),
    "help.resume": (
        "从最新的有效检查点继续；进化模式下从中断的周期和阶段继续",
        "go on from the newest valid checkpoint; with --mode evolve, in the cycle and phase where "
        "it was interrupted",
    ),
    "help.preset": (
        "预设：readme（README 的 8M 模型，默认）、fast（同样的模型，学得快得多）或 tiny（约 1M 参数，先试试看）",
        "readme (the README's 8M model, default), fast (the same model, learning much faster) or tiny "
        "(about 1M parameters, for a first try)",
    ),
    "help.config": (
        "从 TOML 文件读取设置；命令行上给出的参数优先",
        "read settings from a TOML file; what is given on the command line wins",
    ),
    "help.tensorboard": (
        "另外写出 TensorBoard 曲线（需要安装 tensorboard）",
        "write curves for TensorBoard too (needs tensorboard installed)",
    ),
    "help.patience": (
        "评估损失连续多少轮没有下降就提前结束（默认：0，不提前）",
        "end early after this many epochs without a lower held-out loss (default: 0, never)",
    ),
    "help.dry_run": (
        "试算：找到的数据、参数、内存、预计时间；不写入任何文件",
        "a trial: data found, parameters, memory, estimated time; writes nothing",
    ),
    "help.quiet": (
        "只显示警告和错误",
        "show warnings and errors only",
    ),
    "help.lr": (
        "学习率峰值（默认：由预设决定，readme 为 1e-4）",
        "peak learning rate (default: the preset's; readme: 1e-4)",
    ),
    "help.batch_size": ("批次大小（默认：8）", "windows a batch (default: 8)"),
    "help.seed": ("随机种子（默认：42）", "random seed (default: 42)"),
    "help.device": ("计算设备（默认：auto）", "device (default: auto)"),
    "help.dtype": (
        "计算精度（默认：auto，处理器支持时用 bfloat16）",
        "precision of the computation (default: auto, bfloat16 where the processor has it)",
    ),
    "help.mode_chat": (
        "demo：续写四个提示并显示统计；interactive：交互对话；ask：从您的事实和笔记中回答问题；score："
        "给文件打分；export：导出给别的工具（默认：demo）",
        "demo: continue four prompts and show statistics; interactive: type your own; ask: answer "
        "questions from your facts and notes; score: how well the model predicts files; export: "
        "write it for other tools (default: demo)",
    ),
    "help.model": (
        "模型文件（默认：h2q_project/h2q_trained_model.pt）",
        "model file (default: h2q_project/h2q_trained_model.pt)",
    ),
    "help.prompt": (
        "要续写的文字，代替演示的四个提示；交互模式下为第一句；ask 模式下为问题；- 表示从标准输入读取",
        "text to continue, in place of the demo's four; the first turn in interactive mode; the "
        "question with --mode ask; - reads it from standard input",
    ),
    "help.temperature": (
        "采样温度，0 为贪心（默认：0.8）",
        "sampling temperature, 0 is greedy (default: 0.8)",
    ),
    "help.files": ("要打分的文件（--mode score）", "files to score (--mode score)"),
    "help.memory_train": (
        "off：不为模型建立 n 元记忆（训练文本中各段落之后出现过什么）",
        "off: the model gets no n-gram memory (what followed each passage of the training text)",
    ),
    "help.memory_chat": (
        "off：只用 Transformer，不用模型的 n 元记忆",
        "off: the Transformer alone, without the model's n-gram memory",
    ),
    "help.lines": (
        "给每一行打分（--mode score）：每字节比特、行号、开头",
        "score every line (--mode score): bits per byte, number, beginning",
    ),
    "help.prompts_file": (
        "提示（或 ask 模式的问题）文件：每行一个，或 .jsonl；- 表示标准输入",
        "prompts to continue (or questions to answer): one a line, or .jsonl; - is standard input",
    ),
    "help.json": (
        "标准输出上每行一个 JSON 对象，没有别的",
        "one JSON object a line on stdout and nothing else",
    ),
    "help.top_k": (
        "只从最可能的 k 个字节中选，0 为不限（默认：0）",
        "only the k most likely bytes, 0: all (default: 0)",
    ),
    "help.top_p": (
        "只从合计概率达到 p 的最可能字节中选（默认：1）",
        "only the likeliest bytes that together have probability p (default: 1)",
    ),
    "help.min_p": (
        "不选概率低于最高概率乘以此值的字节（默认：0）",
        "only bytes whose probability is at least this share of the highest (default: 0)",
    ),
    "help.repetition_penalty": (
        "对最近 64 字节中出现过的字节的惩罚，1 为无（默认：1）",
        "penalty on bytes that are among the last 64, 1: none (default: 1)",
    ),
    "help.loop_guard": (
        "同一段文字连续出现 N 次时停止，0 为不管（默认：0）",
        "stop when the same passage comes N times in a row, 0: never (default: 0)",
    ),
    "help.stop": (
        "写到这个字符串时停止（不输出它）；可多次给出；\\n 表示换行",
        "stop before this string; may be given several times; \\n is a new line",
    ),
    "help.max_length": (
        "最多生成的字节数（默认：200）",
        "bytes to generate at the most (default: 200)",
    ),
}
