"""The documentation: its code runs, its pages build, its tables and its docstrings are true."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pages import blocks, is_run

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "liquid_control"
PAGES = sorted(p for p in [ROOT / "README.md", *DOCS.rglob("*.md")] if "results" not in p.parts)
NEEDS = {  # of the packages that the code of a page imports
    "your_learner.md": ("gymnasium",),
    "your_network.md": ("torch", "onnx"),
    "networks.md": ("torch", "onnx", "ncps"),
    "runs.md": ("torch", "onnx", "matplotlib", "plotly"),
    "from_ncps.md": ("torch", "ncps"),
    "camera.md": ("onnx",),
    "read_the_results.md": ("matplotlib", "plotly", "PIL", "imageio_ffmpeg"),
}
SHORTEST = 4  # words of a docstring
_PLAIN = ("ODOMETRY", "WIND", "ACTUATORS", "ARMED")  # topics in `wire` without a slash


def run(*command, **keywords) -> str:
    settings = {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1", "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **settings}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        **{"capture_output": True, "text": True, "env": environment, **keywords},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


# Code in the pages


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(map(is_run, blocks(page)))], ids=lambda p: p.name
)
def test_the_blocks_of_a_page_run(page, tmp_path):
    for package in ("pybullet", *NEEDS.get(page.name, ())):
        pytest.importorskip(package)
    run(ROOT / "test" / "pages.py", page, cwd=tmp_path)


def test_blocks_are_run_or_say_why_not():
    skipped = [b for page in PAGES for b in blocks(page) if b.why_not]
    assert all(len(block.why_not.split()) >= 3 for block in skipped)
    ran = [b for page in PAGES for b in blocks(page) if is_run(b)]
    assert len(ran) > 3 * len(skipped) > 0


def test_a_block_that_fails_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# x\n\n```python\na = 1\n```\n\n```bash\ntest -d bin\n```\n")
    run(ROOT / "test" / "pages.py", page, cwd=tmp_path)
    (tmp_path / "again").mkdir()
    for wrong in ("```python\nassert a == 2\n```\n", "```bash\nliquid-control no_such\n```\n"):
        page.write_text(f"```python\na = 1\n```\n{wrong}")
        folder = tmp_path / f"run{len(wrong)}"
        folder.mkdir()
        with pytest.raises(AssertionError):
            run(ROOT / "test" / "pages.py", page, cwd=folder)
    page.write_text("<!-- not run: it is wrong -->\n```python\nassert False\n```\n")
    run(ROOT / "test" / "pages.py", page, cwd=tmp_path / "again")


# The pages


class _Loads(HTMLParser):
    """What a page loads, and not what it links to."""

    def __init__(self):
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "link" and attributes.get("rel") in ("canonical", "next", "prev"):
            return
        if tag != "a":
            self.urls += [attributes[key] for key in ("src", "href", "data") if key in attributes]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built pages; a warning is an error."""
    for package in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(package, reason="pip install 'liquid_control[docs]'")
    folder = tmp_path_factory.mktemp("site")
    said = run("-m", "mkdocs", "build", "--strict", "--quiet", "-d", folder, cwd=ROOT)
    assert "WARNING" not in said
    return folder


def test_every_page_is_built(site):
    built = {path.relative_to(site).with_suffix(".md") for path in site.rglob("*.html")}
    assert {page.relative_to(DOCS) for page in DOCS.rglob("*.md")} <= built


def test_pages_load_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        loads = _Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert loads.urls
        outside = [url for url in loads.urls if re.match(r"(https?:)?//", url)]
        assert not outside, f"{page.relative_to(site)}: {outside}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style.read_text()), style


def test_the_pages_of_the_code_hold_it(site):
    """The documented names are there, with signatures and links from the front door."""
    text = (site / "api" / "control.html").read_text(encoding="utf-8")
    assert 'id="liquid_control.control.loop.ControlLoop.step"' in text
    index = (site / "api" / "index.html").read_text(encoding="utf-8")
    assert "(3,) m/s²; (0, 0, +g) when level and at rest" in index, "the comment of a field"
    assert "::</p>" not in (site / "api" / "sim.html").read_text(encoding="utf-8")
    assert 'href="control.html#liquid_control.control.loop.ControlLoop"' in index


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}
            assert anchor in slugs, f"{page.name}: {link}"


# Tables


def test_tables_are_those_of_the_code():
    """In a process of its own: other tests register metrics and kinds."""
    assert run(ROOT / "test" / "tables.py", "--check", cwd=ROOT) == ""


def _rows(page: str) -> list[list[str]]:
    text = (DOCS / page).read_text(encoding="utf-8")
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line] for line in lines]


def test_the_table_of_topics_is_that_of_the_wire():
    from liquid_control import wire
    from liquid_control.structs import RATES_THRUST, VELOCITY

    told = {row[1].strip("`"): row[2] for row in _rows("ros.md") if row[0] in ("in", "out", "sim")}
    names = {
        value
        for key, value in vars(wire).items()
        if key.isupper() and isinstance(value, str) and ("/" in value or key in _PLAIN)
    }
    kinds = (RATES_THRUST.name, VELOCITY.name)
    assert set(told) == {*names, *map(wire.command_topic, kinds), wire.sensor_topic("<name>")}
    interface = pytest.importorskip("liquid_control.nodes.interface")
    sensors = pytest.importorskip("liquid_control.nodes.sensors")
    topics = [t for t in vars(interface).values() if isinstance(t, interface.Topic)]
    topics += [row.topic for row in sensors.SENSOR_TOPICS.values()]
    topics += [*map(interface.command_topic, kinds), sensors.sensor_topic("<name>").topic]
    for topic in topics:
        package = topic.type.__module__.split(".")[0]
        assert told[topic.name] == f"{package}/{topic.type.__name__}"


# Docstrings


def _public(node, prefix=""):
    """Public classes, functions and methods, with their dotted name."""
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if child.name.startswith("_"):
                continue
            yield f"{prefix}{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from _public(child, f"{prefix}{child.name}.")


@functools.cache
def _trees() -> dict[Path, ast.Module]:
    return {
        path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))
    }


def _folder(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def test_public_docstrings_say_something():
    """A method may leave it to the one of its name that another class of the folder documents."""
    told = {
        (_folder(path), name.rpartition(".")[2])
        for path, tree in _trees().items()
        for name, node in _public(tree)
        if "." in name and ast.get_docstring(node)
    }
    wrong = []
    for path, tree in _trees().items():
        for name, node in [("", tree), *_public(tree)]:
            text = ast.get_docstring(node)
            place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)} {name}"
            if text is None:
                if "." in name and (_folder(path), name.rpartition(".")[2]) in told:
                    continue
                wrong.append(f"{place}: none")
            elif len(text.split()) < SHORTEST:
                wrong.append(f"{place}: {text!r}")
    assert not wrong, "\n".join(wrong)


def test_the_front_door_says_when():
    """Each name that most programs need tells what it is for, beside what it is."""
    import liquid_control

    when = re.compile(r"\b(use|used|for|when|where|needs?|before|in place of|so that)\b", re.I)
    silent = []
    for name, module in liquid_control._MODULES.items():
        tree = _trees()[PACKAGE / f"{module.replace('.', '/')}.py"]
        (node,) = (n for n in tree.body if getattr(n, "name", None) == name)
        if not when.search(ast.get_docstring(node)):
            silent.append(f"{module}.{name}")
    assert not silent, silent
