"""The data of a cluster's runs for a command line that has no credentials of its own: `python -m tunesmith_jobs.serve --store URL`.

It runs in a short-lived pod with the profile's identity, listens on loopback alone (a port-forward ends there, other pods do not),
and answers one session: whoever knows the token whose sha256 is in TUNESMITH_SESSION. It ends by itself when nobody asks any more.

    GET  /ready                        is it there, and for which store
    POST /ask     {"arguments": […]}   a verb of tunesmith_jobs.runs: list, log, delete
    POST /run     {"snapshot": {…}}    manifests of the finished stages, and the files of dataset, adapter, model and report
    GET  /object?path=…  [Range]       an object
    POST /infer   {"snapshot": {…}, "prompts": […], …}   answers as they come, one JSON object per line: out, err, at last exit

A failure is {"exitCode", "reason", "message", "remedy"}, as the stages' own.
"""
