"""The tables of the documentation that are made of the code, between comments that name them.

python test/tables.py             writes them anew
python test/tables.py --check     names those that would change
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

import liquid_control
from liquid_control.bench.sequences.config import SequenceBenchmark
from liquid_control.bench.sequences.report import collect, side_by_side
from liquid_control.bench.sequences.runs import RunFile
from liquid_control.config import load_yaml
from liquid_control.evaluation.metrics import METRICS, command_metrics
from liquid_control.evaluation.suite.statistics import mean_interval
from liquid_control.parameters import (
    RecorderParameters,
    SimulatorParameters,
    parameter_markdown,
)
from liquid_control.structs import RATES_THRUST
from liquid_control.vehicles.quadrotor.parameters import QuadrotorParameters

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "liquid_control"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def first_sentence(text: str) -> str:
    """Up to the first stop, on one line, without its stop."""
    line = " ".join(text.split("\n\n")[0].split())
    return re.split(r"\.(?: |$)", line)[0]


def folders() -> str:
    """Every folder and module of the package, and what its docstring says."""
    rows = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "__init__.py" and path.parent != PACKAGE:
            name = f"{path.parent.relative_to(PACKAGE)}/"
        elif path.parent == PACKAGE and path.name != "__init__.py":
            name = path.name
        else:
            continue
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        rows.append((name.endswith(".py"), name, first_sentence(docstring)))
    return table(("", "holds"), ((f"`{name}`", text) for _, name, text in sorted(rows)))


def front_door() -> str:
    """Every name of ``import liquid_control`` and what its docstring says."""
    rows = []
    for name, module in sorted(liquid_control._MODULES.items(), key=lambda row: row[0].lower()):
        path = PACKAGE / f"{module.replace('.', '/')}.py"
        nodes = ast.parse(path.read_text(encoding="utf-8")).body
        (node,) = (n for n in nodes if getattr(n, "name", None) == name)
        link = f"[`{name}`][liquid_control.{module}.{name}]"
        rows.append((link, first_sentence(ast.get_docstring(node)).replace("|", r"\|")))
    return table(("name", "what it is"), rows)


def launch() -> str:
    """The arguments of the launch file, which needs ROS's launch system."""
    path = ROOT / "launch" / "simulation.launch.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "ARGUMENTS":
            arguments = ast.literal_eval(node.value)
    rows = ((f"`{name}`", f"`{value}`", text) for name, (value, text) in arguments.items())
    return table(("argument", "default", "meaning"), rows)


def metrics() -> str:
    """What every flight gives, and what a quadrotor's command adds."""
    rows = []
    for metric in (*METRICS.values(), *command_metrics(RATES_THRUST)):
        if metric.display is not None:
            use = ", ".join(
                word
                for word, holds in (("compared", metric.compared), ("limit", metric.limited))
                if holds
            )
            rows.append((f"`{metric.name}`", metric.display.name, use))
    return table(("metric", "shown as", "in suites"), rows)


def sequences(*tasks: str) -> str:
    """What has run of sequence tasks, side by side, and what is missing."""
    benchmark = load_yaml(ROOT / "config/benchmarks/sequences.yaml", SequenceBenchmark)
    runs = RunFile(ROOT / "docs/results/sequences.json", benchmark, quick=False)
    return side_by_side(benchmark, collect(benchmark, runs), list(tasks))


COMPARED = (
    *("liquid_ncp", "liquid_dense", "cfc_ncp", "ltc_ncp", "ct_rnn", "gru", "lstm", "mlp"),
    "oracle",
)


def convergence() -> str:
    """Error in held-out episodes over the updates of the comparison's runs, which are kept."""
    logs: dict[str, list[list[dict]]] = {}
    for path in sorted((ROOT / "docs/results/comparison_runs").glob("*.tar.xz")):
        with tarfile.open(path) as archive:
            for name in archive.getnames():
                if name.endswith("/log.jsonl") and name.split("/")[1] in COMPARED:
                    rows = archive.extractfile(name).read().splitlines()
                    logs.setdefault(name.split("/")[1], []).append([json.loads(r) for r in rows])
    updates = (500, 1000, 2000, 3000, 4000)
    rows = []
    for network, runs in logs.items():
        errors = np.array([
            [100 * row["held_out_m"] for row in run if row["update"] in updates] for run in runs
        ])  # fmt: skip
        last = mean_interval(errors[:, -1:])
        rows.append((
            network,
            str(len(runs)),
            *(f"{error:.1f}" for error in errors[:, :-1].mean(axis=0)),
            f"{last.mean:.1f} [{last.low:.1f}, {last.high:.1f}]",
            f"{errors[:, -1].min():.1f}, {errors[:, -1].max():.1f}",
            str(sum(run[-1]["rollbacks"] > 0 for run in runs)),
            f"{np.median([run[-1]['seconds'] for run in runs]):.0f}",
        ))  # fmt: skip
    head = ("", "seeds", *(f"{n:,}" for n in updates), "best, worst seed", "went back", "CPU s")
    return table(head, sorted(rows, key=lambda row: float(row[6].split()[0])))


