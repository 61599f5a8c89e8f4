"""What a profile does not allow is refused, by its path and with a way out; and no trick of writing leads
past a pattern.
"""

from pathlib import Path

import pytest
from requests_for_tests import document

from tunesmith.documents import read_documents
from tunesmith.forbidden_variables import is_forbidden
from tunesmith.policy import not_allowed
from tunesmith.profile import Profile
from tunesmith.request import parse

PROFILE = Profile.model_validate_json("""{
  "name": "gpu",
  "models": {"small": "s3://models/small", "models/demo": "s3://models/demo"},
  "store": {"url": "s3://runs", "secret": "store-keys"},
  "teacherSecret": {"name": "teacher-key"},
  "hubSecret": {"name": "hub-token"},
  "trackerSecrets": {"WANDB_API_KEY": {"name": "wandb-key"}},
  "images": {"pullSecrets": ["registry"]},
  "allow": {
    "secrets": ["mine", "team-*", "{namespace}-*"],
    "endpoints": ["https://llm.corp/v1", "https://*.teachers.corp:8443/*", "http://local:*/v1"],
    "bases": ["hf://org/*", "hf://meta/llama@main", "s3://models/{namespace}/*", "file:///models/*",
              "baked/tiny"],
    "sources": ["s3://data/{namespace}/*", "s3://data/public.jsonl", "s3://*/open/*"],
    "outputs": ["s3://out/{namespace}/*"],
    "env": ["MY_*", "TOKENIZERS_PARALLELISM"],
    "tolerations": ["nvidia.com/*", "spot"],
    "nodeSelector": ["gpu", "topology.kubernetes.io/*"],
    "priorityClassNames": ["batch-*"],
    "trackers": ["tensorboard", "wandb"]
  }
}""")
OWN = {"secret": {"name": "mine"}}


def refused(changes, profile=PROFILE, namespace="team-a", others=()):
    return not_allowed(
        parse(document({"model.base": "small"} | changes, namespace=namespace)), profile, others
    )


def teacher(url, **more):
    return {"data.teacher": {"baseURL": url} | OWN | more}


def env(name, value="1"):
    return {"stages.train": {"env": {name: value}}}


ALLOWED = {
    "nothing but what the profile has": {},
    "a model by its name": {"model.base": "models/demo"},
    "a model of the hub": {"model.base": "hf://org/name"},
    "a revision of it": {"model.base": "hf://org/name@v1.0"},
    "a file of it": {"model.base": "hf://org/name@v1/model.gguf"},
    "the one revision": {"model.base": "hf://meta/llama@main"},
    "a model of the namespace": {"model.base": "s3://models/team-a/x"},
    "a folder that is mounted": {"model.base": "file:///models/x"},
    "a path that is said": {"model.base": "baked/tiny"},
    "an endpoint": teacher("https://llm.corp/v1"),
    "an endpoint with a slash behind it": teacher("https://llm.corp/v1/"),
    "an endpoint with the port that it has anyway": teacher("https://llm.corp:443/v1"),
    "an endpoint in capitals, which hosts do not mind": teacher("https://LLM.Corp/v1"),
    "an endpoint by pattern": teacher("https://a.teachers.corp:8443/v1"),
    "an endpoint at any port": teacher("http://local:8080/v1"),
    "own data of the namespace": {"data.source": {"uri": "s3://data/team-a/x/rows.jsonl"}},
    "own data by name": {"data.source": {"uri": "s3://data/public.jsonl"}},
    "own data in any bucket": {"data.source": {"uri": "s3://lab/open/rows.jsonl"}},
    "documents of the namespace": {"data.documents": {"uri": "s3://data/team-a/manual/"}},
    "an output": {"output": "s3://out/team-a/model"},
    "variables": {"stages.train": {"env": {"MY_FLAG": "1", "TOKENIZERS_PARALLELISM": "false"}}},
    "a toleration": {
        "stages.train": {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}, {"key": "spot"}]}
    },
    "a node selector": {
        "stages.train": {"nodeSelector": {"gpu": "h100", "topology.kubernetes.io/zone": "a"}}
    },
    "a priority class": {"stages.merge": {"priorityClassName": "batch-low"}},
    "a tracker": {"training.reportTo": ["wandb"]},
    "an own secret for the profile's endpoint": {"data.teacher": OWN},
    "an own token": {"model.tokenSecret": {"name": "mine"}},
    "a secret by pattern": {"model.tokenSecret": {"name": "team-a-hub"}},
    "another request": {"data.from": {"request": "other"}},
}


