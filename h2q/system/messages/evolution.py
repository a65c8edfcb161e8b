"""Sentences on evolution and its gate."""

MESSAGES: dict[str, tuple[str, str]] = {
    "evolve.no_model": (
        "ℹ️ 还没有训练好的模型，先训练一个基础模型。",
        "ℹ️ There is no trained model yet; a base model is trained first.",
    ),
    "evolve.other_text": (
        "⚠️ 这个模型不是用现在这份文本和划分训练的，评估文本中可能有它见过的内容；"
        "请使用训练时的 --data_dir 和 --eval_dir。",
        "⚠️ This model was not trained on this text and split: it may have seen some of the held-out "
        "text. Use the --data_dir and --eval_dir of its training.",
    ),
    "evolve.changed": (
        "{name} 与被中断的进化不同，无法继续；请改回来，或去掉 --resume 开始新的进化。",
        "{name} is not what it was in the evolution that was interrupted; change it back, or begin "
        "a new one without --resume.",
    ),
    "evolve.nothing_to_resume": (
        "ℹ️ 没有未完成的进化，开始新的进化。",
        "ℹ️ There is no unfinished evolution; a new one begins.",
    ),
    "evolve.new_base": (
        "🌱 模型是重新训练的：以前的模型学会过什么，对它不算数，从头进化。",
        "🌱 The model was trained anew: what earlier ones had learnt does not count for it; its "
        "evolution begins afresh.",
    ),
    "evolve.sealed_anew": (
        "⚠️ 文本、问法或设置变了：留出的内容重新选定，之前学会的事实会重新检查。",
        "⚠️ Text, wordings or settings have changed: what is held out is chosen anew, and facts "
        "learnt before are checked again.",
    ),
    "evolve.junk": (
        "🧹 有 {pieces:,} 段（{size:,} 字节，占文本 {share:.1%}）不像文字，字符毫无次序，学习和评估时都不用，例如: {sample}",
        "🧹 Left out of learning and measuring alike: {pieces:,} pieces ({size:,} bytes, {share:.1%} of "
        "the text) that are no text, their characters being in no order, such as: {sample}",
    ),
    "evolve.cycle": ("\n🔄 进化周期 {cycle}/{cycles}", "\n🔄 Evolution cycle {cycle}/{cycles}"),
    "evolve.baseline": (
        "🔎 当前模型的评估损失: {loss:.4f} | 困惑度: {perplexity:.2f} | 每字节比特: {bits:.4f}",
        "🔎 Held-out loss of the current model: {loss:.4f} | perplexity: {perplexity:.2f} | "
        "bits per byte: {bits:.4f}",
    ),
    "evolve.weak": (
        "🎯 薄弱处: 抽问 {asked} 个未学的事实，{unknown} 个不会（答对 {share:.1%}，瞎猜 {chance:.1%}）；"
        "最多的是 {relations}",
        "🎯 Weak: asked {asked} facts not learnt yet, {unknown} are unknown ({share:.1%} right, "
        "{chance:.1%} by guessing); most of all {relations}",
    ),
    "evolve.questions": ("问答", "questions with answers"),
    "evolve.plan": (
        "📝 本周期学 {facts} 个事实，每个约 {exposures} 次；复习以前学会的 {review} 个",
        "📝 This cycle teaches {facts} facts, about {exposures} times each, and reviews {review} "
        "learnt before",
    ),
    "evolve.few": (
        "⚠️ 每周期只够学 {facts} 个事实；少于 {needed} 个时无法证明改进。请加长 --max_minutes 或减少 --cycles。",
        "⚠️ A cycle has time for {facts} facts only; with fewer than {needed} no improvement can be "
        "proven. Give more --max_minutes or fewer --cycles.",
    ),
    "evolve.too_few_left": (
        "ℹ️ 只剩 {facts} 个事实没有学会：太少，学了也无法证明，不再教。",
        "ℹ️ Too few facts are left ({facts}) to prove that they were learnt: they are not taught.",
    ),
    "evolve.generated": (
        "🧪 生成 {documents:,} 条数据（{size:,} 字节：{kinds}），复习原文 {replay:,} 字节，"
        "因与留出内容重合而剔除 {excluded} 条",
        "🧪 Generated {documents:,} documents ({size:,} bytes: {kinds}), replay of {replay:,} "
        "bytes, {excluded} dropped because they overlap what is held out",
    ),
    "kind.statement": ("陈述", "statements"),
    "kind.question": ("问答", "questions"),
    "kind.cloze": ("填空", "clozes"),
    "kind.passage": ("段落", "passages"),
    "kind.own": ("自答", "own answers"),
    "evolve.facts": (
        "📒 用从未训练过的问法问了 {asked:,} 个事实：会 {known:,} 个，教过但没学会 {failed:,} 个，"
        "还没教 {waiting:,} 个；清单: {path}",
        "📒 Of {asked:,} facts, asked in wordings never trained on, {known:,} are known, {failed:,} were "
        "taught and not learnt, {waiting:,} are not taught yet; the list: {path}",
    ),
    "evolve.again": (
        "🔁 接着教上一周期的 {facts} 个事实：从那时的训练结果继续，当前模型不变。",
        "🔁 The {facts} facts of the cycle before are taught on, from where its training stopped; the "
        "current model stays what it is.",
    ),
    "evolve.round": (
        "🏃 第 {round} 轮之后: {facts} 个新事实中答对 {known} 个（dev 问法）| 留出文本每字节比特 {harm:+.4f}",
        "🏃 After round {round}: {known} of {facts} new facts are answered (wordings of dev) | held-out "
        "text {harm:+.4f} bits per byte",
    ),
    "evolve.rounds_learnt": (
        "   学会了，训练到此为止。",
        "   They are learnt: training ends here.",
    ),
    "evolve.rounds_no_more": (
        "   再练也没有更多收获，训练到此为止。",
        "   Nothing more comes of it: training ends here.",
    ),
    "evolve.rounds_over": (
        "   本周期的训练量用完了；要学得更多，请加长 --max_minutes，或在设置文件中增加 [evolution] rounds。",
        "   The text of this cycle is used up. To learn more, give more --max_minutes, or more rounds "
        "in the table [evolution] of the settings file.",
    ),
    "evolve.example": (
        "💬 {question}\n   之前: {before}\n   之后: {after} {mark}",
        "💬 {question}\n   before: {before}\n   after: {after} {mark}",
    ),
    "evolve.quality": (
        "📐 生成质量: 一致性 {consistency:.1%} | 相关性 {relevance:.3f} | "
        "重复 {repetition:.3f}（真实文本 {real_repetition:.3f}）| 有效 {validity:.1%}",
        "📐 Quality of generation: consistency {consistency:.1%} | relevance {relevance:.3f} | "
        "repetition {repetition:.3f} (real text {real_repetition:.3f}) | valid {validity:.1%}",
    ),
    "evolve.matches": (
        "📋 新事实、从未训练过的问法，答对: {vault_match_before:.1%} → {vault_match_after:.1%}"
        "（瞎猜 {chance:.1%}）",
        "📋 New facts in wordings never trained on, right: {vault_match_before:.1%} → "
        "{vault_match_after:.1%} ({chance:.1%} by guessing)",
    ),
    "measure.facts": ("新事实答对的份额", "share of new facts answered right"),
    "measure.prose": ("评估文本的每字节比特", "bits per byte of held-out text"),
    "gate.better": (
        "无疑更好，其余没有变差",
        "better beyond doubt, and nothing else is worse",
    ),
    "gate.not_better": ("未证明更好", "not shown to be better"),
    "gate.prose_worse": (
        "不能排除评估文本的每字节比特变差超过 0.01",
        "may be worse on held-out text by more than 0.01 bits per byte",
    ),
    "gate.forgotten": (
        "以前学会的事实忘了超过 2 个百分点（至少 2 个）",
        "more than 2 % of the facts learnt before, and at least two of them, are forgotten",
    ),
    "gate.canary": (
        "答出了不可能知道的事：留出内容可能泄漏",
        "it answers what nobody can know: something held out may have leaked",
    ),
    "gate.not_finite": ("测量结果是无穷大或 NaN（不是数）", "a measurement is infinite or NaN"),
    "evolve.promoted": ("✅ 采用新模型", "✅ New model kept"),
    "evolve.rejected": ("❌ 保留原模型", "❌ Old model kept"),
    "evolve.verdict": (
        "⚖️ {verdict}：{measure}改进 {improvement:.4f}（{confidence:.1%} 区间 {low:.4f} 到 {high:.4f}），"
        "{reason}",
        "⚖️ {verdict}: {measure} better by {improvement:.4f} ({confidence:.1%} interval {low:.4f} to "
        "{high:.4f}), {reason}",
    ),
    "evolve.verdict_few": (
        "⚖️ {verdict}：{measure}改进 {improvement:.4f}（可比的太少，给不出区间），{reason}",
        "⚖️ {verdict}: {measure} better by {improvement:.4f} (too few comparisons for an interval), "
        "{reason}",
    ),
    "evolve.failed": (
        "❌ 本周期失败，原模型保持不变：{reason}",
        "❌ This cycle failed, the model is as it was: {reason}",
    ),
    "evolve.not_finite": (
        "新模型的评估损失不是有限的数。",
        "The held-out loss of the new model is not finite.",
    ),
    "evolve.not_reproduced": (
        "新模型的文件重新读入后，损失与保存前不同。",
        "The file of the new model, read again, does not have the losses it was saved with.",
    ),
    "evolve.stop_known": (
        "🏁 知识库中能教的事实都已学过，进化到此为止。",
        "🏁 All facts of the knowledge base that can be taught were learnt: evolution ends here.",
    ),
    "evolve.goes_on": (
        "   这一轮学到的没有丢：下一周期从它停下的地方接着训练。",
        "   What it learnt is not lost: the next cycle goes on from where it stopped.",
    ),
    "evolve.stop_rejected": (
        "🏁 连续六个周期没有被采用，进化到此为止；请增加知识或文本。",
        "🏁 Six cycles in a row were not kept: evolution ends here. Add knowledge or text.",
    ),
    "evolve.stop_time": (
        "🏁 剩下的时间不够再来一个周期，进化到此为止。",
        "🏁 There is no time left for another cycle: evolution ends here.",
    ),
    "evolve.table": (
        "\n📊 周期 | 采用 | 新事实 | 答对（之前 → 之后）| 旧事实仍对 | 评估文本变化 | 改进",
        "\n📊 cycle | kept | new facts | right (before → after) | old facts still right | "
        "held-out text | improvement",
    ),
    "evolve.row": (
        "   {cycle:4d} | {mark} | {facts:4d} | {before:>6} → {after:>6} | {retained:>6} | {prose:>7} | "
        "{improvement:.4f}",
        "   {cycle:4d} | {mark} | {facts:4d} | {before:>6} → {after:>6} | {retained:>6} | {prose:>7} | "
        "{improvement:.4f}",
    ),
    "evolve.stats": (
        "\n🧬 进化统计:\n  🔬 总进化次数: {total_evolutions}\n  ✅ 成功进化: {successful_evolutions}\n"
        "  ❌ 失败进化: {failed_evolutions}\n  📊 平均改进: {average_improvement:.4f}",
        "\n🧬 Evolution statistics:\n  🔬 Evolutions: {total_evolutions}\n"
        "  ✅ Successful: {successful_evolutions}\n  ❌ Failed: {failed_evolutions}\n"
        "  📊 Average improvement: {average_improvement:.4f}",
    ),
}
