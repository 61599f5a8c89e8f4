import sys

from tunesmith_cli import main

if __name__ == "__main__":
    sys.exit(main())
