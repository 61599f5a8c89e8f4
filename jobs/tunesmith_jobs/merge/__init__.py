"""The stage `merge`: the adapter, added to the base model's original weights, streamed from folder to store.

    files.py     safetensors files: where each tensor lies, reading a part of one, writing headers
    adapter.py   what a PEFT adapter changes; what it does that cannot be merged exactly is refused, by name
    plan.py      base + adapter + settings -> the shards to write
    blocks.py    the arithmetic of one block of rows
    rounding.py  one rounding at the end: to nearest, or stochastic
    stream.py    blocks through a fixed pool of buffers into the store, shard by shard
    folder.py    what lies beside the weights: config, index, tokenizer, licence
    card.py      the facts of the model card
    work.py      the stage

Memory does not depend on the model: a few blocks, and the factors of the tensors at work.
"""