@pytest.mark.parametrize("changes", ALLOWED.values(), ids=ALLOWED)
def test_what_the_profile_allows_is_no_problem(changes):
    assert refused(changes) == []


BASE, URL, SOURCE, OUTPUT = (
    "spec.model.base",
    "spec.data.teacher.baseURL",
    "spec.data.source.uri",
    "spec.output",
)
SECRET, TOKEN = "spec.data.teacher.secret.name", "spec.model.tokenSecret.name"
NOT_ALLOWED = "the profile 'gpu' does not allow it"
PLAIN = "cannot be compared with what the profile 'gpu' allows"
STEERS = "decides where secrets go or what is run"
REFUSED = {  # changes of the spec -> path, and what is said
    "a model of somebody else": ({"model.base": "hf://other/name"}, BASE, NOT_ALLOWED),
    "a model whose organisation only begins alike": ({"model.base": "hf://org2/name"}, BASE, NOT_ALLOWED),
    "another revision": ({"model.base": "hf://meta/llama@dev"}, BASE, NOT_ALLOWED),
    "a proposal that anybody may make": ({"model.base": "hf://org/name@refs/pr/1"}, BASE, NOT_ALLOWED),
    "a model of another namespace": ({"model.base": "s3://models/team-b/x"}, BASE, NOT_ALLOWED),
    "up and down again": ({"model.base": "s3://models/team-a/../team-b/x"}, BASE, PLAIN),
    "up in the hub": ({"model.base": "hf://org/.."}, BASE, PLAIN),
    "up from an organisation": ({"model.base": "hf://org/../../other/name.gguf"}, BASE, PLAIN),
    "up in a revision": ({"model.base": "hf://org/name@../../other/name"}, BASE, PLAIN),
    "up, in percent signs": ({"model.base": "s3://models/team-a/%2e%2e/team-b"}, BASE, PLAIN),
    "two slashes": ({"model.base": "s3://models//team-a/x"}, BASE, PLAIN),
    "a scheme in capitals": ({"model.base": "S3://models/team-a/x"}, BASE, PLAIN),
    "a backslash": ({"model.base": "s3://models/team-a/..\\team-b"}, BASE, PLAIN),
    "a folder": (
        {"model.base": "file:///etc"},
        BASE,
        "is a path, and the pods of a cluster cannot see your folders",
    ),
    "a folder that only begins alike": ({"model.base": "file:///models2/x"}, BASE, "is a path"),
    "a folder from which a slash is missing": ({"model.base": "file://models/x"}, BASE, "is a path"),
    "a relative path": ({"model.base": "models/other"}, BASE, "is a path"),
    "an absolute path": ({"model.base": "/baked/tiny"}, BASE, "is a path"),
    "a name in other letters": ({"model.base": "Small"}, BASE, "is a path"),
    "another endpoint": (teacher("https://evil.corp/v1"), URL, NOT_ALLOWED),
    "an endpoint that only begins alike": (teacher("https://llm.corp.evil.com/v1"), URL, NOT_ALLOWED),
    "an endpoint without encryption": (teacher("http://llm.corp/v1"), URL, NOT_ALLOWED),
    "an endpoint at another port": (teacher("https://llm.corp:8443/v1"), URL, NOT_ALLOWED),
    "an endpoint with another path": (teacher("https://llm.corp/v2"), URL, NOT_ALLOWED),
    "a path that only begins alike": (teacher("https://llm.corp/v1beta"), URL, NOT_ALLOWED),
    "a path below": (teacher("https://llm.corp/v1/proxy"), URL, NOT_ALLOWED),
    "no path": (teacher("https://llm.corp"), URL, NOT_ALLOWED),
    "up in an endpoint": (teacher("https://a.teachers.corp:8443/v1/../admin"), URL, PLAIN),
    "a host that hides in a path": (teacher("https://evil.com/.teachers.corp:8443/v1"), URL, NOT_ALLOWED),
    "a host that hides in a query": (teacher("https://evil.com/?https://llm.corp/v1"), URL, PLAIN),
    "a host that hides in a fragment": (teacher("https://evil.com/#.teachers.corp:8443/v1"), URL, PLAIN),
    "a pattern's host without its front": (teacher("https://.teachers.corp:8443/v1"), URL, PLAIN),
    "an endpoint without a secret": (
        {"data.teacher": {"baseURL": "https://llm.corp/v1"}},
        URL,
        "comes without a secret",
    ),
    "own data of another namespace": ({"data.source": {"uri": "s3://data/team-b/x"}}, SOURCE, NOT_ALLOWED),
    "own data of a namespace that begins alike": (
        {"data.source": {"uri": "s3://data/team-ab/x"}},
        SOURCE,
        NOT_ALLOWED,
    ),
    "own data by a name that begins alike": (
        {"data.source": {"uri": "s3://data/public.jsonl.bak"}},
        SOURCE,
        NOT_ALLOWED,
    ),
    "folders that nobody sees": ({"data.source": {"uri": "s3://lab/**/x"}}, SOURCE, PLAIN),
    "up to another's data": ({"data.source": {"uri": "s3://data/team-a/../team-b"}}, SOURCE, PLAIN),
    "a star does not reach over a slash": (
        {"data.source": {"uri": "s3://data/team-b/open/x"}},
        SOURCE,
        NOT_ALLOWED,
    ),
    "documents of another namespace": (
        {"data.documents": {"uri": "s3://data/team-b/manual/"}},
        "spec.data.documents.uri",
        NOT_ALLOWED,
    ),
    "documents of the pod": (
        {"data.documents": {"uri": "/var/run/secrets"}},
        "spec.data.documents.uri",
        "is a path",
    ),
    "a file of the pod": ({"data.source": {"uri": "/var/run/secrets/token"}}, SOURCE, "is a path"),
    "a file of the pod, by URL": ({"data.source": {"uri": "file:///proc/self/environ"}}, SOURCE, "is a path"),
    "the namespace's folder itself": ({"output": "s3://out/team-a"}, OUTPUT, NOT_ALLOWED),
    "an output elsewhere": ({"output": "s3://out/team-b/m"}, OUTPUT, NOT_ALLOWED),
    "an output in the store": ({"output": "s3://runs/team-a/m"}, OUTPUT, NOT_ALLOWED),
    "the profile's teacher key": (
        teacher("https://llm.corp/v1", secret={"name": "teacher-key"}),
        "spec.data.teacher.secret.name",
        "Secret",
    ),
    "the profile's store keys": (
        {"data.teacher": {"secret": {"name": "store-keys"}}},
        SECRET,
        "is a Secret of",
    ),
    "a secret that somebody else's work needs": (
        {"data.teacher": {"secret": {"name": "database"}}},
        SECRET,
        NOT_ALLOWED,
    ),
    "a token that somebody else's work needs": (
        {"model.tokenSecret": {"name": "database"}},
        TOKEN,
        NOT_ALLOWED,
    ),
    "a secret whose name only ends alike": ({"model.tokenSecret": {"name": "not-mine"}}, TOKEN, NOT_ALLOWED),
    "the profile's hub token": ({"model.tokenSecret": {"name": "hub-token"}}, TOKEN, "is a Secret of"),
    "a tracker's key": ({"model.tokenSecret": {"name": "wandb-key", "key": "x"}}, TOKEN, "is a Secret of"),
    "the registry's password": ({"model.tokenSecret": {"name": "registry"}}, TOKEN, "is a Secret of"),
    "a variable": (env("OTHER"), "spec.stages.train.env.OTHER", NOT_ALLOWED),
    "a variable that names another": (
        env("MY_FLAG", "$(HF_TOKEN)"),
        "spec.stages.train.env.MY_FLAG",
        "holds `$(`",
    ),
    "a variable that steers": (env("HTTPS_PROXY"), "spec.stages.train.env.HTTPS_PROXY", STEERS),
    "a toleration of another taint": (
        {"stages.train": {"tolerations": [{"key": "spot"}, {"key": "control-plane"}]}},
        "spec.stages.train.tolerations[1].key",
        NOT_ALLOWED,
    ),
    "a toleration of all taints": (
        {"stages.merge": {"tolerations": [{"operator": "Exists"}]}},
        "spec.stages.merge.tolerations[0].key",
        NOT_ALLOWED,
    ),
    "a node selector": (
        {"stages.train": {"nodeSelector": {"role": "x"}}},
        "spec.stages.train.nodeSelector.role",
        NOT_ALLOWED,
    ),
    "a priority class": (
        {"stages.train": {"priorityClassName": "system-node-critical"}},
        "spec.stages.train.priorityClassName",
        NOT_ALLOWED,
    ),
    "a tracker": ({"training.reportTo": ["tensorboard", "mlflow"]}, "spec.training.reportTo", NOT_ALLOWED),
    "a tracker of a variant": (
        {"training.variants": [{"name": "a", "overrides": {"reportTo": ["mlflow"]}}]},
        "spec.training.variants[0].overrides.reportTo",
        NOT_ALLOWED,
    ),
    "a request that waits for itself": (
        {"data.from": {"request": "riddles"}},
        "spec.data.from.request",
        "would wait for itself",
    ),
    "a request that starts from itself": (
        {"training.from": {"request": "riddles"}},
        "spec.training.from.request",
        "wait for itself",
    ),
}


