"""The one table of parameters: the README shows it as it is."""

from liquid_control.config import share_dir
from liquid_control.parameters import parameter_markdown


def test_the_readme_holds_the_table():
    readme = (share_dir() / "README.md").read_text(encoding="utf-8")
    shown = readme.split("<!-- parameters -->\n")[1].split("<!-- /parameters -->")[0]
    assert shown == parameter_markdown(), "python -m liquid_control.parameters --markdown"
