"""Rows that a teacher wrote and that are no examples."""

import pytest

from tunesmith_jobs.generate.row_faults import copied, row_fault

TASK = "A model that answers riddles."

FAULTS = {  # prompt, response -> reason
    "English, of itself": (
        "p",
        "As an AI language model, I don't have opinions. The answer is: time.",
        "boilerplate",
    ),
    "English, I am": ("p", "I'm just an AI, so here goes: time.", "boilerplate"),
    "English, declines": ("p", "I'm sorry, but I can't help with that.", "boilerplate"),
    "English, declines with other signs": (
        "p",
        "I\u2019m sorry, I can\u2019t assist with that request.",
        "boilerplate",
    ),
    "English, unable": ("p", "I am unable to provide that.", "boilerplate"),
    "German": ("p", "Als KI-Sprachmodell kann ich das nicht.", "boilerplate"),
    "German, declines": ("p", "Es tut mir leid, aber ich kann dir dabei nicht helfen.", "boilerplate"),
    "French": ("p", "En tant qu'IA, je n'ai pas d'avis.", "boilerplate"),
    "French, declines": ("p", "Désolé, mais je ne peux pas vous aider.", "boilerplate"),
    "Spanish": ("p", "Como modelo de lenguaje, no tengo opiniones.", "boilerplate"),
    "Spanish, declines": ("p", "Lo siento, pero no puedo ayudar con eso.", "boilerplate"),
    "Portuguese": ("p", "Como uma IA, não tenho opiniões.", "boilerplate"),
    "Italian": ("p", "In quanto modello linguistico, non ho opinioni.", "boilerplate"),
    "Russian": ("p", "Как языковая модель, я не имею мнения.", "boilerplate"),
    "Russian, declines": ("p", "Извините, но я не могу помочь с этим.", "boilerplate"),
    "Chinese": ("p", "作为一个人工智能，我没有观点。", "boilerplate"),
    "Chinese, declines": ("p", "很抱歉，我无法提供这些信息。", "boilerplate"),
    "Japanese": ("p", "AIとして、意見はありません。", "boilerplate"),
    "Japanese, declines": ("p", "申し訳ありませんが、お手伝いできません。", "boilerplate"),
    "Korean": ("p", "인공지능으로서 의견이 없습니다.", "boilerplate"),
    "Turkish": ("p", "Bir yapay zeka olarak fikrim yok.", "boilerplate"),
    "the prompt speaks of the dataset": ("Write another training example about time.", "r", "aboutDataset"),
    "the prompt repeats what the teacher was told": ("Example number 7: Topic: time", "r", "aboutDataset"),
    "the prompt is about its own rewriting": (
        "Add a step to the given prompt about time.",
        "r",
        "aboutDataset",
    ),
    "the prompt has the teacher's marks": ("<prompt>What is it?", "r", "aboutDataset"),
    "half a character": ("p", "a\ufffd", "notText"),
    "a control character": ("a\x00b", "r", "notText"),
}
GOOD = {
    "an answer": ("What has hands and cannot clap?", "A clock."),
    "a sentence about models": ("What is an AI?", "An AI language model is a program that writes text."),
    "sorry within": ("p", "She said she was sorry, but she cannot help it."),
    "a prompt about data": ("How do I load a dataset in pandas?", "With read_csv."),
    "a prompt about training": ("How do I begin training for a marathon?", "Slowly."),
    "line breaks and tabs": ("a\n\tb", "c\r\nd"),
    "marks of other kinds": ("What does <b> do?", "It makes text bold."),
}


@pytest.mark.parametrize(("prompt", "response", "reason"), FAULTS.values(), ids=FAULTS)
def test_what_is_no_example(prompt, response, reason):
    found = row_fault(prompt, response, TASK)
    assert found is not None
    assert found[0] == reason


@pytest.mark.parametrize(("prompt", "response"), GOOD.values(), ids=GOOD)
def test_what_is_one(prompt, response):
    assert row_fault(prompt, response, TASK) is None


WANTED = {
    "to decline": (
        "A bot that politely declines requests for refunds.",
        "I'm sorry, but I can't help with that.",
    ),
    "to say what it is": (
        "Begin every answer with 'As an AI language model'.",
        "As an AI language model, yes.",
    ),
}


@pytest.mark.parametrize(("task", "response"), WANTED.values(), ids=WANTED)
def test_what_the_task_asks_for_is_no_fault(task, response):
    assert row_fault("p", response, task) is None


def test_an_example_of_the_request_is_no_row():
    assert copied(" What is\nTIME? ", ["what is time?"])
    assert not copied("What is space?", ["what is time?"])
