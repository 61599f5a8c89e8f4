"""How many rows a split asks for. Pure.

generate divides rows by it (tunesmith_jobs/generate/split.py), and a request whose parts would stay empty is
known by it before anything is spent.
"""


def split_sizes(rows: int, *, test: float, validation: float) -> tuple[int, int]:
    """Rows for test and for validation, from their shares.

    A share above 0 gets at least one of two or more rows; at least one row stays for train.
    """
    of_test = _share(rows, test)
    return of_test, min(_share(rows, validation), max(0, rows - of_test - 1))


def _share(rows: int, share: float) -> int:
    if share == 0 or rows < 2:
        return 0
    return min(rows - 1, max(1, round(share * rows)))
