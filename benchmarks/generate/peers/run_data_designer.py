"""NVIDIA's DataDesigner: run_data_designer.py URL ROWS FOLDER SETTINGS.

SETTINGS, in JSON, are `parallel`, `timeout`, `buffer`, `resume`, and members of RequestAdmissionTuningConfig.
"""

import json
import os
import sys
import time

url, rows, folder, settings = sys.argv[1], int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
os.environ |= {"NEMO_TELEMETRY_ENABLED": "false", "DATA_DESIGNER_HOME": folder, "HOME": folder}

import data_designer.config as dd  # noqa: E402
from data_designer.config.run_config import (  # noqa: E402
    RequestAdmissionTuningConfig,
    ResumeMode,
    RunConfig,
)
from data_designer.interface import DataDesigner  # noqa: E402

parallel = settings.pop("parallel", 4)
timeout = settings.pop("timeout", None)
buffer, resume = settings.pop("buffer", 1000), settings.pop("resume", "never")
begun = time.time()
provider = dd.ModelProvider(name="stub", endpoint=f"{url}/v1", provider_type="openai", api_key="none")
designer = DataDesigner(artifact_path=folder, model_providers=[provider])
tuning = RequestAdmissionTuningConfig(**settings) if settings else None
designer.set_run_config(
    RunConfig(buffer_size=buffer, display_tui=False, disable_early_shutdown=True, request_admission=tuning)
)
inference = dd.ChatCompletionInferenceParams(temperature=1.0, max_parallel_requests=parallel, timeout=timeout)
model = dd.ModelConfig(alias="m", model="stub", provider="stub", inference_parameters=inference)
builder = dd.DataDesignerConfigBuilder(model_configs=[model])
builder.add_column(
    dd.SamplerColumnConfig(name="id", sampler_type=dd.SamplerType.UUID, params=dd.UUIDSamplerParams())
)
builder.add_column(dd.LLMTextColumnConfig(name="text", prompt="make example {{ id }}", model_alias="m"))
made = designer.create(builder, num_records=rows, dataset_name="examples", resume=ResumeMode(resume))
table = made.load_dataset()
done = time.time()
start = begun - float(os.environ["BENCHMARK_BORN"])
print("RESULT", json.dumps({"rows": int(table["text"].notna().sum()), "start": start, "run": done - begun}))
