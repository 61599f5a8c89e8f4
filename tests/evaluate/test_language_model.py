"""A loaded model: the figures against transformers' own, and a batch against its rows one by one."""

import json
import shutil

import pytest
import torch
from finished_runs import ROWS, SYSTEM
from tiny import tiny_model
from transformers import AutoModelForCausalLM

from tunesmith.errors import BadRequest
from tunesmith_jobs.chat import conversation, question
from tunesmith_jobs.language_model import LanguageModel, batches

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tuned(models):
    with LanguageModel(models.tuned, CPU) as model:
        yield model


@pytest.fixture(scope="module")
def encoded(tuned):
    return [tuned.row_tokens(*conversation(SYSTEM, row.to_json())) for row in ROWS]


def test_the_loss_is_that_of_transformers_on_the_answer_and_its_end(models, tuned, encoded):
    peer = AutoModelForCausalLM.from_pretrained(models.tuned, dtype=torch.float32)
    for (tokens, start), loss in zip(encoded, tuned.losses(encoded), strict=True):
        ids = torch.tensor([tokens])
        labels = ids.clone()
        labels[:, :start] = -100
        with torch.inference_mode():
            expected = peer(input_ids=ids, labels=labels).loss.item()
        assert loss.tokens == len(tokens) - start
        assert loss.per_token == pytest.approx(expected, rel=1e-4, abs=1e-6)
        assert tuned.tokenizer.decode(tokens[start:]).rstrip().endswith("}<|im_end|>")


def test_rows_one_by_one_have_the_loss_they_have_in_a_batch(tuned, encoded):
    together = tuned.losses(encoded)
    alone = [tuned.losses([row])[0] for row in encoded]
    expected = [loss.nats for loss in together]
    assert [loss.nats for loss in alone] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_batch_whose_logits_would_be_too_large_is_divided(models, tuned, encoded):
    whole = [loss.nats for loss in tuned.losses(encoded)]
    with LanguageModel(models.tuned, CPU, logits_bytes=1) as frugal:
        divided = [loss.nats for loss in frugal.losses(encoded)]
    assert divided == pytest.approx(whole, rel=1e-4, abs=1e-5)


def test_a_row_beyond_the_context_is_cut_and_one_without_an_answer_left_counts_nothing(tuned):
    long = tuned.row_tokens(*conversation("", {"prompt": "x", "response": "word " * 600}))
    lost = tuned.row_tokens(*conversation("", {"prompt": "word " * 600, "response": "x"}))
    of_long, of_lost = tuned.losses([long, lost])
    assert of_long.tokens == 512 - long[1]
    assert (of_lost.nats, of_lost.tokens) == (0.0, 0)


def test_answers_of_a_batch_are_those_of_its_rows_alone(tuned):
    questions = [tuned.question_tokens(question(SYSTEM, {"prompt": row.prompt})) for row in ROWS]
    together = tuned.answers(questions, 16)
    assert together == [row.response for row in ROWS]
    assert together == [tuned.answers([tokens], 16)[0] for tokens in questions]


def test_n_counts_new_tokens(tuned):
    [tokens] = [tuned.question_tokens(question(SYSTEM, {"prompt": ROWS[0].prompt}))]
    [short] = tuned.answers([tokens], 2)
    assert len(tuned.tokenizer(short, add_special_tokens=False)["input_ids"]) <= 2


def test_generation_settings_of_the_folder_do_not_colour_the_answers(models, tmp_path):
    folder = shutil.copytree(models.tuned, tmp_path / "model")
    wild = {
        "do_sample": True,
        "temperature": 3.0,
        "repetition_penalty": 5.0,
        "max_length": 4,
        "eos_token_id": 2,
    }
    (folder / "generation_config.json").write_text(json.dumps(wild))
    with LanguageModel(folder, CPU) as model:
        tokens = model.question_tokens(question(SYSTEM, {"prompt": ROWS[0].prompt}))
        assert model.answers([tokens], 16) == [ROWS[0].response]


def test_the_templates_end_of_turn_ends_an_answer_though_the_folder_names_another_token(models, tmp_path):
    folder = shutil.copytree(models.tuned, tmp_path / "model")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 0}))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps(settings | {"eos_token": "<|endoftext|>", "additional_special_tokens": ["<|im_end|>"]})
    )
    with LanguageModel(folder, CPU) as model:
        tokens = model.question_tokens(question(SYSTEM, {"prompt": ROWS[0].prompt}))
        assert model.answers([tokens], 40) == [ROWS[0].response]


def test_a_model_without_a_chat_template_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="no chat template"):
        LanguageModel(tiny_model(tmp_path / "bare", template=None), CPU)


def test_batches_hold_every_row_once_longest_first():
    assert list(batches([3, 9, 5, 9], 3)) == [[1, 3, 2], [0]]
    assert list(batches([], 3)) == []
