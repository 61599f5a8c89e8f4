"""The controller: TrainingRequests become Jobs, one stage after another. `decide` decides, the rest acts."""

import sys

from tunesmith.errors import ExitCode

_EXTRA = ("kubernetes", "prometheus_client")  # the modules of the extra `controller`


def run() -> None:
    """Run the controller: the script `tunesmith-controller`. See `tunesmith_controller.main.main`."""
    try:
        from tunesmith_controller.main import main
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        print(
            f"tunesmith-controller: there is no module {error.name}\n"
            "What to do: pip install 'tunesmith[controller]', or use the controller's image",
            file=sys.stderr,
        )
        sys.exit(ExitCode.USAGE)
    main()
