"""A scripted teacher: it speaks OpenAI's chat protocol and composes its answers from a grammar.

It is not a language model.
"""
