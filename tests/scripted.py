"""A scripted teacher in a thread, and specs of requests that ask it."""

import asyncio
import contextlib
import threading

from tunesmith_jobs.generate.patience import Patience
from tunesmith_tryout.scripted_teacher.faults import read_faults
from tunesmith_tryout.scripted_teacher.server import Server, started

SUPPORT = (
    "A support desk assistant: turns a customer's message into JSON with category, priority and product."
)
# For a teacher that fails; a busy machine may look like it
QUICK = Patience(request=0.6, tries=3, silence=1.2, drain=1.0, base=0.02)
# For a teacher that answers
PATIENT = Patience(request=20.0, tries=3, silence=20.0, drain=1.0, base=0.02)


@contextlib.contextmanager
def in_a_thread(server):
    """Runs what has an `app()`, and yields its address, which ends in /v1."""
    loop = asyncio.new_event_loop()
    urls, ready, end = [], threading.Event(), asyncio.Event()

    async def serve():
        async with started(server) as url:
            urls.append(url)
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(10)
        loop.close()


@contextlib.contextmanager
def teacher(*faults, latency=0.0, requests_per_second=0.0):
    """A running scripted teacher; `.url` and its counts."""
    server = Server(
        latency=latency,
        faults=[read_faults(text) for text in faults],
        requests_per_second=requests_per_second,
    )
    with in_a_thread(server) as server.url:
        yield server


def spec(url, rows=20, task=SUPPORT, teacher=None, **data):
    """A spec that has `rows` rows written by the teacher at `url`."""
    return {
        "task": task,
        "data": {
            "examples": rows,
            "teacher": {"model": "scripted", "baseURL": url, **(teacher or {})},
            **data,
        },
    }
