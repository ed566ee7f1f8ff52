"""The table of responses is the one place that describes them."""

import json
import re
import subprocess
import sys
from pathlib import Path

from simformer.baselines.dataset_settings import BaselineSettings
from simformer.baselines.response_networks import OBJECTIVES
from simformer.baselines.responses import COMPARED, RESPONSES, WALKS

ROOT = Path(__file__).parents[3]
ADD = """
import json
import sys
from dataclasses import replace
from pathlib import Path

from simformer.baselines import responses

mine = replace(responses.RESPONSES["seam"], name="seam_thrice", overrides={"seam": {"er": 3.0}}, compared=())
responses.RESPONSES["seam_thrice"] = mine

import yaml

from simformer.baselines.dataset_settings import BaselineSettings
from simformer.baselines.settings import MapChoice
from simformer.study.catalogue import Catalogue
from simformer.study.plan import make_plan

root = Path(sys.argv[1])
catalogue = Catalogue(json.loads(sys.argv[2]), "study.yaml", root)
print(json.dumps({
    "choices": MapChoice.model_json_schema()["properties"]["response"]["enum"],
    "differs": BaselineSettings().responses["seam_thrice"],
    "constraint": responses.responses_of("stride8"),
    "sections": responses.sections_behind("seam_thrice", "none"),
    "er": catalogue.network("toys", mine.section, 0, "seam_thrice").settings.er,
    "plan": [str(path.relative_to(root)) for path in make_plan(catalogue, ["mine"]).map_networks],
}))
"""


def test_one_entry_makes_a_response_known_to_settings_rules_and_plan(catalogue, tmp_path):
    content = {"label": "M", "labels": "maps", "maps": {"response": "seam"}}
    catalogue({"methods/mine": content, "experiments/mine": {"title": "M", "methods": ["mine"]}})
    path = tmp_path / "methods/mine.yaml"
    path.write_text(path.read_text().replace("response: seam", "response: seam_thrice"))
    study = {"results": str(tmp_path / "results"), "datasets": {"toys": {"splits": {1: {"novel": ["sea"]}}}}}
    command = [sys.executable, "-c", ADD, str(tmp_path), json.dumps(study)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["choices"] == [*RESPONSES, "seam_thrice"] and found["constraint"][-1] == "seam_thrice"
    assert found["differs"] == {"seam": {"er": 3.0}} and found["er"] == 3.0
    assert found["sections"] == ["warm", "seam", "cam"]
    networks = [f"results/toys/full/maps/{name}/seed0/network.safetensors" for name in ("warm", "seam_thrice")]
    assert found["plan"] == networks


def test_every_entry_has_its_sections_and_every_stride_8_network_its_objective():
    for response in RESPONSES.values():
        assert {*response.sections, *response.overrides} <= set(BaselineSettings.model_fields)
        assert response.start is None or response.start in RESPONSES
    assert {response.section for response in RESPONSES.values() if response.family == "stride8"} == set(OBJECTIVES)
    assert WALKS == ("psa", "irn")
    assert all((ROOT / f"config/methods/{name}.yaml").exists() for name in COMPARED)


def test_no_rule_lists_responses_by_itself():
    text = "".join(path.read_text() for path in (ROOT / "workflow").rglob("*.smk"))
    constraints = re.findall(r"^ +response=(.*),$", text, re.MULTILINE)
    assert len(constraints) > 4
    assert [given for given in constraints if not re.search(r"responses_of|CONTA_ROUNDS|a-z0-9_", given)] == []
