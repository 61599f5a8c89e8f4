import sys

from tunesmith.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
