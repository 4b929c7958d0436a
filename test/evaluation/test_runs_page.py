"""The page of runs in a real browser: mouse, keyboard, sizes, themes, and the values it draws."""

import numpy as np
import pytest
from browser import chromium
from test_runs import keep, keep_training, made_up_rows

from liquid_control.config import ConfigError
from liquid_control.evaluation.columns import position_error
from liquid_control.evaluation.runs.find import find_runs
from liquid_control.evaluation.runs.page import write_runs
from liquid_control.flight_log import FlightLog

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs chromium to load the page")
PLOT = "document.querySelector('[data-compare={}] .plot')"


@pytest.fixture(scope="module")
def logs(make_log) -> dict[str, FlightLog]:
    return {
        "one": make_log(8.0, seed=1),
        "two": make_log(5.0, seed=2),
        "far": make_log(4.0, seed=3),
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory, logs):
    folder = tmp_path_factory.mktemp("out")
    for name, log in logs.items():
        keep(folder / "flights" / name, log, passed=name != "far")
    for name, factor in (("slow", 2.0), ("quick", 1.0)):
        keep_training(folder / name, made_up_rows(factor=factor), seconds=150.0 * factor)
    (folder / "bad").mkdir()
    (folder / "bad" / "flight.npz").write_text("<i>nothing")
    return write_runs(folder / "index.html", folder, *find_runs(folder))


@pytest.fixture
def at(tab, page):
    """The page, loaded anew, 1400 px wide."""

    def load(behind: str = "", width: int = 1400, dark: bool = False):
        tab.look(width, dark=dark)
        tab.open(page.parent / "bad" / "flight.npz")
        tab.open(page, behind)
        tab.wait("document.body.dataset.compared !== undefined && document.body.dataset.drawn")
        return tab

    return load


def box(name: str) -> str:
    return f"document.querySelector('[data-name=\"{name}\"] input')"


def compared(tab, count: int) -> None:
    tab.wait(f"document.body.dataset.compared == {count}")


def traces(tab, kind: str) -> dict[tuple[str, str], dict]:
    """What is drawn, by the title of its plot and the name of its run; unnamed lines left out."""
    plot = PLOT.format(kind)
    data = tab.ask(f"{plot}.data.map((t) => ({{name: t.name, x: t.x, y: t.y, axis: t.yaxis}}))")
    titles = tab.ask(f"{plot}.layout.annotations.map((a) => a.text)")
    return {
        (titles[int(trace["axis"][1:] or 1) - 1], trace["name"]): trace
        for trace in data
        if trace["name"] not in ("target", "raw")
    }


def order(tab) -> list[str]:
    rows = "[...document.querySelectorAll('#runs tbody tr')].filter((r) => !r.hidden)"
    return tab.ask(f"{rows}.map((row) => row.dataset.name)")


def test_two_flights_that_are_ticked_lie_over_each_other(at, logs):
    tab = at()
    assert tab.ask("document.querySelector('[data-compare=flight]').hidden")
    for count, name in enumerate(("one", "two"), 1):
        tab.click(box(f"flights/{name}"))
        compared(tab, count)
    assert not tab.ask("document.querySelector('[data-compare=flight]').hidden")
    assert tab.ask("document.querySelector('[data-compare=training]').hidden")
    drawn = traces(tab, "flight")
    assert len(drawn) == 2 * (1 + 3 + 4 + 3)
    for name in ("one", "two"):
        log = logs[name]
        for title, values in (
            ("position error, cm", 100 * position_error(log)),
            ("north, m", log.truth.pos_world[:, 1]),
            ("body rates, roll, rad/s", log.command[:, 1]),
            ("wind, east, m/s", log.wind_world[:, 0]),
        ):
            trace = drawn[title, f"flights/{name}"]
            rows = np.rint(100 * np.array(trace["x"])).astype(int)
            assert rows[0] == 0
            assert rows[-1] == len(log.time) - 1
            np.testing.assert_allclose(trace["y"], values[rows], rtol=1e-4, atol=1e-9)
        peak = drawn["position error, cm", f"flights/{name}"]["y"]
        assert max(peak) == pytest.approx(100 * position_error(log).max(), rel=1e-4)
    # a line on the screen for each curve, and for each of the three setpoints
    lines = tab.ask(f"{PLOT.format('flight')}.querySelectorAll('path.js-line').length")
    assert lines == 2 * (11 + 3)
    keys = tab.ask("document.querySelector('[data-compare=flight] .keys').textContent")
    assert "flights/one" in keys
    assert "flights/two" in keys


