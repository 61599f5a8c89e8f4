"""The JSON of every command, member by member.

docs/reference/json.md is written from this, and tests hold the commands to it.
"""

from collections.abc import Mapping

from tunesmith_cli.commands.json_members_cluster import (
    CHANGES,
    CLUSTER,
    FORMAT,
    SOURCE,
    STAGES,
    Document,
    Members,
    each,
)

_RUN: Members = {
    **FORMAT,
    "run": "name of the run",
    "store": "URL of the store",
    "base": "base model",
    **each(
        "stages",
        {
            "name": "stage",
            "key": "its key",
            "done": "whether it has finished",
            "seconds": "that it took",
            "created": "when it finished",
            "folder": "URL of its result",
            "metrics.<metric>?": "its figures",
        },
    ),
    "gate.passed": "whether the gate was passed",
    "gate.message": "the verdict in words",
    "places.<part>?": "URL of dataset, adapter, model and report, of those that are there",
}
_PROBLEM = {"path": "field", "why": "what is wrong", "value": "its value", "remedy": "what to do"}
_PLACED = {"source": "file, and number of the document if it holds several"} | _PROBLEM

_REPORT: Members = {
    **FORMAT,
    "name": "request",
    "run": "name of the run",
    "namespace": "its namespace",
    "created": "when the report was made",
    "task": "the task",
    "systemMessage": "system message",
    "level": "how good the model is, in one word",
    "lead": "the verdict in a sentence",
    "detail": "why",
    "notes": "points to bear in mind",
    "figures": "one of each measure: both models, gain, interval",
    "answers": "both models' answers",
    "curve": "training loss, step by step",
    "data": "figures of the dataset",
    "teacher": "who wrote it, and what it cost",
    "training": "figures of the training",
    "merge": "figures of the merge",
    "settings": "every value, and where it came from",
    "stages": "time that each stage took",
    "pins": "what each stage pinned",
    "modelFiles": "files of the model",
    "device": "where it was evaluated",
    "maxNewTokens": "longest answer",
}
DOCUMENTS: Mapping[str, Document] = {
    "run": Document(
        "`run`, `retry`, `rerun`, on this machine (one line for each request)",
        {
            **_RUN,
            "stages[].reused": "whether it was finished before",
            "end.exitCode": "exit code",
            "end.reason": "one CamelCase word",
            "end.message": "what happened",
            "end.remedy": "what to do",
            "end.stage": "stage that failed or was stopped",
            "end.log": "file with its log",
        },
    ),
    "dry run": Document(
        "`run`, `retry`, `rerun` with `--dry-run`, on this machine",
        {
            **FORMAT,
            "run": "name of the run",
            **each("stages", STAGES),
            **each("changes", CHANGES),
        },
    ),
    "runs": Document(
        "`status`, on this machine",
        {
            **FORMAT,
            "store": "URL of the store",
            **each(
                "runs",
                {
                    "run": "name of the run",
                    "phase": "`Running`, `Complete`, `Incomplete`, `Stopped` or `Failed`",
                    "stage": "latest stage",
                    "progress": "how far it is, for people",
                    "model": "base model",
                    "created": "when it began",
                },
            ),
        },
    ),
    "status": Document(
        "`status NAME`, on this machine",
        {
            **_RUN,
            "phase": "as in the list",
            "progress.stage": "stage that runs; `progress` is null if none does",
            "progress.phase": "what it does",
            "progress.done": "units done",
            "progress.total": "units in all",
            "progress.unit": "name of a unit",
            "progress.eta": "seconds left",
            "progress.metrics.<metric>?": "figures so far",
            "end.exitCode": "how the latest command ended; `end` is null if none did",
            "end.reason": "one CamelCase word",
            "end.message": "what happened",
            "end.remedy": "what to do",
            "end.stage": "stage that failed or was stopped",
            "end.log": "file with its log",
            **SOURCE,
        },
    ),
    "valid": Document(
        "`validate`",
        {
            **FORMAT,
            "valid": "true",
            **each(
                "requests",
                {
                    "name": "request",
                    "run": "name of its run",
                    "source": "file",
                    "stages[].name": "stage",
                    "stages[].key": "its key",
                    **each("warnings", _PROBLEM),
                    "spec?": "the spec with every value; `--resolved`",
                    "provenance?.<path>?": "where each value comes from; `--resolved`",
                },
            ),
        },
    ),
    "invalid": Document(
        "`validate`, if something is wrong (exit code 78, or 64 for a file that cannot be read)",
        {
            **FORMAT,
            "valid": "false",
            "message": "the problem in a line",
            "remedy": "what to do",
            **each("problems", _PLACED),
        },
    ),
    "preview": Document(
        "`preview`",
        {
            **FORMAT,
            "name": "request",
            "run": "name of its run, which keeps what was paid for",
            "systemMessage": "the system message",
            "rows": "the first rows, as they will stand in the dataset",
            "rejected": "what was left out among them, with its reason",
            "answersSeen": "answers that they rest on",
        },
    ),
    "plan": Document(
        "`plan`",
        {
            **FORMAT,
            "name": "request",
            "run": "name of its run, which keeps what was paid for",
            "systemMessage": "the system message; `data.systemMessage` takes it",
            "plan": "the plan; `data.plan` takes it",
        },
    ),
    "estimate": Document(
        "`estimate`",
        {
            **FORMAT,
            **each(
                "requests",
                {
                    "name": "request",
                    "run": "name of its run",
                    "source": "file",
                    "estimate.model": "the teacher; `estimate` is null where none is asked",
                    "estimate.calls.<end>": "calls, at the `low` and at the `high` end",
                    "estimate.inputTokens.<end>": "tokens asked",
                    "estimate.outputTokens.<end>": "tokens answered, thoughts among them",
                    "estimate.usd.<end>": "US dollars; null if a price is not known",
                    "estimate.minutes.<end>": "minutes",
                    "estimate.answersSeen": "paid answers that it rests on; `--ask`",
                    "estimate.limits[].field": "limit of `data.budget` that is set",
                    "estimate.limits[].limit": "its value",
                    "estimate.limits[].least": "the least that can be enough",
                    "estimate.limits[].most": "what is enough in any case",
                    "estimate.limits[].verdict": "`fits`, `may not fit` or `cannot fit`",
                    "training.rows": "rows in a pass; `training` is null where they are not known",
                    "training.steps": "optimizer steps in all",
                    "training.tokens.<end>": "tokens in all passes",
                },
            ),
        },
    ),
    "data": Document(
        "`data check`",
        {
            **FORMAT,
            "file": "file",
            "valid": "whether every row can be used",
            "rows": "rows that can be used",
            "kinds.<kind>?": "number of rows that are bad in this way",
            "problems[].line": "line of a bad row",
            "problems[].kind": "in which way it is bad",
            "problems[].why": "in words",
        },
    ),
    "unreadable data": Document(
        "`data check`, for a file that cannot be read",
        {**FORMAT, "file": "file", "valid": "false", "message": "what is wrong"},
    ),
    "report": Document("`report`", _REPORT),
    "fetch": Document(
        "`fetch`",
        {
            **FORMAT,
            "run": "name of the run",
            "to": "folder",
            "fetched.to": "the same",
            "fetched.parts.<part>?": "folder of each part",
            "fetched.files[].path": "file, from the folder on",
            "fetched.files[].size": "bytes",
            "fetched.files[].sha256": "its checksum",
            "fetched.kept": "number of files that were there already",
        },
    ),
    "infer": Document(
        "`infer`",
        {
            **FORMAT,
            "run": "name of the run",
            "systemMessage": "system message",
            **each(
                "answers",
                {
                    "prompt": "what was asked",
                    "merged?": "answer of the tuned model",
                    "mergedSeconds?": "that it took",
                    "base?": "answer of the base model; `--compare`",
                    "baseSeconds?": "that it took",
                },
            ),
        },
    ),
    "version": Document(
        "`version`",
        {
            **FORMAT,
            "tunesmith": "version of the command line",
            "apiVersion": "of requests",
            "stageFormats.<stage>": "format of each stage's result",
            "python": "version of Python",
            "platform": "system and machine",
            "libraries.<library>?": "version; null: not installed; not with `--client`",
            "cluster.server": "API server; `cluster` is null with `--client`, and without a kubeconfig",
            "cluster.controller?.version": "version of the controller; `unknown` where you may not read it",
            "cluster.controller?.namespace": "where it is",
            "cluster.controller?.image": "its image",
            "cluster.images?.<stage>?": "image of each stage; `images` is null where you may not read it",
            "cluster.crd?.version": "version of the CustomResourceDefinition",
            "cluster.crd?.missingFields": "fields that only this command line knows",
            "cluster.crd?.newFields": "fields that only the CustomResourceDefinition has",
            "cluster.warnings": "what does not go together",
        },
    ),
    **CLUSTER,
}