@pytest.mark.parametrize(("changes", "path", "says"), REFUSED.values(), ids=REFUSED)
def test_what_the_profile_does_not_allow_is_named_with_a_way_out(changes, path, says):
    [problem] = refused(changes)
    assert (problem.path, says in problem.why, bool(problem.remedy)) == (path, True, True), problem


def test_by_default_a_request_sets_nothing_but_a_model_of_the_hub_and_where_it_runs():
    wish = (
        teacher("https://llm.corp/v1")
        | env("A")
        | {"output": "s3://a/b", "data.source": {"uri": "s3://a/b"}, "model.base": "hf://a/b"}
        | {"model.tokenSecret": {"name": "mine"}}
    )
    wish |= {
        "stages.merge": {
            "priorityClassName": "p",
            "tolerations": [{"key": "t"}],
            "nodeSelector": {"gpu": "a"},
        }
    }
    assert [problem.path for problem in refused(wish, Profile())] == [
        URL,
        SOURCE,
        OUTPUT,
        SECRET,
        TOKEN,
        "spec.stages.train.env.A",
        "spec.stages.merge.tolerations[0].key",
        "spec.stages.merge.priorityClassName",
    ]
    assert refused({"model.base": "hf://a/b@refs/pr/1"}, Profile()) == []


def test_an_endpoint_needs_no_secret_where_the_profile_has_none_to_protect():
    profile = Profile.model_validate_json(
        '{"allow": {"endpoints": ["http://vllm:8000/v1"], "bases": ["small"]}}'
    )
    assert refused({"data.teacher": {"baseURL": "http://vllm:8000/v1"}}, profile) == []


