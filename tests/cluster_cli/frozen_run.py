"""A request that has run, as the controller leaves it: snapshot and profile frozen in a ConfigMap, its stages
finished.
"""

import json

from cluster_cli.statuses import NOW, condition

from tunesmith.plan import snapshot
from tunesmith.profile import Profile
from tunesmith.request import parse
from tunesmith_cli.cluster.forecast import without_status

PROFILE = Profile.model_validate(
    {
        "name": "default",
        "images": {"generate": "example.org/generate:1", "train": "example.org/train:1"},
        "store": {"url": "s3://bucket/runs"},
        "defaults": {"training": {"loraR": 8}},
    },
    strict=False,
)


def freeze(cluster, name="riddles", ended="Complete", finished=("generate", "train", "merge", "evaluate")):
    """Its snapshot, made from what the API server has."""
    made = snapshot(parse(without_status(cluster.get(name))), run=f"{name}-1", profile=PROFILE, cluster=True)
    frozen = {
        "generation": 1,
        "retry": "",
        "rerun": "",
        "profile": PROFILE.model_dump(mode="json", by_alias=True),
    }
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-snapshot-1"},
        "data": {"request.json": made.to_json(), "frozen.json": json.dumps(frozen)},
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(body))
    cluster.status(
        name,
        phase="Succeeded" if ended == "Complete" else "Failed",
        run=made.run,
        store="s3://bucket/runs/team",
        snapshot=f"{name}-snapshot-1",
        finished=[{"stage": stage, "key": made.key(stage), "completionTime": NOW} for stage in finished],
        conditions=[condition(ended)],
    )
    return made