STORMS = {
    "still air": "calm",
    "wind 2 m/s, turbulence 1 m/s, gusts 4 m/s (*moderate*)": "moderate",
    "wind 5, turbulence 2, gusts 6 m/s (*severe*)": "severe",
    "Dryden turbulence, severe (MIL-F-8785C)": "dryden_severe",
    "figure-8 at 2.2 m/s, still air": "figure8",
    "moderate, odometry 40 ms late": "delay_40ms",
    "moderate, six times the sensor noise": "noise_x6",
    "moderate, 60 % of the odometry lost": "dropout_60",
    "moderate, mass +50 %": "mass_up_50",
    "moderate, one motor −25 %": "motor_25",
    "moderate, 8 g hung 5 cm below": "payload",
    "moderate, control at 33 Hz": "rate_33",
    "start tilted by 150°": "recovery_150",
    "moderate, on a 0.5 kg vehicle": "hummingbird",
    "severe, noise ×2, 20 ms late, 30 % lost, mass +30 %, motor −15 %": "combined",
}
OVER = "*interval over*"
ERROR = "position RMSE in cm [95 % interval]"
SHORT = ("moderate", "severe", "figure8", "motor_25", "payload", "rate_33")
LIMIT = {
    "still air": "calm",
    "steady wind of 4 m/s": "steady_4",
    "gusts of 4 m/s": "gusts",
    "*moderate*: wind 2, turbulence 1, gusts 4 m/s": "moderate",
    "*severe*: wind 5, turbulence 2, gusts 6 m/s": "severe",
    "Dryden turbulence, severe": "dryden_severe",
    "figure-8 at 2.2 m/s, still air": "figure8",
    "moderate, mass +30 %": "mass_up_30",
    "moderate, mass −50 %": "mass_down_50",
    "moderate, 8 g hung 5 cm below": "payload",
    "moderate, one motor −15 %": "motor_15",
    "moderate, six times the sensor noise": "noise_x6",
    "moderate, odometry 20 ms late": "delay_20ms",
    "moderate, control at 200 Hz": "rate_200",
    "moderate, control at 50 Hz": "rate_50",
    "moderate, control at 33 Hz": "rate_33",
    "still air, start tilted by 150°": "recovery_150",
    "moderate, on the 0.5 kg vehicle": "hummingbird",
    "severe, and everything worse (*combined*)": "combined",
    "still air, control at 400 Hz": "calm_400",
    "moderate, control at 400 Hz": "moderate_400",
    "severe, control at 400 Hz": "severe_400",
    "figure-8, control at 400 Hz": "figure8_400",
    "moderate, 0.5 kg, control at 400 Hz": "hummingbird_400",
}
STORM = {
    "moderate": "moderate",
    "severe": "severe",
    "figure-8": "figure8",
    "payload": "payload",
    "noise ×6": "noise_x6",
    "33 Hz": "rate_33",
    "0.5 kg": "hummingbird",
    "combined": "combined",
}
TRUE_DT = {
    "moderate": "moderate",
    "severe": "severe",
    "combined": "combined",
    "0.5 kg": "hummingbird",
    "200 Hz": "rate_200",
    "50 Hz": "rate_50",
    "33 Hz": "rate_33",
    "25 Hz": "rate_25",
    "5 to 60 ms": "uneven_5_60",
}
HALF = {
    "moderate": "moderate",
    "severe": "severe",
    "figure-8": "figure8",
    "mass +50 %": "mass_up_50",
    "motor −25 %": "motor_25",
    "payload": "payload",
    "33 Hz": "rate_33",
    "0.5 kg": "hummingbird",
    "combined": "combined",
}
PARTS = {
    "still air": "calm",
    "moderate": "moderate",
    "severe": "severe",
    "payload": "payload",
    "33 Hz": "rate_33",
    "0.5 kg": "hummingbird",
    "combined": "combined",
}
VEHICLES = {
    "nothing changed": "nominal",
    "rate loop with a gain of 5 1/s (nominal: 18)": "gain_5",
    "gain of 8 1/s": "gain_8",
    "gain of 60 1/s, motors of 15 ms": "gain_60",
    "gain of 100 1/s, motors of 9 ms": "gain_100",
    "motor lag of 72 ms (nominal: 35), gain of 12 1/s": "lag_72ms",
    "lag of 100 ms, gain of 9 1/s": "lag_100ms",
    "lag of 150 ms, gain of 6 1/s": "lag_150ms",
    "no lag": "no_lag",
    "no lag, control at 25 Hz": "no_lag_25hz",
    "control at 20 Hz": "rate_20",
    "control at 250 Hz": "rate_250",
    "thrust to weight of 1.6 (nominal: 2.25)": "thrust_1_6",
    "half the mass": "mass_half",
    "twice the mass, still air": "mass_x2",
    "constant force of 0.1 N, still air": "force_0_1",
    "constant force of 0.2 N, still air": "force_0_2",
    "lift of 0.2 N, still air": "lift_0_2",
    "accelerometer off by 1 m/s²": "accelerometer_bias",
    "accelerometer reads zero": "accelerometer_zero",
    "attitude off by 5°": "attitude_error",
    "figure-8 of 3 s, still air": "figure8_3s",
    "figure-8 of 2.5 s, still air": "figure8_2_5s",
    "10 s on the ground, then armed, still air": "armed_late",
    "satellite positioning, still air": "gps",
    "0.5 kg vehicle": "hummingbird",
    "1 kg vehicle": "sih_quad",
}
LANE = {
    "clear view, fresh paint": "day",
    "pixel noise of 15 of 255": "noise",
    "images at 10 Hz in place of 25": "rate_10",
    "30 % of the images lost": "loss_30",
    "images 150 ms late": "late_150ms",
    "a frozen picture for 0.5 s every 10": "frozen",
    "no paint for 2 s every 15": "missing",
    "half of the paint gone": "worn",
    "a road crosses every 100 m": "crossings",
    "red bricks, yellow lines": "red_road",
    "winter": "winter",
    "fog with 26 m of sight": "fog",
    "three tenths of the light": "dark",
    "spots on the lens": "patches",
}
FAR = {
    "moderate": "moderate",
    "25 Hz": "rate_25",
    "20 Hz": "rate_20",
    "400 Hz": "rate_400",
    "5 to 40 ms": "uneven_5_40",
    "5 to 60 ms": "uneven_5_60",
    "80 % lost": "dropout_80",
    "noise ×12": "noise_x12",
    "IMU bias": "imu_bias",
}


