"""distilabel: run_distilabel.py URL ROWS FOLDER SETTINGS.

SETTINGS, in JSON, are `batch` and `timeout`.
"""

import json
import os
import sys
import time

url, rows, folder, settings = sys.argv[1], int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
os.environ["DISTILABEL_CACHE_DIR"] = folder

from distilabel.models import OpenAILLM  # noqa: E402
from distilabel.pipeline import Pipeline  # noqa: E402
from distilabel.steps import LoadDataFromDicts  # noqa: E402
from distilabel.steps.tasks import TextGeneration  # noqa: E402

if __name__ == "__main__":
    begun = time.time()
    batch = settings.pop("batch", 50)
    with Pipeline(name="examples", cache_dir=folder) as pipeline:
        load = LoadDataFromDicts(
            data=[{"instruction": f"make example {i}"} for i in range(rows)], batch_size=batch
        )
        model = OpenAILLM(model="gpt-4o-mini", base_url=f"{url}/v1", api_key="none", **settings)
        load >> TextGeneration(llm=model, input_batch_size=batch)
    dataset = pipeline.run(use_cache=True)["default"]["train"]
    made = sum(text is not None for text in dataset["generation"])
    done = time.time()
    start = begun - float(os.environ["BENCHMARK_BORN"])
    print("RESULT", json.dumps({"rows": made, "start": start, "run": done - begun}))
