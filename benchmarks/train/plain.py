"""The peer: the same QLoRA as a plain script over trl, as its documentation has it: `python plain.py SETTINGS.json`, one line of JSON."""

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
    """Train as the file says: `model`, `rows` (prompt/completion messages), `steps`, `device`, `trainer` and `lora` settings."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 a plain script
        wish = json.load(file)
    kind = torch.bfloat16 if wish["device"] == "cuda" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(
        wish["model"],
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=kind,
            bnb_4bit_use_double_quant=True,
        ),
        dtype=torch.float32,
        device_map={"": wish["device"]},
    )
    config = SFTConfig(
        output_dir=wish["folder"],
        max_steps=wish["steps"],
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=wish["device"] == "cpu",
        dataloader_pin_memory=wish["device"] != "cpu",
        **wish["trainer"],
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(wish["rows"]),
        processing_class=AutoTokenizer.from_pretrained(wish["model"]),
        peft_config=LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", **wish["lora"]),
    )
    began = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - began
    loss = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-1]
    print(json.dumps({"secondsPerStep": seconds / wish["steps"], "loss": loss}))


if __name__ == "__main__":
    main(sys.argv[1])
