"""The runs of a store: `python -m tunesmith_jobs.runs --store URL SUBCOMMAND`. The command line asks it.

The answer is one JSON document on standard output. `cat` and `log` print the bytes themselves, and `fetch
--progress` prints progress lines before the document. Errors and exit codes are those of the stages.
"""
