"""Which architectures the training stage can load.

The preflight asks, whose image has neither torch nor transformers. A test compares the lists with those of
the installed transformers, and prints the new lists if they differ.
"""

import json
from importlib.resources import files

_LISTS = json.loads(files(__package__).joinpath("architectures.json").read_text(encoding="utf-8"))

CAUSAL_LM = frozenset(_LISTS["causalLM"])
"""`model_type` of a config: transformers' MODEL_FOR_CAUSAL_LM_MAPPING_NAMES."""

GGUF = frozenset(_LISTS["gguf"])
"""`general.architecture` of a GGUF file: transformers' GGUF_SUPPORTED_ARCHITECTURES."""
