"""Environment variables that no request may set, whatever a profile allows. Pure; for the runner and the controller alike.

They decide where secrets go (endpoints, proxies, certificates, credentials, folders that credentials are read from), what is run
(loaders, plugins, compilers), which GPUs are seen, or whether a library phones home.
"""

import re

_NEVER = (
    r"TUNESMITH_.*|AWS_.*|OPENAI_.*",
    r"HF_(TOKEN|.*ENDPOINT|HUB_DISABLE_TELEMETRY|.*TOKEN.*)|HUGGING_?FACE.*|DO_NOT_TRACK",
    r".*_PROXY|.*_CA_BUNDLE|SSL_.*|OPENSSL_.*|NETRC|HOME|XDG_.*|KUBERNETES_.*",
    r"WANDB_(BASE_URL|API_KEY|IDENTITY_TOKEN_FILE)|MLFLOW_.*(URI|TOKEN|USERNAME|PASSWORD|TLS).*|TRACKIO_(SERVER|SPACE).*",
    r"PATH|LD_.*|PYTHON.*|PYDANTIC_.*|BASH_ENV|ENV|SHELL|IFS|GLIBC_.*|GCONV_PATH|LOCPATH",
    r"CC|CXX|TRITON_.*|TORCHINDUCTOR_.*|TORCH_EXTENSIONS_DIR|NCCL_.*PLUGIN.*|CUDA_INJECTION.*|BNB_.*|NVIDIA_.*",
)
_PATTERN = re.compile("|".join(_NEVER), re.IGNORECASE)


def never_a_requests(name: str) -> bool:
    """Whether a variable decides where secrets go or what is run, so that `stages.<name>.env` may not set it."""
    return _PATTERN.fullmatch(name) is not None