def test_a_secret_that_the_profile_s_defaults_name_is_the_profile_s_too():
    profile = Profile.model_validate_json("""{"allow": {"endpoints": ["https://llm.corp/v1"], "bases": ["*"]},
        "defaults": {"data": {"teacher": {"secret": {"name": "lab"}}},
                     "model": {"tokenSecret": {"name": "hub"}}}}""")
    assert [
        problem.path for problem in refused(teacher("https://llm.corp/v1", secret={"name": "lab"}), profile)
    ] == [SECRET]
    assert [
        problem.path for problem in refused({"data.teacher": {"baseURL": "https://llm.corp/v1"}}, profile)
    ] == [URL]
    assert [problem.path for problem in refused({"model.tokenSecret": {"name": "hub"}}, profile)] == [TOKEN]


def test_a_secret_of_another_profile_cannot_be_sent_elsewhere_either():
    cheap = Profile.model_validate_json(
        '{"name": "cheap", "allow": {"endpoints": ["https://*/*"], "bases": ["*"], "secrets": ["*"]}}'
    )
    gold = Profile.model_validate_json(
        '{"name": "gold", "teacherSecret": {"name": "gold-teacher"}, "hubSecret": {"name": "gold-hub"}}'
    )
    stolen = teacher("https://evil.example/v1", secret={"name": "gold-teacher"}) | {
        "model.tokenSecret": {"name": "gold-hub"}
    }
    assert [
        (problem.path, "of the profile 'gold'" in problem.why)
        for problem in refused(stolen, cheap, others=[cheap, gold])
    ] == [
        (SECRET, True),
        (TOKEN, True),
    ]
    assert refused(teacher("https://evil.example/v1"), cheap, others=[cheap, gold]) == []


