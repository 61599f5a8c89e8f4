"""`preview` and `plan`: the beginning of a dataset, which the run does not pay for again."""

import json

import yaml
from json_members import wrong
from teachers.zoo import Provider, serving


def request_to(cli, provider, file="request.yaml", **data):
    teacher = {"model": provider.model, "baseURL": provider.url}
    return cli.write(file=file, changes={"data": {"teacher": teacher, "examples": 30, **data}})


def test_the_first_rows_are_shown_and_kept(cli):
    with serving(Provider()) as provider:
        path = request_to(cli, provider)
        out = cli("preview", path).stdout
        assert "system message:\n  Given " in out
        assert out.count("prompt:") == 3
        assert provider.billed == 5
        document = json.loads(cli("preview", path, "--json").stdout)
        assert wrong(document, "preview") == []
        assert len(document["rows"]) == 3
        assert provider.billed == 5, "they are kept"
        assert (
            json.loads(cli("preview", path, "--rows", "5", "--json").stdout)["rows"][:3] == document["rows"]
        )
        assert provider.billed == 7


def test_a_plan_goes_out_and_comes_back(cli):
    with serving(Provider()) as provider:
        path = request_to(cli, provider)
        out = cli.folder / "plan.yaml"
        assert "look at it" in cli("plan", path, "--out", str(out)).stdout
        assert provider.billed == 2
        document = json.loads(cli("plan", path, "-o", "json").stdout)
        assert wrong(document, "plan") == []
        printed = yaml.safe_load(out.read_text())
        assert printed == {"data": {name: document[name] for name in ("systemMessage", "plan")}}
        printed["data"]["plan"]["topics"] = ["lamps", "radios"]
        again = request_to(cli, provider, "again.yaml", **printed["data"])
        rows = json.loads(cli("preview", again, "--json").stdout)["rows"]
        assert len(rows) == 3
        assert provider.billed == 5, "neither plan nor system message is paid for again"


def test_what_has_no_plan_says_so(cli):
    (cli.folder / "rows.jsonl").write_text("")
    path = cli.write(changes={"data": {"source": {"uri": "rows.jsonl"}}})
    assert "data check" in cli("preview", path, expect=78).stderr
    path = cli.write(file="chain.yaml", changes={"data": {"strategy": "chain"}})
    assert "has no plan" in cli("plan", path, expect=78).stderr
