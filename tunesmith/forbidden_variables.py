"""Environment variables that no request may set, whatever its profile allows. Pure.

They decide where secrets go (endpoints, proxies, certificates, credentials, folders from which credentials
are read), which code runs (loaders, plugins, compilers), which GPUs are visible, or whether a library phones
home. The runner and the controller both refuse them.
"""

import re

_NEVER = (
    r"TUNESMITH_.*|(AWS|AZURE|GOOGLE|GCE|CLOUDSDK|BOTO|KUBERNETES|OPENAI)_.*",
    r"HF_(HOME|MODULES_CACHE)|HUGGING_?FACE.*|DO_NOT_TRACK|.*TELEMETRY.*|.*TRUST_REMOTE_CODE.*|.*_KERNELS",
    # By a word in the name, whichever library reads it; but not TOKENIZERS_PARALLELISM.
    r".*(ENDPOINT|CREDENTIAL|PASSWORD|PASSWD|SECRET|API_?KEY|BASE_URL).*|(.*_)?TOKENS?(_.*)?|.*_PROXY|.*_CA_BUNDLE|.*_CAFILE",
    r"SSL.*|.*_SSL_.*|OPENSSL_.*|GRPC_.*|CURL_.*|NETRC|HOME|XDG_.*|HOSTALIASES|RES_OPTIONS|LOCALDOMAIN|(GIT|SSH)_.*",
    # Of trackers a request may set what names a run, but nothing that says where it goes.
    r"WANDB_(?!(PROJECT|ENTITY|NAME|NOTES|TAGS|RUN_.*|JOB_TYPE|RESUME|MODE|LOG_MODEL|WATCH|SILENT|DISABLED)$).*",
    r"MLFLOW_(?!(EXPERIMENT_.*|RUN_.*|NESTED_RUN|TAGS|FLATTEN_PARAMS|MAX_LOG_PARAMS)$).*|TRACKIO_(?!PROJECT$).*",
    r"PATH|LD_.*|PYTHON.*|PYDANTIC_.*|BASH_.*|ENV|SHELL|IFS|GLIBC_.*|GCONV_PATH|LOCPATH|.*_PLUGIN.*|.*LIBRAR(Y|IES).*|OMP_TOOL.*",
    r"CC|CXX|CUDACXX|(CUDA|ROCM|HIP)_(HOME|PATH|ROOT|INJECTION).*|CUDA_MPS_.*|HSA_.*|NVCC.*|TRITON_.*|TORCHINDUCTOR_.*",
    r"TORCH_(EXTENSIONS_DIR|HOME|FORCE_.*)|NCCL_(CONF_FILE|.*PLUGIN.*)|BNB_.*|NVIDIA_.*",
)
_PATTERN = re.compile("|".join(_NEVER), re.IGNORECASE)


def is_forbidden(name: str) -> bool:
    """Whether `stages.<name>.env` may not set a variable, since it decides where secrets go or which code
    runs.
    """
    return _PATTERN.fullmatch(name) is not None
