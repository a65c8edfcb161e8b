"""The wheel, built and installed as a person would, far from the repository."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.conftest import REPOSITORY, small_settings

BUILD_NEEDS = 77  # the first version of setuptools that accepts the name of a licence


def run(*command, cwd, **environment):
    result = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, (result.stdout, result.stderr)
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built without a network, by the installed setuptools."""
    if int(importlib.metadata.version("setuptools").partition(".")[0]) < BUILD_NEEDS:
        pytest.skip(f"setuptools >= {BUILD_NEEDS} is not installed")
    source = tmp_path_factory.mktemp("source") / "tree"
    source.mkdir()
    for name in ("h2q", "data"):
        skipped = shutil.ignore_patterns("__pycache__", "training_data")
        shutil.copytree(REPOSITORY / name, source / name, ignore=skipped)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    options = ("--no-build-isolation", "--no-deps", "--quiet", "--wheel-dir", "dist", ".")
    run(sys.executable, "-m", "pip", "wheel", *options, cwd=source)
    [path] = (source / "dist").glob("*.whl")
    return path


def test_the_wheel_holds_the_package_and_its_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (REPOSITORY / "h2q").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.relative_to(REPOSITORY).as_posix() in names
    for folder in ("shipped_knowledge", "sample_text"):
        for path in (REPOSITORY / "data" / folder).iterdir():
            assert f"h2q/data/{folder}/{path.name}" in names
    assert not any("test" in name for name in names)


def test_installed_it_runs_from_an_empty_directory(wheel, tmp_path):
    """With sample text and knowledge base, by its console scripts; a path of Chinese and spaces."""
    site = tmp_path / "site"
    options = ("--no-deps", "--no-index", "--quiet", "--target", site)
    run(sys.executable, "-m", "pip", "install", *options, wheel, cwd=tmp_path)
    place = tmp_path / "我的 电脑"
    place.mkdir()
    path = {"PYTHONPATH": os.pathsep.join([str(site), str(REPOSITORY / "tests/plain_install")])}
    code = "import h2q; print(h2q.__file__)"
    assert run(sys.executable, "-c", code, cwd=place, **path).startswith(str(site))

    def script(name, *arguments):
        return run(sys.executable, site / "bin" / name, *arguments, cwd=place, **path)

    small = small_settings(tmp_path)
    output = script("h2q-train", "--max_minutes", 0.02, *small)
    assert "已创建示例文本" in output
    assert (place / "h2q_project" / "h2q_trained_model.pt").exists()
    other = place / "other"
    output = script(
        "h2q-train", "--mode", "evolve", "--dry_run", "--preset", "tiny", "--output_dir", other
    )
    [facts] = re.findall(r"事实 ([\d,]+) \| 段落", output)
    assert int(facts.replace(",", "")) > 3000
    assert not other.exists()
    assert "人工智能是" in script("h2q-chat", "--max_length", 5)


def test_the_extras_of_the_documentation_exist():
    pyproject = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    table = pyproject.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    extras = set(re.findall(r"^(\w+) = \[", table, re.M))
    assert extras >= {"test", "plot", "tensorboard", "export", "documents", "toml", "bench"}
    for name in ("docs/zh/options.md", "docs/en/options.md"):
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        assert set(
            re.findall(r"^\| `(plot|tensorboard|export|documents|toml)` \|", text, re.M)
        ) == {*("plot", "tensorboard", "export", "documents", "toml")}
