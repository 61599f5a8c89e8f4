"""The peer: the same QLoRA as a plain script over trl, written as trl's documentation does.

    python plain.py SETTINGS.json

It prints one line of JSON.
"""

import json
import os
import sys
import time

os.environ |= {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from trl import SFTConfig, SFTTrainer


def main(path: str) -> None:
    """Train as the file says.

    It has `model`, `device`, `rows` (messages of prompt and completion), `steps`, `folder`, and the settings
    `trainer` and `lora`.
    """
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 a plain script
        settings = json.load(file)
    compute_dtype = torch.bfloat16 if settings["device"] == "cuda" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(
        settings["model"],
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=compute_dtype,
            bnb_4bit_use_double_quant=True,
        ),
        dtype=torch.float32,
        device_map={"": settings["device"]},
    )
    config = SFTConfig(
        output_dir=settings["folder"],
        max_steps=settings["steps"],
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=settings["device"] == "cpu",
        dataloader_pin_memory=settings["device"] != "cpu",
        **settings["trainer"],
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(settings["rows"]),
        processing_class=AutoTokenizer.from_pretrained(settings["model"]),
        peft_config=LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", **settings["lora"]),
    )
    began = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - began
    loss = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-1]
    print(json.dumps({"secondsPerStep": seconds / settings["steps"], "loss": loss}))


if __name__ == "__main__":
    main(sys.argv[1])