def test_the_page_opens_with_what_it_was_told_to_lay_over(tab, tmp_path, drive_log, make_log):
    """Two drives by camera: their lane, speed and yaw rate; no wind, as none blew."""
    for name, log in (("a", drive_log), ("b", drive_log), ("c", make_log(1.0))):
        keep(tmp_path / name, log)
    runs = find_runs(tmp_path)
    with pytest.raises(ConfigError, match=r"d: no run to lay over others.*'a'"):
        write_runs(tmp_path / "index.html", tmp_path, *runs, over=["a", "d"])
    page = write_runs(tmp_path / "index.html", tmp_path, *runs, over=["a", "b"])
    tab.look(1400)
    tab.open(page)
    compared(tab, 2)
    titles = {title for title, _ in traces(tab, "flight")}
    assert {"lane deviation, cm", "east, m", "speed, m/s", "yaw rate, rad/s"} <= titles
    assert not any("wind" in title for title in titles)


def test_lines_are_where_their_values_are(at, logs):
    """The path of a curve, in pixels of the screen, read back through the axes."""
    tab = at("run=flights%2Ftwo")
    compared(tab, 1)
    plot = PLOT.format("flight")
    path = tab.ask(f"{plot}.querySelector('.xy path.js-line').getAttribute('d')")
    points = np.array([p.split(",") for p in path.lstrip("M").split("L")], float)
    ranges = tab.ask(
        f"(({{xaxis: x, yaxis: y}}) => [x.range, x._length, y.range, y._length])"
        f"({plot}._fullLayout)"
    )
    x_range, x_length, y_range, y_length = ranges
    time = x_range[0] + points[:, 0] / x_length * (x_range[1] - x_range[0])
    error = y_range[1] - points[:, 1] / y_length * (y_range[1] - y_range[0])
    log = logs["two"]
    expected = np.interp(time, log.time, 100 * position_error(log))
    pixel = (y_range[1] - y_range[0]) / y_length
    assert np.abs(error - expected).max() < 2 * pixel


def test_trainings_lie_over_each_other_by_update_and_by_time(at):
    tab = at("run=slow&run=quick")
    compared(tab, 2)
    loss = traces(tab, "training")["loss", "slow"]
    assert loss["x"][0] == 10
    assert loss["x"][-1] == 3000
    means = [2 * np.mean([3 / k for k in range(max(1, i - 9), i + 1)]) for i in (1, 300)]
    assert [loss["y"][0], loss["y"][-1]] == pytest.approx(means, rel=1e-4)
    radio = "document.querySelector('input[type=radio][value=\"training time, s\"]')"
    tab.click(radio)
    tab.wait(f"{PLOT.format('training')}.layout.xaxis.title.text == 'training time, s'")
    by_time = traces(tab, "training")
    assert by_time["loss", "slow"]["x"][-1] == 300
    assert by_time["loss", "quick"]["x"][-1] == 150
    assert by_time["loss", "slow"]["y"] == loss["y"]
    tab.click("document.querySelector('[data-compare=training] input[value=speed]')")
    tab.wait(f"{PLOT.format('training')}.layout.annotations.length == 3")


