"""Does a model learn the facts that a person gives it, with default settings?

    python benchmarks/evolution/own_facts.py OUT --text FILE [--people 60] [--preset tiny] [--cycles 3]
        [--minutes MINUTES]

Writes a knowledge base of invented people: half are English, half Chinese, with three facts each, in
six relations without wordings of their own. Then it makes what a person would make: the commands
``--mode train --preset PRESET`` on the text and ``--mode evolve --cycles CYCLES`` on the facts. At
last it asks for all facts in the forms of ``asked.json``, which nothing was ever trained on. Each step
is made once: the same command goes on where an earlier one was stopped.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import asked

from h2q.evolution.statistics import read_stats
from h2q.system.files import write_bytes, write_json
from h2q.system.paths import OutputPaths

SCRIPT = Path(__file__).resolve().parents[2] / "local_training_system.py"
ALL_FACTS = 2**30
FIRST = (
    "Lena Omar Petra Silas Nadia Bruno Freya Hugo Imke Jonas Kira Luca Mila Nils Orla Pavel Quinn "
    "Rosa Sven Tilda Ulla Vera Wanda Yusuf Zoe Arno Bela Cleo Dana Edda"
)
LAST = (
    "Hart Voss Kemp Lund Marsh Novak Okoro Pell Quist Rand Sato Thorn Udall Vane West Yates Zorn "
    "Abbot Birch Crane Dale Ellis Frost Grove Holm Ives Jarvis Knox Lowe Moss"
)
SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏"
GIVEN = (
    "文远 子涵 雨桐 志强 美玲 晓东 思源 佳怡 建国 若兰 天佑 慧敏 俊杰 诗雅 浩然 婉清 明轩 丽华 宇航 静怡 "
    "国栋 雪莹 家豪 梦瑶 永康 淑芬 博文 欣然 振宇 安琪"
)
OBJECTS = {
    "en": {
        "job": "dentist,baker,pilot,nurse,carpenter,teacher,plumber,violinist,farmer,lawyer,tailor",
        "home_town": "Marlow,Denby,Harwick,Ostend,Kilbride,Tarrant,Selby,Brixham,Corran,Langley",
        "pet": "tortoise,grey cat,parrot,goldfish,spaniel,hamster,pony,canary,ferret,rabbit,gecko",
    },
    "zh": {
        "职业": "木匠,医生,教师,司机,厨师,律师,裁缝,园丁,会计,渔民,记者,画家",
        "家乡": "青石镇,柳河村,白沙县,东岭市,云溪镇,金桥村,南湾县,石门市,竹林镇,沙坪村",
        "宠物": "乌龟,花猫,鹦鹉,金鱼,黄狗,仓鼠,小马,白兔,鸽子,画眉,山羊,蜥蜴",
    },
}


def write_facts(directory: Path, people: int, seed: int) -> None:
    """A knowledge base of so many people below ``directory``."""
    generator = random.Random(seed)
    names = {
        "en": [f"{first} {last}" for first in FIRST.split() for last in LAST.split()],
        "zh": [last + first for first in GIVEN.split() for last in SURNAMES],
    }
    lines = []
    for lang, relations in OBJECTS.items():
        for name in generator.sample(names[lang], people // 2):
            for relation, objects in relations.items():
                value = generator.choice(objects.split(","))
                fact = {"subject": name, "relation": relation, "object": value}
                lines.append(json.dumps(fact, ensure_ascii=False) + "\n")
    write_bytes(directory / "people.jsonl", "".join(lines).encode("utf-8"))


def command(*arguments: object) -> float:
    """Runs the training program; returns the seconds that it took."""
    began = time.perf_counter()
    subprocess.run([sys.executable, SCRIPT, *map(str, arguments), "--lang", "en"], check=True)
    return time.perf_counter() - began


def arguments_of(line: list[str] | None = None) -> Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=0.0, help="of evolution; 0: no limit")
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args(line)


def main() -> None:
    arguments = arguments_of()
    out, facts = arguments.out, arguments.out / "knowledge"
    paths = OutputPaths(out)
    common = ["--data_dir", arguments.text, "--output_dir", out, "--seed", arguments.seed]
    if not (facts / "people.jsonl").exists():
        write_facts(facts, arguments.people, arguments.seed)
    if not paths.model.exists():
        command("--mode", "train", "--preset", arguments.preset, *common)
    if not paths.evolution_facts.exists():
        evolve = ["--mode", "evolve", "--cycles", arguments.cycles, "--knowledge_dir", facts]
        if arguments.minutes:
            evolve += ["--max_minutes", arguments.minutes]
        resume = ["--resume"] if paths.evolution_run.exists() else []
        seconds = command(*evolve, *common, *resume)
        write_json(out / "seconds.json", seconds)
    found = asked.run(
        Namespace(model=paths.model, knowledge_dir=facts, facts=ALL_FACTS, learnt=False)
    )
    write_json(out / "asked.json", found)
    print(asked.table(found))
    for entry in read_stats(out)["history"]:
        print(
            entry["promoted"], entry.get("facts"), entry.get("vault_match_after"), entry["reason"]
        )


if __name__ == "__main__":
    main()
