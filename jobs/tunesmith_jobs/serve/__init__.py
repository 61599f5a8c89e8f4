"""The data of a cluster's runs, for a command line that has no credentials of its own for the store.

    python -m tunesmith_jobs.serve --store URL

It runs in a short-lived pod with the profile's identity. It listens on loopback alone, where a port-forward
ends and other pods do not reach it. It answers one session: the callers that know the token whose sha256 is
in its environment. It ends by itself when no more requests come.

    GET  /ready                        whether it is up, and for which store
    POST /ask     {"arguments": […]}   a subcommand of tunesmith_jobs.runs: list, log, delete
    POST /run     {"snapshot": {…}}    manifests of the finished stages, and the files of each part
    GET  /object?path=…  [Range]       an object
    POST /infer   {"snapshot": {…}, "prompts": […], …}
                                       answers as they come, one JSON object a line: out, err, and last exit

An error is {"exitCode", "reason", "message", "remedy"}, like those of the stages.
"""
