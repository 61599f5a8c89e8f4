"""The stage `merge`: adds the adapter to the base model's original weights, streamed from folder to store.

    tensors.py       safetensors files: where each tensor lies, reading a part of one, writing headers
    weights.py       which files of the base model hold its weights
    adapter.py       what a PEFT adapter changes; whatever cannot be merged exactly is refused, by name
    names.py         which tensor of the base a change belongs to
    layout.py        base + adapter + settings -> the files to write
    blocks.py        the arithmetic of one block of rows
    rounding.py      one rounding at the end: to nearest, or stochastic
    stream.py        blocks through a fixed pool of buffers into the store, shard by shard
    model_folder.py  the other files of the model: config, index, tokenizer, license
    card.py          the facts of the model card
    work.py          the stage

Memory does not depend on the size of the model: it holds a few blocks, and the factors of the tensors that
are being merged.
"""
