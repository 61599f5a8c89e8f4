import sys

from tunesmith_cli.main import main

if __name__ == "__main__":
    sys.exit(main())