def results(
    page: str, trimmed: bool = False
) -> tuple[dict[str, list[str]], dict[str, dict[str, str]]]:
    """Of a page of results: facts of each policy, and errors by condition and policy; the mean or,
    trimmed, the interquartile one."""
    text = (ROOT / f"docs/results/{page}.md").read_text(encoding="utf-8")
    tables: dict[str, list] = {}
    for lines in re.findall(r"(?:^\|.+\n)+", text, re.MULTILINE):
        rows = [
            [cell.strip() for cell in row.strip("|\n ").split("|")] for row in lines.splitlines()
        ]
        of_head = tables.setdefault(rows[0][0], [])
        of_head.append((rows[0][1:], {row[0]: row[1:] for row in rows[2:]}))
    names, errors = tables["condition"][1 if trimmed else 0]
    return tables["policy"][0][1], {
        condition: dict(zip(names, cells, strict=True)) for condition, cells in errors.items()
    }


def verdict(page: str, begins: str = "") -> str:
    """What a page of results says of its first policy, or of that with which the line begins."""
    text = (ROOT / f"docs/results/{page}.md").read_text(encoding="utf-8")
    (line, *_) = re.findall(rf"^{begins}.* clearly better than .+\n", text, re.MULTILINE)
    return line


def policies(page: str, names: Iterable[str], conditions: dict[str, str]) -> str:
    """Some policies of a page in some of its conditions: conditions down, policies across."""
    _, errors = results(page)
    rows = [
        [shown, *(errors[condition][name] for name in names)]
        for shown, condition in {OVER: OVER, **conditions}.items()
    ]
    return table((ERROR, *names), rows)


