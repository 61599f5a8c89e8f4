"""Our stage: stage.py URL ROWS FOLDER SETTINGS.

SETTINGS, in JSON, are members of data.teacher, and `store`.
"""

import json
import os
import sys
import time
from pathlib import Path

url, rows, folder, settings = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])

import openai  # noqa: E402, F401 - counts as start-up, as the peers' imports do

from tunesmith.plan import snapshot  # noqa: E402
from tunesmith.request import parse  # noqa: E402
from tunesmith_jobs.attempt import Attempt  # noqa: E402
from tunesmith_jobs.generate.work import generate  # noqa: E402
from tunesmith_jobs.storage import open_store  # noqa: E402

store = open_store(settings.pop("store", (folder / "store").as_uri()))
data = {"examples": rows, "teacher": {"model": "stub", "baseURL": f"{url}/v1", **settings}}
document = {
    "apiVersion": "tunesmith.dev/v1alpha1",
    "kind": "TrainingRequest",
    "metadata": {"name": "benchmark"},
    "spec": {"task": "Say which of them was first.", "model": {"base": "hf://none/none"}, "data": data},
}
begun = time.time()
attempt = Attempt("generate", snapshot(parse(document), run="r"), store, folder, f"a{time.time_ns()}")
made = int(generate(attempt).metrics["rows"])
done = time.time()
start = begun - float(os.environ["BENCHMARK_BORN"])
print("RESULT", json.dumps({"rows": made, "start": start, "run": done - begun}))
