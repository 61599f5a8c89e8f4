"""`submit`: checked here first, then applied; what it says is what the API server did."""

import json

import pytest
from requests_for_tests import document

PREFIX = "trainingrequest.tunesmith.dev/riddles"


def test_a_request_is_created_then_unchanged_then_configured(cluster):
    file = cluster.write()
    said = [cluster("submit", file).stdout]
    said.append(cluster("submit", file).stdout)
    said.append(cluster("submit", file, "--set", "data.examples=20").stdout)
    assert said == [f"{PREFIX} created\n", f"{PREFIX} unchanged\n", f"{PREFIX} configured\n"]
    assert cluster.get()["spec"]["data"] == {"examples": 20}


def test_what_is_probably_not_meant_is_warned_of_and_sent(cluster):
    file = cluster.write(changes={"data.examples": 12})
    done = cluster("submit", file)
    assert f"warning: {file}: spec.data.examples: 12 rows leave 1 test row" in done.stderr
    assert done.stdout == f"{PREFIX} created\n"


def test_a_price_that_only_the_profile_may_know_stops_nothing(cluster):
    spec = {"data": {"teacher": {"model": "ours"}, "budget": {"maxUSD": 5}}}
    assert cluster("submit", cluster.write(changes=spec)).stdout == f"{PREFIX} created\n"


def test_the_next_commands_name_the_namespace_and_are_no_part_of_the_result(cluster):
    done = cluster("submit", cluster.write())
    assert f"tunesmith status riddles -w -n {cluster.namespace}" in done.stderr
    assert done.stdout == f"{PREFIX} created\n"


def test_nothing_is_sent_if_anything_is_wrong_anywhere(cluster):
    good = cluster.write("good", file="good.yaml")
    bad = cluster.write("bad", {"training.loraR": "many", "training.learning_rate": 0.1}, file="bad.yaml")
    said = cluster("submit", good, bad, expect=78).stderr
    assert "training.loraR" in said
    assert "did you mean 'learningRate'?" in said
    assert cluster.kubectl("get", "treq") == ""


def test_relative_paths_are_sent_as_they_are(cluster):
    cluster("submit", cluster.write(changes={"model.base": "models/small"}))
    assert cluster.get()["spec"]["model"]["base"] == "models/small"


def test_two_namespaces_for_one_request_are_refused(cluster):
    assert (
        "leave out one of them" in cluster("submit", cluster.write(namespace="elsewhere"), expect=64).stderr
    )


def test_the_namespace_of_the_file_counts_where_none_is_given(cluster):
    cluster(
        "submit",
        cluster.write(namespace=cluster.namespace),
        "--kubeconfig",
        cluster.plane.kubeconfig,
        here=False,
    )
    assert cluster.get()["metadata"]["name"] == "riddles"


@pytest.mark.parametrize("how", ["--dry-run", "--dry-run=client", "--dry-run=server"])
def test_a_dry_run_says_the_stages_and_changes_nothing(cluster, how):
    out = cluster("submit", cluster.write(), how).stdout
    assert out.startswith(f"{PREFIX} created ({'server ' if 'server' in how else ''}dry run)\n")
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["generate", "train", "merge", "evaluate"]
    assert cluster.kubectl("get", "treq") == ""


def test_what_the_api_server_refuses_is_said_with_its_path(cluster):
    cluster("submit", cluster.write())
    said = cluster("submit", cluster.write(changes={"profile": "other"}), expect=78).stderr
    assert "spec" in said
    assert "profile" in said


def test_a_field_that_another_manager_set_is_a_conflict_that_names_it(cluster):
    cluster.kubectl(
        "apply",
        "--server-side",
        "--field-manager=gitops",
        "-f",
        "-",
        stdin=json.dumps(document({"data.examples": 7})),
    )
    said = cluster("submit", cluster.write(changes={"data.examples": 8}), expect=1).stderr
    assert "spec.data.examples" in said
    assert "--force-conflicts" in said


def test_a_rerun_stays_when_the_file_is_submitted_again(cluster):
    file = cluster.write()
    cluster("submit", file)
    cluster("rerun", "riddles", "--from", "train", "--id", "once")
    cluster("submit", file)
    assert cluster.get()["spec"]["rerun"] == {"from": "train", "id": "once"}


def test_as_json_there_is_one_document(cluster):
    document = json.loads(cluster("submit", cluster.write(), "--json").stdout)
    assert document == {
        "format": 1,
        "dryRun": "none",
        "requests": [
            {
                "name": "riddles",
                "namespace": cluster.namespace,
                "result": "created",
                "uid": cluster.get()["metadata"]["uid"],
            }
        ],
        "failed": None,
    }


def test_a_label_alone_is_a_change_too(cluster):
    cluster("submit", cluster.write())
    file = cluster.write(labels={"team": "a"})
    for how in ("client", "server"):
        assert cluster("submit", file, f"--dry-run={how}").stdout.startswith(f"{PREFIX} configured (")
    assert cluster("submit", file).stdout == f"{PREFIX} configured\n"
    assert cluster("submit", file).stdout == f"{PREFIX} unchanged\n"


def test_a_failure_half_way_says_what_was_applied(cluster):
    cluster("submit", cluster.write("second"))
    files = [
        cluster.write("first", file="1.yaml"),
        cluster.write("second", {"profile": "other"}, "2.yaml"),
        cluster.write("third", file="3.yaml"),
    ]
    done = cluster("submit", *files, "-o", "json", expect=78)
    said = json.loads(done.stdout)
    assert [(one["name"], one["result"]) for one in said["requests"]] == [("first", "created")]
    assert said["failed"]["exitCode"] == 78
    assert "profile" in done.stderr
    assert "third" not in cluster.kubectl("get", "treq")


def test_names_alone(cluster):
    files = [cluster.write("first", file="1.yaml"), cluster.write("second", file="2.yaml")]
    said = cluster("submit", *files, "-o", "name").stdout
    assert said == "".join(f"trainingrequest.tunesmith.dev/{name}\n" for name in ("first", "second"))


def test_watching_shows_text_only(cluster):
    assert "-o json" in cluster("submit", cluster.write(), "-w", "-o", "yaml", expect=64).stderr


def test_standard_input_is_a_file_too(cluster):
    cluster("submit", "-", stdin=json.dumps(document()))
    assert cluster.get()["spec"]["task"] == "answer riddles"