def success(page: str) -> str:
    """Of a page about success: what each condition is, and the share of each policy."""
    _, shares = results(page)
    names = [name for name in next(iter(shares.values())) if name != "what it is"]
    rows = ([row["what it is"], *(row[name] for name in names)] for row in shares.values())
    return table(("flights that succeed, % [95 % interval]", *names), rows)


def polarity() -> str:
    """Mean and interquartile mean of the two side by side."""
    sides = [results("polarity", trimmed)[1] for trimmed in (False, True)]
    names = results("polarity")[0]
    rows = [
        [shown, *(side[condition][name] for side in sides for name in names)]
        for shown, condition in STORMS.items()
        if condition in sides[0]
    ]
    head = (f"{name}, {mean}" for mean in ("mean", "interquartile mean") for name in names)
    return table((ERROR, *head), rows)


def networks(page: str, conditions: dict[str, str]) -> str:
    """Networks that were trained alike: networks down, conditions across."""
    facts, errors = results(page)
    rows = [
        [name, facts[name][1], *(errors[condition][name] for condition in conditions.values())]
        for name in facts
    ]
    return table(("network", "weights", *conditions), rows)


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "folders": ("house.md", folders),
    "front door": ("api/index.md", front_door),
    "launch": ("ros.md", launch),
    "metrics": ("read_the_results.md", metrics),
    "parameters": ("ros.md", lambda: parameter_markdown(QuadrotorParameters)),
    "simulator": ("ros.md", lambda: parameter_markdown(SimulatorParameters)),
    "recorder": ("ros.md", lambda: parameter_markdown(RecorderParameters)),
    "convergence": ("results/convergence.md", convergence),
    "storm": (
        "../README.md",
        lambda: policies(
            "storm",
            ("liquid", "19 neurons", "geometric", "searched"),
            {name: condition for name, condition in STORMS.items() if condition in SHORT},
        ),
    ),
    "all storms": ("measured.md", lambda: policies("storm", results("storm")[0], STORMS)),
    "comparison": ("measured.md", lambda: networks("comparison", STORM)),
    "comparison verdict": ("measured.md", lambda: verdict("comparison")),
    "far verdict": ("measured.md", lambda: verdict("far")),
    "far": ("measured.md", lambda: networks("far", FAR)),
    "half verdict": ("measured.md", lambda: verdict("half", "liquid NCP is")),
    "half": ("measured.md", lambda: networks("half", HALF)),
    "parts": ("measured.md", lambda: networks("ablation", PARTS)),
    "true dt": ("measured.md", lambda: networks("true_dt", TRUE_DT)),
    "vehicles": (
        "measured.md",
        lambda: policies("vehicles", results("vehicles")[0], VEHICLES),
    ),
    "lane": ("camera.md", lambda: policies("lane", results("lane")[0], LANE)),
    "navigation": ("camera.md", lambda: success("navigation")),
    "polarity": ("networks.md", polarity),
    "limit": ("limit.md", lambda: policies("limit", results("limit")[0], LIMIT)),
    "half_cheetah": ("networks.md", lambda: sequences("half_cheetah_raw", "half_cheetah")),
    "xor as published": (
        "networks.md",
        lambda: sequences("xor_published_event", "xor_published_dense", "xor_end_event"),
    ),
    "xor told at every step": (
        "networks.md",
        lambda: sequences("xor_dense", "xor_event", "xor_irregular", "xor_event_irregular"),
    ),
    "digits": ("networks.md", lambda: sequences("digits")),
}


def shown(name: str) -> tuple[str, str, str]:
    """What stands in the page before a table, the table, and what stands after it."""
    text = (ROOT / "docs" / TABLES[name][0]).read_text(encoding="utf-8")
    before, begin, rest = text.partition(f"<!-- {name} -->\n")
    inside, end, after = rest.partition(f"<!-- /{name} -->")
    assert begin, f"{TABLES[name][0]} has no place for {name}"
    assert end, f"{TABLES[name][0]} has no end of {name}"
    return before + begin, inside, end + after


def main(check: bool) -> int:
    """Write all of them into their pages, or name those that are not what the code says."""
    stale = 0
    for name, (page, make) in TABLES.items():
        before, inside, after = shown(name)
        made = make()
        if check and made != inside:
            print(f"docs/{page}: the table {name!r} is not of this code: python test/tables.py")
            stale += 1
        elif not check:
            (ROOT / "docs" / page).write_text(before + made + after, encoding="utf-8")
    return min(stale, 1)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))
