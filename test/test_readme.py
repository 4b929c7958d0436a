"""What the documents repeat stands as it is where it comes from."""

import re

from liquid_control.config import share_dir
from liquid_control.parameters import parameter_markdown
from liquid_control.vehicles.quadrotor.parameters import QuadrotorParameters

FIGURE = re.compile(r"\d+\.\d+ ± \d+\.\d+")


def test_the_readme_holds_the_table():
    readme = (share_dir() / "README.md").read_text(encoding="utf-8")
    shown = readme.split("<!-- parameters -->\n")[1].split("<!-- /parameters -->")[0]
    assert shown == parameter_markdown(QuadrotorParameters)


def test_the_page_on_networks_cites_its_results():
    docs = share_dir() / "docs"
    cited = set(FIGURE.findall((docs / "networks.md").read_text(encoding="utf-8")))
    assert len(cited) > 20
    measured = (docs / "results" / "sequences.md").read_text(encoding="utf-8")
    assert cited <= set(FIGURE.findall(measured))