def test_what_is_ticked_is_in_the_address_and_comes_back_with_it(at):
    tab = at()
    for count, name in enumerate(("quick", "flights/far"), 1):
        tab.click(box(name))
        compared(tab, count)
    behind = tab.ask("location.hash.slice(1)")
    tab = at(behind)
    compared(tab, 2)
    assert tab.ask(f"{box('quick')}.checked && {box('flights/far')}.checked")
    assert not tab.ask(f"{box('slow')}.checked")
    tab.click("document.getElementById('untick')")
    compared(tab, 0)
    assert tab.ask("location.hash") == ""
    assert tab.ask("document.querySelectorAll('[data-compare]:not([hidden])').length") == 0


def test_the_keyboard_is_enough(at):
    tab = at()
    focus = "document.activeElement"
    seen = []
    while len(seen) < 5:
        tab.press("Tab")
        name = tab.ask(f"{focus}.closest('tr')?.dataset.name ?? null")
        kind = tab.ask(f"{focus}.type ?? ''")
        if kind == "checkbox":
            seen.append(name)
            outline = tab.ask(f"getComputedStyle({focus}).outlineStyle")
            assert outline == "solid"
            if name in ("flights/one", "flights/far"):
                tab.press(" ")
    assert set(seen) == {"flights/one", "flights/two", "flights/far", "slow", "quick"}
    compared(tab, 2)
    tab.ask("document.querySelector('th[data-numeric] button').focus()")
    tab.press("Enter")
    assert tab.ask("document.querySelectorAll('th[aria-sort=ascending]').length") == 1


def head(title: str) -> str:
    buttons = "[...document.querySelectorAll('button.sort')]"
    return f"{buttons}.find((b) => b.textContent == '{title}')"


def test_the_list_is_sorted_by_any_column_and_the_unknown_comes_last(at):
    tab = at()
    tab.click(head("duration, s"))
    by_time = ["flights/far", "flights/two", "flights/one", "quick", "slow"]
    assert order(tab) == by_time
    tab.click(head("duration, s"))
    assert order(tab) == by_time[::-1]
    tab.click(head("updates"))
    assert {*order(tab)[:2]} == {"slow", "quick"}
    tab.click(head("updates"))
    assert {*order(tab)[:2]} == {"slow", "quick"}
    tab.click(head("run"))
    assert order(tab) == ["flights/far", "flights/one", "flights/two", "quick", "slow"]


def test_the_list_is_filtered_and_what_is_ticked_stays(at):
    tab = at("run=flights%2Fone")
    compared(tab, 1)
    tab.click("document.getElementById('filter')")
    tab.type("gradient MINE")
    assert sorted(order(tab)) == ["quick", "slow"]
    assert tab.ask("document.getElementById('shown').value") == "2 of 5"
    assert tab.ask(f"{box('flights/one')}.checked")


def test_what_was_not_read_is_named(at):
    text = at().ask("document.querySelector('.problems').textContent")
    assert "bad/flight.npz: not a saved flight" in text


@pytest.mark.parametrize("width", [1400, 500])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_its_window_in_both_themes(at, width, dark):
    tab = at("run=flights%2Fone&run=flights%2Ftwo&run=slow&run=quick", width, dark)
    compared(tab, 4)
    assert tab.ask("document.documentElement.scrollWidth <= innerWidth")
    for kind in ("flight", "training"):
        plot = PLOT.format(kind)
        tab.wait(f"{plot}._fullLayout.width <= {plot}.parentElement.clientWidth")
        assert tab.ask(f"{plot}._fullLayout.width > 0.85 * {plot}.parentElement.clientWidth")
        ink = tab.ask(f"getComputedStyle({plot}.querySelector('.ytick text')).fill")
        light = sum(map(int, ink[4:-1].split(","))) > 3 * 128
        assert light is dark, ink
    first = "document.querySelector('#runs tbody th')"
    assert tab.ask(f"{first}.getBoundingClientRect().width") < 0.5 * width
