"""Whether answers have the form that `evaluation.format` asks for.

A regular expression or a schema of a request may take any time on an answer, so answers are checked in a
process of their own (`python -m tunesmith_jobs.answer_format`), which is given up after a while. check.py is
what it does, schema.py looks at a JSON Schema, and bounded.py is its other end.
"""
