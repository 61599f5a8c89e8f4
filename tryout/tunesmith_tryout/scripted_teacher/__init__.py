"""A scripted teacher: it speaks OpenAI's chat protocol on this machine and composes its answers from a grammar. No language model."""
