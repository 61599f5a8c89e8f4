"""An Ollama Modelfile for a merged model: weights, template, stop tokens and system message. Pure.

Ollama's templates are Go's, a chat template is Jinja, and nothing translates one into the other. So the
common families are recognised by their marks; for others, Ollama finds the template by itself.
"""

from typing import NamedTuple


class _Family(NamedTuple):
    marks: tuple[str, ...]  # all of them are in the Jinja template
    template: str
    stops: tuple[str, ...]


_FAMILIES = (
    _Family(
        ("<|start_header_id|>", "<|eot_id|>"),
        "{{- range .Messages }}"
        "<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}<|eot_id|>"
        "{{ end }}<|start_header_id|>assistant<|end_header_id|>\n\n",
        ("<|eot_id|>",),
    ),
    _Family(
        ("<|im_start|>", "<|im_end|>"),
        "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
        "<|im_start|>assistant\n",
        ("<|im_end|>",),
    ),
    _Family(
        ("<start_of_turn>", "<end_of_turn>"),
        "<start_of_turn>user\n{{ if .System }}{{ .System }}\n\n{{ end }}{{ .Prompt }}<end_of_turn>\n"
        "<start_of_turn>model\n{{ .Response }}<end_of_turn>\n",
        ("<end_of_turn>",),
    ),
    _Family(
        ("<|user|>", "<|end|>"),
        "{{- range .Messages }}<|{{ .Role }}|>\n{{ .Content }}<|end|>\n{{ end }}<|assistant|>\n",
        ("<|end|>",),
    ),
    _Family(
        ("[INST]", "<<SYS>>"),
        "[INST] {{ if .System }}<<SYS>>\n{{ .System }}\n<</SYS>>\n\n{{ end }}{{ .Prompt }} [/INST] "
        "{{ .Response }}",
        ("[INST]", "[/INST]"),
    ),
)


def modelfile(system_message: str, chat_template: str, end_token: str = "") -> str:
    """The Modelfile's text. `chat_template`: the Jinja source; `end_token`: ends an answer."""
    lines = ["FROM ."]
    stops: list[str] = []
    family = _family(chat_template)
    if family is None:
        lines.append(
            "# No TEMPLATE here: check the one that Ollama finds against the chat template of this folder."
        )
    else:
        lines.append(f'TEMPLATE """{family.template}"""')
        stops += family.stops
    if end_token:
        stops.append(end_token)
    lines += [f'PARAMETER stop "{stop}"' for stop in dict.fromkeys(stops) if '"' not in stop]
    lines.append("PARAMETER temperature 0")
    if '"""' in system_message:
        lines.append(
            '# The system message contains """, which a Modelfile cannot hold: '
            "send it with each conversation."
        )
    else:
        lines.append(f'SYSTEM """{system_message}"""')
    return "\n".join(lines)


def _family(chat_template: str) -> _Family | None:
    for family in _FAMILIES:
        if all(mark in chat_template for mark in family.marks):
            return family
    return None