MEMBERS = {  # what the request sets in data.teacher -> the paths that are refused
    "a header that is allowed, in other letters": ({"headers": {"x-team": "nlp"}}, []),
    "a pattern": ({"body": {"top_k": 1, "top_p": 0.5}}, []),
    "another header": ({"headers": {"X-Org": "other"}}, ["headers.X-Org"]),
    "another header whose value is a secret": (
        {"secretHeaders": {"api-key": {"name": "mine"}}},
        ["secretHeaders.api-key"],
    ),
    "a version": ({"query": {"api-version": "1"}}, []),
    "anything else in the query": ({"query": {"debug": "1"}}, ["query.debug"]),
    "a secret in the query": ({"secretQuery": {"sig": {"name": "mine"}}}, ["secretQuery.sig"]),
    "a member of the body": ({"body": {"service_tier": "priority"}}, ["body.service_tier"]),
    "a Secret that is not allowed": (
        {"secretHeaders": {"X-Team": {"name": "theirs"}}},
        ["secretHeaders.X-Team.name"],
    ),
    "a Secret of the profile": (
        {"secretHeaders": {"X-Team": {"name": "gate"}}},
        ["secretHeaders.X-Team.name"],
    ),
    "an endpoint of its own with a key in a header": (
        {"baseURL": "https://llm.corp/v1", "secretHeaders": {"X-Team": {"name": "mine"}}},
        [],
    ),
}


@pytest.mark.parametrize(("teachers", "paths"), MEMBERS.values(), ids=MEMBERS)
def test_members_beside_the_call_are_allowed_by_name(teachers, paths):
    profile = Profile.model_validate_json("""{
      "defaults": {"data": {"teacher": {"secretHeaders": {"x-gateway": {"name": "gate"}}}}},
      "teacherSecret": {"name": "key"},
      "allow": {"headers": ["X-Team"], "query": ["api-*"], "body": ["top_*"], "secrets": ["mine", "gate"],
                "endpoints": ["https://llm.corp/v1"]}}""")
    found = refused({"model.base": "hf://org/name", "data.teacher": teachers}, profile)
    assert [problem.path for problem in found] == [f"spec.data.teacher.{path}" for path in paths]
    assert {problem.value for problem in found} <= {None, "theirs", "gate"}, "names of Secrets only"


def test_a_profile_that_says_nothing_allows_no_members():
    wish = {"headers": {"X-Team": "a"}, "query": {"v": "1"}, "body": {"top_k": 1}}
    found = refused({"model.base": "hf://org/name", "data.teacher": wish}, Profile())
    assert [problem.path.rpartition("teacher.")[2] for problem in found] == [
        "headers.X-Team",
        "query.v",
        "body.top_k",
    ]
    assert all("allow." in problem.remedy for problem in found)


