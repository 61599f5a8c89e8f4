import os
import sys

# Before any library is imported: nothing phones home, and standard output holds answers only.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
# Threads that wait sleep instead of spinning: on a busy machine answers come several times sooner.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from tunesmith_jobs.infer.command import main

if __name__ == "__main__":
    sys.exit(main())
