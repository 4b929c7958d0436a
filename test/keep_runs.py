"""Keeps a comparison in the repository: policies, records, every tenth log row, and flights.

python test/keep_runs.py out/comparison

writes docs/results/comparison_runs/comparison_NN.tar.xz, one file a training seed, of the runs
that are done: about 350 kB for 24 networks of 1,000 to 1,900 weights. What suites have flown into
folders of out/comparison becomes comparison_flights.tar.xz, to six digits, about 80 bytes a flight.
`python -m tarfile -e FILE out` brings them back to where `train` and `evaluate` look for them,
which go on from there.
"""

from __future__ import annotations

import io
import json
import lzma
import sys
import tarfile
from pathlib import Path

KEPT = Path(__file__).parents[1] / "docs" / "results"


def members(run: Path) -> dict[str, bytes]:
    """What is kept of a run: file names and contents; none if it is not done."""
    record = run / "training.json"
    if not (record.is_file() and json.loads(record.read_text(encoding="utf-8")).get("done")):
        return {}
    rows = [
        row
        for row in (run / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        if json.loads(row)["update"] % 100 == 0 or json.loads(row).get("held_out_m") is not None
    ]
    return {
        "policy.onnx": (run / "policy.onnx").read_bytes(),
        "training.json": record.read_bytes(),
        "log.jsonl": "".join(rows).encode(),
    }


def keep(runs: Path) -> None:
    """Write the archives of a folder RUNS/NETWORK/SEED/."""
    seeds: dict[int, dict[str, bytes]] = {}
    for run in sorted(runs.glob("*/*/")):
        if run.name.isdigit():
            place = f"{runs.name}/{run.parent.name}/{run.name}"
            files = {f"{place}/{name}": content for name, content in members(run).items()}
            if files:
                seeds.setdefault(int(run.name), {}).update(files)
    folder = KEPT / f"{runs.name}_runs"
    folder.mkdir(parents=True, exist_ok=True)
    for seed, files in sorted(seeds.items()):
        pack(folder / f"{runs.name}_{seed:02d}.tar.xz", files)
    flown = {
        f"{runs.name}/{file.parent.name}/{file.name}": rounded(file)
        for file in sorted(runs.glob("*/flights.jsonl"))
    }
    if flown:
        pack(folder / f"{runs.name}_flights.tar.xz", flown)


def rounded(flights: Path) -> bytes:
    """Rows of flights, numbers to six digits."""
    lines = flights.read_text(encoding="utf-8").splitlines()
    rows = [
        json.loads(line, parse_float=lambda text: float(f"{float(text):.6g}")) for line in lines
    ]
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode()


def pack(path: Path, files: dict[str, bytes]) -> None:
    """Write an archive of files, always the same bytes for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    path.write_bytes(lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{path.name}: {len(files)} files, {path.stat().st_size} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python test/keep_runs.py FOLDER_OF_RUNS")
    keep(Path(sys.argv[1]))
