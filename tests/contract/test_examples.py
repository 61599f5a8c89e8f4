"""Every request in examples/ is a request."""

from pathlib import Path

import pytest

from tunesmith.documents import read_documents
from tunesmith.plan import snapshot
from tunesmith.request import parse

EXAMPLES = sorted(Path(__file__).parents[2].joinpath("examples").glob("*.yaml"))


def test_there_are_examples():
    assert {path.stem for path in EXAMPLES} >= {
        "quickstart",
        "riddles-llama2",
        "own-data",
        "documents",
        "claude-teacher",
        "s3",
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_resolves(path):
    for document in read_documents(path.read_text(encoding="utf-8"), path.name):
        request = parse(document)
        assert request.metadata.name == path.stem
        assert len(snapshot(request, run=path.stem).stages) >= 4


def test_the_article_s_request_is_kept_to_the_byte():
    [document] = read_documents(
        Path(__file__).parents[2].joinpath("examples/riddles-llama2.yaml").read_text(encoding="utf-8")
    )
    spec = parse(document).spec
    assert (
        spec.task == "一个能够接收中文中类似猜灯谜的问题,并用经过深思熟虑、逐步推理的方式以中文回答的模型。"
    )
    assert spec.evaluation.prompts == ("请问,哪个字一年四季都不会凋零?",)