def test_an_empty_endpoint_is_openai_s_own_and_judged_as_that():
    wish = teacher("")
    [problem] = refused(wish)
    assert (problem.path, problem.value, problem.why) == (URL, "https://api.openai.com/v1", NOT_ALLOWED)
    openai = Profile.model_validate_json(
        '{"allow": {"endpoints": ["https://api.openai.com/v1"], "bases": ["*"], "secrets": ["mine"]}}'
    )
    assert refused(wish, openai) == []


def test_the_quickstart_runs_with_the_tryout_s_profile_and_own_data_of_this_machine_does_not():
    def example(name):
        [read] = read_documents(
            Path(__file__).parents[2].joinpath(f"examples/{name}.yaml").read_text(encoding="utf-8")
        )
        return parse(read)

    models = {"models/SmolLM2-135M-Instruct": "s3://tunesmith/models/SmolLM2-135M-Instruct"}
    assert not_allowed(example("quickstart"), Profile(models=models)) == []
    assert [problem.path for problem in not_allowed(example("own-data"), Profile(models=models))] == [SOURCE]


def test_a_refusal_says_what_is_allowed():
    [problem] = refused({"output": "s3://elsewhere/x"})
    assert (
        problem.remedy
        == "allowed: s3://out/team-a/*; or ask the platform team to add it to `allow.outputs` of the profile"
    )


NEVER = [
    "TUNESMITH_STORE",
    "TUNESMITH_TEACHER_API_KEY",
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE",
    "OPENAI_BASE_URL",
    "HF_TOKEN",
    "HF_TOKEN_PATH",
    "HF_ENDPOINT",
    "HF_INFERENCE_ENDPOINT",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_HUB_DISABLE_TELEMETRY",
    "DO_NOT_TRACK",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "HOME",
    "NETRC",
    "XDG_CONFIG_HOME",
    "WANDB_BASE_URL",
    "WANDB_API_KEY",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_TOKEN",
    "PATH",
    "LD_PRELOAD",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "BASH_ENV",
    "CC",
    "TRITON_CACHE_DIR",
    "NCCL_NET_PLUGIN",
    "CUDA_INJECTION64_PATH",
    "NVIDIA_VISIBLE_DEVICES",
    "KUBERNETES_SERVICE_HOST",
    "MLFLOW_S3_ENDPOINT_URL",
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT",
    "WANDB_CREDENTIALS_FILE",
    "WANDB_CONFIG_DIR",
    "WANDB__EXECUTABLE",
    "TRACKIO_SPACE_ID",
    "TRACKIO_DATASET_ID",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AZURE_STORAGE_CONNECTION_STRING",
    "OMP_TOOL_LIBRARIES",
    "CUDA_HOME",
    "CUDA_PATH",
    "HF_HOME",
    "HF_MODULES_CACHE",
    "SSLKEYLOGFILE",
    "HOSTALIASES",
    "GIT_SSH_COMMAND",
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD",
    "SOME_LIBRARY_API_KEY",
    "SOME_LIBRARY_ENDPOINT",
    "SOME_TELEMETRY_OFF",
]


@pytest.mark.parametrize("name", NEVER)
def test_what_steers_is_refused_though_the_profile_allows_every_variable(name):
    profile = Profile.model_validate_json('{"allow": {"env": ["*"], "bases": ["*"]}}')
    [problem] = refused(env(name), profile)
    assert (problem.path, problem.why.startswith(STEERS)) == (f"spec.stages.train.env.{name}", True)


HARMLESS = [
    "MY_FLAG",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_LAUNCH_BLOCKING",
    "NCCL_DEBUG",
    "TOKENIZERS_PARALLELISM",
    "TORCH_LOGS",
    "PYTORCH_CUDA_ALLOC_CONF",
    "WANDB_PROJECT",
    "WANDB_MODE",
    "WANDB_RUN_GROUP",
    "WANDB_TAGS",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_TAGS",
    "TRACKIO_PROJECT",
]


@pytest.mark.parametrize("name", HARMLESS)
def test_what_steers_nothing_may_be_allowed(name):
    assert not is_forbidden(name)
