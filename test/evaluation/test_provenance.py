import json
import platform
import re

from liquid_control.evaluation.provenance import provenance


def test_provenance_names_software_machine_and_date():
    record = json.loads(json.dumps(provenance()))
    assert record["python"] == platform.python_version()
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC$", record["date"])
    assert re.match(r"\d+\.\d+", record["numpy"])
    assert "cores" in record["processor"]
