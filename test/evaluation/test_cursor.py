"""The cursor of a report in a real browser: slider, keys, clicks, the line, the film."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from browser import chromium

from liquid_control.config import share_dir
from liquid_control.evaluation.saliency import sight_of
from liquid_control.evaluation.views.circuit import layers
from liquid_control.evaluation.views.film import write_video
from liquid_control.evaluation.views.report import write_report
from liquid_control.runtime.artifact import load_artifact
from liquid_control.vehicles.catalogue import load_vehicle

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs chromium to load the page")
FILM = "document.querySelector('video')"
SLIDER = "document.getElementById('time')"
LINES = "[...document.querySelectorAll('.cursor')]"

# the words of each plot with the boxes that they stand in, and the box of the plot
PLOTS = """[...document.querySelectorAll('[data-figure]')].map((place) => ({
  name: place.dataset.figure,
  box: place.getBoundingClientRect(),
  words: [...place.querySelectorAll('text')]
    .map((word) => ({ text: word.textContent, box: word.getBoundingClientRect() }))
    .filter(({ text, box }) => text && box.width > 0),
}))"""
CUT = """({ name, box, words }) => words
  .filter((word) => word.box.left < box.left - 1 || word.box.right > box.right + 1)
  .map((word) => [name, word.text])"""
MEETING = """({ name, words }) => words.flatMap(({ text, box: a }, i) => words.slice(i + 1)
  .filter(({ box: b }) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
  .map((other) => [name, text, other.text]))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory, drive_log):
    """The report of a drive, with film, camera and circuit."""
    folder, policy = (
        tmp_path_factory.mktemp("drive"),
        share_dir() / "config/policies/lane_liquid.onnx",
    )
    metadata = load_artifact(policy).metadata
    log = dataclasses.replace(drive_log, neuron_names=tuple(metadata.neuron_names))
    sight = sight_of(log, policy)
    neurons = layers(log, metadata)
    film = write_video(
        folder / "flight.mp4", log, load_vehicle("car"),
        layers=neurons, sight=sight, fps=10, size=(640, 360),
    )  # fmt: skip
    return write_report(folder, log, metadata=metadata, video=film, sight=sight)


@pytest.fixture(scope="module")
def hovering(tmp_path_factory, log, metadata):
    """The report of a flight in wind, without film and camera."""
    return write_report(tmp_path_factory.mktemp("hover"), log, metadata=metadata)


@pytest.fixture
def at(tab, page):
    """The page, loaded anew, with all that its cursor moves."""

    def load(width: int = 1400, report: Path = page):
        tab.look(width)
        tab.open(report)
        tab.wait("document.body.dataset.cursor == 'on'")
        return tab

    return load


def line_times(tab) -> list[float]:
    """Where the line of each plot stands, read back through its axis, s."""
    return tab.ask(
        f"{LINES}.map((line) => {{ const {{ xaxis, _size }} = line.parentElement._fullLayout;"
        "const [box, own] = [line.parentElement, line].map((part) => part.getBoundingClientRect());"
        "return xaxis.p2l(own.left + 7 - box.left - _size.l); })"
    )


def assert_at(tab, time: float) -> None:
    """Everything that has a time stands there."""
    assert tab.ask("cursor.time") == pytest.approx(time, abs=1e-6)
    assert float(tab.ask(f"{SLIDER}.value")) == pytest.approx(time, abs=0.01)
    assert tab.ask(f"{FILM}.currentTime") == pytest.approx(time, abs=0.01)
    assert tab.ask("document.getElementById('time-label').value") == f"{time:.2f} s"
    times = line_times(tab)
    assert len(times) == 3
    np.testing.assert_allclose(times, time, atol=0.02)
    shown = tab.ask("document.querySelector('[data-sheet]').dataset.shown")
    assert int(shown) == int(np.floor((time + 1e-6) / 0.04)) - 1
    tab.wait(
        "(() => { const place = document.querySelector('[data-figure=trajectory]');"
        "const [path, dot] = ['flight', 'cursor'].map("
        "(name) => place._fullData.find((trace) => trace.name === name));"
        f"const k = Array.from(path.customdata).findLastIndex((row) => row[0] <= {time} + 1e-4);"
        "return path.x[k] === dot.x[0]; })()",
        5,
    )


def test_keys_slider_clicks_and_the_line_move_everything(at):
    tab = at()
    assert_at(tab, 0.0)
    for _ in range(3):
        tab.press("ArrowRight")
    tab.press("ArrowLeft")
    assert_at(tab, 0.2)
    fills = "[...document.querySelectorAll('svg.circuit .neuron')].map((n) => n.style.fill).join()"
    before = tab.ask(fills)
    tab.ask(f"{SLIDER}.value = 2.5; {SLIDER}.dispatchEvent(new Event('input'))")
    assert_at(tab, 2.5)
    assert tab.ask(fills) != before
    box = tab.ask(
        "(() => { const place = document.querySelector('[data-figure=commands]');"
        "place.scrollIntoView({block: 'center'}); const { xaxis, _size } = place._fullLayout;"
        "const box = place.getBoundingClientRect();"
        "return { x: box.left + _size.l + xaxis.l2p(1.5), y: box.top + _size.t + 60,"
        " to: box.left + _size.l + xaxis.l2p(3.0) }; })()"
    )
    tab.click_at(round(box["x"]), box["y"])
    tab.wait("Math.abs(cursor.time - 1.5) < 0.01", 5)
    assert_at(tab, tab.ask("cursor.time"))
    tab.drag((box["x"], box["y"]), (round(box["to"]), box["y"]))
    assert tab.ask("cursor.time") == pytest.approx(3.0, abs=0.01)
    assert_at(tab, tab.ask("cursor.time"))


def test_without_a_film_the_cursor_plays_alone(at, hovering):
    tab = at(report=hovering)
    tab.click("document.getElementById('play')")
    tab.wait("cursor.time > 0.3", 60)
    tab.click("document.getElementById('play')")
    np.testing.assert_allclose(line_times(tab), tab.ask("cursor.time"), atol=0.03)


def test_a_film_that_plays_takes_the_cursor_along_and_stops_where_it_is_stopped(at):
    tab = at()
    tab.ask(f"{FILM}.playbackRate = 0.25")  # it does not end while a slow machine looks
    tab.click("document.getElementById('play')")
    tab.wait("cursor.time > 0.2", 60)
    assert tab.ask("document.getElementById('play').textContent") == "Pause"
    tab.click("document.getElementById('play')")
    tab.wait(f"{FILM}.paused && Math.abs({FILM}.currentTime - cursor.time) < 1e-3", 60)
    np.testing.assert_allclose(line_times(tab), tab.ask("cursor.time"), atol=0.03)


@pytest.mark.parametrize("width", [1400, 500])
@pytest.mark.parametrize(
    ("name", "error"), [("page", "lane deviation"), ("hovering", "position error")]
)
def test_nothing_is_cut_and_no_words_lie_over_each_other(at, request, width, name, error):
    """Words of a plot: titles, legends, ticks and notes; boxes of two never meet."""
    tab = at(width, request.getfixturevalue(name))
    assert tab.ask("document.documentElement.scrollWidth") <= width
    found = tab.ask(f"({PLOTS}).flatMap((plot) => plot.words.map((word) => word.text))")
    assert {f"{error}, cm", "time, s", "inter", "policy step, µs"} <= set(found)
    assert tab.ask(f"({PLOTS}).flatMap(({CUT}))") == []
    assert tab.ask(f"({PLOTS}).flatMap(({MEETING}))") == []
