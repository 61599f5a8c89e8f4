"""Which tokens a row becomes, which of them carry loss, and the numbers of a split."""

import pytest

from tests.tiny import tiny_model
from tunesmith.errors import BadData, BadRequest
from tunesmith_jobs.rows import Row
from tunesmith_jobs.train import tokens

ROW = Row(id="1", prompt="Where is my invoice?", response='{"category": "billing"}')
FOLDING = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{{ m['content'] + '\\n' }}{% endfor %}"
)


@pytest.fixture(scope="module")
def tokenizer(model):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


def encode(tokenizer, row=ROW, system="Sort it.", max_length=0) -> tokens.Encoded:
    return tokens.encode(
        tokenizer, system, row, system_role=tokens.has_system_role(tokenizer), max_length=max_length
    )


def test_loss_is_on_the_answer_and_the_end_of_its_turn_only(tokenizer) -> None:
    assert tokens.preview(tokenizer, encode(tokenizer)) == [
        {
            "text": "<|im_start|>system\nSort it.<|im_end|>\n"
            "<|im_start|>user\nWhere is my invoice?<|im_end|>\n<|im_start|>assistant\n",
            "loss": False,
        },
        {"text": '{"category": "billing"}<|im_end|>\n', "loss": True},
    ]


def test_rows_are_prepared_as_trl_itself_would(tokenizer, model, tmp_path) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    from tunesmith_jobs.chat import conversation

    rows = [
        ROW,
        Row(
            id="2",
            prompt="é",
            response="ü",
            history=({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}),
            system="Own.",
        ),
    ]
    pairs = [conversation("Sort it.", row.to_json()) for row in rows]
    dataset = Dataset.from_list(
        [{"prompt": prompt, "completion": completion} for prompt, completion in pairs]
    )
    config = SFTConfig(output_dir=str(tmp_path), use_cpu=True, report_to="none", bf16=False, max_length=512)
    theirs = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model),
        args=config,
        train_dataset=dataset,
        processing_class=tokenizer,
    )
    ours = [encode(tokenizer, row) for row in rows]
    assert [row.ids for row in ours] == list(theirs.train_dataset["input_ids"])
    assert [row.labels for row in ours] == list(theirs.train_dataset["labels"])


def test_a_template_without_a_system_role_gets_it_in_the_first_user_turn(tmp_path) -> None:
    from transformers import AutoTokenizer

    folding = AutoTokenizer.from_pretrained(tiny_model(tmp_path / "folding", template=FOLDING))
    assert tokens.has_system_role(folding) is False
    assert tokens.preview(folding, encode(folding))[0] == {
        "text": "Sort it.\n\nWhere is my invoice?\n",
        "loss": False,
    }


def test_a_model_without_a_chat_template_is_refused(tmp_path) -> None:
    from transformers import AutoTokenizer

    bare = AutoTokenizer.from_pretrained(tiny_model(tmp_path / "bare", template=None))
    with pytest.raises(BadRequest, match="no chat template") as caught:
        tokens.has_system_role(bare)
    assert caught.value.reason == "NoChatTemplate"


def test_cut_and_masked_rows_are_counted(tokenizer) -> None:
    long = Row(id="long", prompt="word " * 40, response="x")
    whole = encode(tokenizer)
    rows = [whole, encode(tokenizer, max_length=len(whole.ids) - 3), encode(tokenizer, long, max_length=20)]
    counted = tokens.statistics(rows)
    assert (counted["rows"], counted["truncated"], counted["masked"]) == (3, 2, 1)
    assert counted["max"] == rows[2].whole > 20
    assert counted["total"] == sum(row.whole for row in rows)
    assert counted["trained"] == 2 * whole.trained - 3
    assert [row.row for row in tokens.usable(rows, "train", 20)] == ["1", "1"]


def test_rows_whose_prompt_alone_fills_the_context_are_said_in_numbers(tokenizer) -> None:
    long = Row(id="long", prompt="word " * 40, response="x")
    encoded = encode(tokenizer, long, max_length=20)
    with pytest.raises(
        BadData, match=rf"row long: has {encoded.whole} tokens, its prompt alone fills 20"
    ) as caught:
        tokens.usable([encoded], "train", 20)
    assert caught.value.reason == "RowsTooLong"
    with pytest.raises(BadData, match="has no rows"):
        tokens.usable([], "train", 20)


LENGTHS = {
    "the model's context": ((0, 512, 1024), 512),
    "a tokenizer that knows no limit": ((0, 10**30, 1024), 1024),
    "what the request says": ((64, 512, 512), 64),
    "nobody says": ((0, 10**30, None), 0),
}


@pytest.mark.parametrize(("given", "expected"), LENGTHS.values(), ids=LENGTHS)
def test_the_longest_row(given, expected: int) -> None:
    assert tokens.longest(*given) == expected


def test_more_than_the_context_is_refused() -> None:
    with pytest.raises(
        BadRequest, match=r"spec.training.maxLength: the model has 512 positions \(found: 513\)"
    ):
        tokens.longest(513, 10**30, 512)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5), (0.95, 10), (0.05, 1)])
def test_quantiles_are_values_that_occur(share: float, expected: int) -> None:
    assert tokens.quantile(range(1, 11), share) == expected
    assert tokens.quantile([], share) == 0
