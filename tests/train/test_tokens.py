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


def encode_all(tokenizer, row, system="Sort it.", max_length=0) -> list[tokens.Encoded]:
    return tokens.encode(
        tokenizer, system, row, system_role=tokens.has_system_role(tokenizer), max_length=max_length
    )


def encode(tokenizer, row=ROW, system="Sort it.", max_length=0) -> tokens.Encoded:
    [encoded] = encode_all(tokenizer, row, system, max_length)
    return encoded


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


# Templates by what they make of a conversation, with the number of sequences that three answers become
STABLE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
EMPTY_THOUGHT = (  # before the last answer only, as Qwen3's
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' }}"
    "{% if m['role'] == 'assistant' and loop.last %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}"
    "{{ m['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
SYSTEM_LAST = (  # the system message moves to the last user turn, as in some of Mistral's
    "{% for m in messages %}{% if m['role'] == 'user' %}"
    "{{ '[INST]' + (messages[0]['content'] + '\\n' if loop.index0 + 2 >= messages|length else '')"
    " + m['content'] + '[/INST]' }}"
    "{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'] + '<|im_end|>' }}{% endif %}{% endfor %}"
)
TEMPLATES = {
    "turns stay as they are": (STABLE, 1),
    "an empty thought before the last answer": (EMPTY_THOUGHT, 1),
    "a system message that moves": (SYSTEM_LAST, 3),
    "no system role": (FOLDING.replace("'\\n'", "'<|im_end|>'"), 1),
}
TALK = Row(
    id="talk",
    prompt="And the end?",
    response="im_end",
    history=(
        {"role": "user", "content": "Sky?"},
        {"role": "assistant", "content": "blue", "learnt": True},
        {"role": "user", "content": "Grass?"},
        {"role": "assistant", "content": "red"},
        {"role": "user", "content": "Look again."},
        {"role": "assistant", "content": "green", "learnt": True},
    ),
)


@pytest.mark.parametrize(("template", "count"), TEMPLATES.values(), ids=TEMPLATES)
def test_every_learnt_answer_follows_the_tokens_that_the_model_is_asked_with(
    tmp_path, template: str, count: int
) -> None:
    from transformers import AutoTokenizer

    from tunesmith_jobs.chat import lessons

    tokenizer = AutoTokenizer.from_pretrained(tiny_model(tmp_path / "model", template=template))
    encoded = encode_all(tokenizer, TALK)
    assert len(encoded) == count
    found = []
    for sequence in encoded:
        labels = [*sequence.labels, tokens.IGNORED]
        starts = [
            i
            for i, label in enumerate(labels)
            if label != tokens.IGNORED and (i == 0 or labels[i - 1] == tokens.IGNORED)
        ]
        for start in starts:
            end = labels.index(tokens.IGNORED, start)
            assert labels[start:end] == sequence.ids[start:end]
            found.append((sequence.ids[:start], tokenizer.decode(sequence.ids[start:end])))
    role = tokens.has_system_role(tokenizer)
    wanted = [
        tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=True)["input_ids"]
        for asked, _ in lessons("Sort it.", TALK.to_json(), system_role=role)
    ]
    assert [asked for asked, _ in found] == wanted
    assert [text.strip() for _, text in found] == [
        f"{answer}<|im_end|>" for answer in ("blue", "green", "im_end")
    ]


def test_the_test_split_is_scored_by_the_last_answer_as_evaluate_does(tokenizer) -> None:
    from tunesmith_jobs.train.splits import _as_tested

    shown = tokens.preview(tokenizer, encode(tokenizer, _as_tested(TALK)))
    assert [run["text"] for run in shown if run["loss"]] == ["im_end<|im_end|>\n"]


SEQUENCES = {
    "one answer": ([([1, 2, 3], 2)], [([1, 2, 3], [-100, -100, 3])]),
    "a later one begins with the earlier": (
        [([1, 2], 1), ([1, 2, 3, 4], 3)],
        [([1, 2, 3, 4], [-100, 2, -100, 4])],
    ),
    "the later one tells the beginning in another way": (
        [([1, 2], 1), ([1, 9, 3, 4], 3)],
        [([1, 2], [-100, 2]), ([1, 9, 3, 4], [-100, -100, -100, 4])],
    ),
    "only the last one does": (
        [([1, 2], 1), ([1, 2, 3, 4], 3), ([7, 8], 1)],
        [([1, 2, 3, 4], [-100, 2, -100, 4]), ([7, 8], [-100, 8])],
    ),
}


@pytest.mark.parametrize(("taught", "made"), SEQUENCES.values(), ids=SEQUENCES)
def test_answers_share_a_sequence_where_one_begins_as_the_other(taught, made) -> None:
    assert tokens.sequences(taught) == made


ENDINGS = {  # the conversation as it is shown, its answer, the same with the mark -> from the answer on
    "as it is": ("Q:? A:yes.</s>", "yes.", "Q:? A:MARK</s>", "yes.</s>"),
    "an answer that is in the end's name": ("Q:? A:s</s>", "s", "Q:? A:MARK</s>", "s</s>"),
    "without its blanks": ("Q:? A:yes</s>", " yes\n", "Q:? A:MARK</s>", "yes</s>"),
    "changed": ("Q:? A:YES</s>", "yes", "Q:? A:MARK</s>", ""),
    "left out": ("Q:?", "yes", "Q:?", ""),
}


@pytest.mark.parametrize(("shown", "answer", "marked", "ending"), ENDINGS.values(), ids=ENDINGS)
def test_an_answer_is_found_with_its_end(shown: str, answer: str, marked: str, ending: str) -> None:
    from tunesmith_jobs import chat

    assert chat.answer_and_end(shown, answer, marked.replace("MARK", chat._MARK)) == ending


def test_cut_and_masked_rows_are_counted(tokenizer) -> None:
    long = Row(id="long", prompt="word " * 40, response="x")
    whole = encode(tokenizer)
    rows = [whole, encode(tokenizer, max_length=len(whole.ids) - 3), encode(tokenizer, long, max_length=20)]
    counted = tokens.statistics(rows)
    assert (counted["rows"], counted["sequences"]) == (2, 3)
    assert (counted["truncated"], counted["masked"]) == (2, 1)
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
