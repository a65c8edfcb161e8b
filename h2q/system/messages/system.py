"""Sentences on errors, settings, files, device, clock."""

MESSAGES: dict[str, tuple[str, str]] = {
    "error": ("❌ {error}", "❌ {error}"),
    "interrupted": (
        "⏸️ {error}\n   继续训练：{command}",
        "⏸️ {error}\n   To go on: {command}",
    ),
    "setting.type": (
        "{name} 的值 {value!r} 类型不对，应为 {type}。",
        "{name}: {value!r} is of the wrong type, it must be {type}.",
    ),
    "setting.range": (
        "{name} 的值 {value} 超出范围，应在 {minimum} 到 {maximum} 之间。",
        "{name}: {value} is out of range, it must lie between {minimum} and {maximum}.",
    ),
    "setting.heads": (
        "embed_dim={embed_dim} 必须能被 {double_heads}（注意力头数的两倍）整除。",
        "embed_dim={embed_dim} must be divisible by {double_heads}, twice the number of heads.",
    ),
    "setting.choice": (
        "{name} 没有 {value!r} 这个选项，可选：{known}。",
        "{name}: there is no {value!r}; choose one of {known}.",
    ),
    "setting.stop": (
        "stop 的值 {value!r} 不对，应为若干非空字符串。",
        "stop: {value!r} is wrong, it must be strings that are not empty.",
    ),
    "setting.unknown": (
        "未知的设置 {name!r}，最接近的是 {nearest!r}。",
        "Unknown setting {name!r}; the nearest known one is {nearest!r}.",
    ),
    "extra.missing": (
        '没有安装 {name}；请执行 pip install {name}（或安装附加项：pip install -c constraints.txt -e ".[{extra}]"）。',
        "{name} is not installed; run pip install {name} (or install the extra: "
        'pip install -c constraints.txt -e ".[{extra}]").',
    ),
    "device.missing": (
        "这台机器上没有可用的 {device} 设备；请用 --device cpu 或 auto。",
        "This machine has no usable {device} device; use --device cpu or auto.",
    ),
    "file.json": (
        "{path} 无法使用：{reason}；请修复或移走这个文件。",
        "{path} cannot be used: {reason}; repair it or move it away.",
    ),
    "file.system": (
        "{path}：{reason}；请检查路径和权限。",
        "{path}: {reason}; check path and permissions.",
    ),
    "output.failed": (
        "无法写出结果：{reason}；已写出的部分完好。",
        "The output cannot be written: {reason}; what was written before is intact.",
    ),
    "save.failed": (
        "无法写入 {path}：{reason}；已有文件保持原样。请检查磁盘空间和权限后再试（--resume）。",
        "{path} cannot be written: {reason}; existing files are as they were. Check disk space and "
        "permissions, then try again (--resume).",
    ),
    "save.not_synced": (
        "{path} 已写好，但系统无法确认它已存入磁盘（{reason}）；请检查磁盘后再试（--resume）。",
        "{path} is in its place, but the system could not confirm that it is on disk ({reason}). "
        "Check the disk, then try again (--resume).",
    ),
    "directory.in_use": (
        "{path} 正被另一个进程（{holder}）使用；请等它结束，或换一个 --output_dir。",
        "{path} is in use by another process ({holder}); wait for it or name another --output_dir.",
    ),
    "network.blocked": (
        "已阻止一次网络访问（{event}）：本程序完全离线运行。",
        "Blocked an attempt to use the network ({event}): this program works offline.",
    ),
    "progress.bar": (
        "已用 {elapsed} · 剩余 {remaining}",
        "{elapsed} elapsed · {remaining} left",
    ),
    "time.seconds": ("{count:.0f} 秒", "{count:.0f} s"),
    "time.minutes": ("{count:.0f} 分钟", "{count:.0f} min"),
    "time.hours": ("{count:.1f} 小时", "{count:.1f} h"),
    "time.days": ("{count:.0f} 天", "{count:.0f} days"),
}
