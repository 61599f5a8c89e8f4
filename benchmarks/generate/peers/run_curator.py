"""bespokelabs-curator: run_curator.py URL ROWS FOLDER SETTINGS.

SETTINGS, in JSON, are backend parameters.
"""

import json
import os
import sys
import time
from pathlib import Path

url, rows, folder, settings = sys.argv[1], int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
os.environ |= {"OPENAI_API_KEY": "none", "CURATOR_DISABLE_RICH_DISPLAY": "1", "TELEMETRY_ENABLED": "0"}

import litellm  # noqa: E402
from bespokelabs import curator  # noqa: E402
from datasets import Dataset  # noqa: E402

# without it, curator fetches a table of tokens at its start
os.environ.setdefault(
    "TIKTOKEN_CACHE_DIR", str(Path(litellm.__file__).parent / "litellm_core_utils" / "tokenizers")
)


class Examples(curator.LLM):  # type: ignore[misc] # its package is not here
    """One example a row."""

    def prompt(self, row: dict[str, int]) -> str:
        """What is asked."""
        return f"make example {row['i']}"

    def parse(self, row: dict[str, int], response: object) -> dict[str, object]:
        """A row of the dataset."""
        return {"i": row["i"], "text": str(response)}


begun = time.time()
examples = Examples(
    model_name="gpt-4o-mini", backend="openai", backend_params={"base_url": f"{url}/v1", **settings}
)
made = examples(Dataset.from_dict({"i": list(range(rows))}), working_dir=folder)
dataset = getattr(made, "dataset", made)
done = time.time()
start = begun - float(os.environ["BENCHMARK_BORN"])
print("RESULT", json.dumps({"rows": len(dataset), "start": start, "run": done - begun}))
