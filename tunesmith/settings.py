"""What a request may set about its result: data, model, training, merge, evaluation.

Every default here is the *built-in* one, the last in the precedence request > preset > profile > built-in
(resolve.py). The custom resource carries none of them, since a stored default can't be told from a wish.
Names are those of transformers, peft and trl, in camelCase.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from tunesmith import quantities
from tunesmith.metrics import MetricName
from tunesmith.trackers import TrackerName
from tunesmith.wire import STORE_FORMS

# The API server enforces the same bounds. Each is far beyond what anybody needs, and within what stands
# behind the field: waits and dates, Kubernetes' own integers, torch, numpy, a stage's regular expressions.
# Patterns use only what Rust's and Go's regular expressions read alike, so no \s, \w or \d.
LARGEST = 2**53 - 1  # whole numbers that JSON carries without loss
TEN_YEARS = 3650 * 86_400  # seconds
MOST_STEPS = 1_000_000_000
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Seconds = Annotated[int, Field(ge=0, le=TEN_YEARS)]
Steps = Annotated[int, Field(ge=1, le=MOST_STEPS)]
Rows = Annotated[int, Field(ge=0, le=1_000_000)]
Rate = Annotated[int, Field(ge=0, le=1_000_000_000)]  # a minute
Dollars = Annotated[float, Field(ge=0, le=1_000_000_000)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Line = Annotated[str, Field(max_length=253)]
Passage = Annotated[str, Field(max_length=4000)]
_DOTTED = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_RUN = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$"
_REQUEST = r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$"
_OBJECT = rf"^({_DOTTED})?$"
_NAMED = rf"^{_DOTTED}$"
_DATA_KEY = r"^([-_a-zA-Z0-9]|\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$"
_ENDPOINT = r"^(https?://[A-Za-z0-9._:\[\]-]+(/[!-~]*)?)?$"
_LOCATION = rf"^(({'|'.join(STORE_FORMS)})://[^\x00-\x20\x7f]+)?$"
_FEW_GROUPS = r"^[^(]*(\([^(]*){0,100}$"
_IN_HEADER = r"^([!-~]([ -~]*[!-~])?)?$"
_IN_QUERY = r"^[^\x00-\x1f\x7f]*$"
_SHA256 = r"^([0-9a-f]{64})?$"
Quantity = Annotated[str, Field(pattern=quantities.PATTERN, max_length=32)]  # as Kubernetes writes amounts
Run = Annotated[str, Field(pattern=_RUN, max_length=63)]
ObjectName = Annotated[str, Field(pattern=_OBJECT, max_length=253)]  # DNS subdomain, or empty
Endpoint = Annotated[str, Field(pattern=_ENDPOINT, max_length=2048)]
Location = Annotated[str, Field(pattern=_LOCATION, max_length=2048)]
HeaderValue = Annotated[str, Field(pattern=_IN_HEADER, max_length=1024)]
QueryValue = Annotated[str, Field(pattern=_IN_QUERY, max_length=1024)]
_SMALL = "small letters, digits, dashes and dots, with a letter or digit at both ends"
_SMALL_PARTS = (
    "small letters, digits, dashes and dots, with a letter or digit at both ends and beside each dot"
)
HINTS: dict[object, str] = {  # pattern, or largest value -> what to write
    quantities.PATTERN: "an amount such as 500m, 2, 16Gi, in quotes",
    _RUN: f"{_SMALL}; at most 63",
    _REQUEST: "the name of a request: small letters, digits and dashes; at most 39",
    _OBJECT: _SMALL_PARTS,
    _NAMED: _SMALL_PARTS,
    _ENDPOINT: "http:// or https://, host, port if any, and path; no user, no password and no blank",
    _LOCATION: "s3://bucket/prefix, without blanks",
    _FEW_GROUPS: "use at most 100 opening brackets",
    _IN_HEADER: "printable ASCII in one line, with no blank at either end",
    _IN_QUERY: "one line of text; it is encoded for the address when it is sent",
    _SHA256: "64 hexadecimal digits in small letters, as sha256sum prints them",
    TEN_YEARS: "these are ten years; for no limit leave the field out",
}
# Forms of own data; tunesmith_jobs/own_data has a reader for each.
SourceFormat = Literal["auto", "jsonl", "json", "csv", "parquet"]
Optimizer = Literal[
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_8bit",
    "paged_adamw_8bit",
    "paged_adamw_32bit",
    "adafactor",
    "sgd",
]
Effort = Literal["", "none", "minimal", "low", "medium", "high", "xhigh"]
Schedule = Literal["linear", "cosine", "constant", "constant_with_warmup", "polynomial", "inverse_sqrt"]


class Settings(BaseModel):
    """Base of all parts of a request: camelCase in documents, no unknown fields, no conversion
    between types.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)


class SecretKey(Settings):
    """One value of a Secret in the request's namespace.

    On one machine it is the environment variable TUNESMITH_SECRET_<NAME>_<KEY>.
    """

    name: Annotated[str, Field(pattern=_NAMED, max_length=253)]
    """Name of the Secret."""
    key: Annotated[str, Field(pattern=_DATA_KEY, max_length=253)] = "apiKey"
    """Key in the Secret."""


class Reference(Settings):
    """Another request, or a run in the same store, whose result is copied into this run."""

    request: Annotated[str, Field(pattern=_REQUEST, max_length=39)] = ""
    """Name of a TrainingRequest in the same namespace, which this one waits for. Locally the same
    as `run`.
    """
    run: Run = ""
    """Name of a run in the store, of the same namespace."""


class Teacher(Settings):
    """The model that writes the dataset, behind an API that speaks OpenAI's chat protocol."""

    model: Annotated[str, Field(min_length=1, max_length=253)] = "gpt-6.1-sol"
    """Model name as the endpoint knows it."""
    system_message_model: Line = ""
    """Model that writes the system message and the plan. Built-in: the same as `model`."""
    base_url: Annotated[Endpoint, Field(alias="baseURL")] = ""
    """Base URL of the endpoint, including `/v1`. Built-in: OpenAI's own, or the profile's. A request that
    sets it must also name the secret for it.
    """
    secret: SecretKey | None = None
    """Where the API key is. Built-in: the profile's key (locally OPENAI_API_KEY), which only the profile's
    own endpoint receives.
    """
    headers: Annotated[dict[str, HeaderValue], Field(max_length=16)] = Field(default_factory=dict)
    """Further headers of each request to the endpoint, such as `X-Team`. Never put a secret here. They change
    no key: what changes the answers belongs into `body`.
    """
    secret_headers: Annotated[dict[str, SecretKey], Field(max_length=8)] = Field(default_factory=dict)
    """Further headers whose values are in Secrets, such as `api-key`. Without `secret` the endpoint gets no
    other key.
    """
    query: Annotated[dict[str, QueryValue], Field(max_length=16)] = Field(default_factory=dict)
    """Members of the query of each request's address, such as `api-version`. Never put a secret here."""
    secret_query: Annotated[dict[str, SecretKey], Field(max_length=4)] = Field(default_factory=dict)
    """Members of the query whose values are in Secrets. Prefer a header: addresses stand in the logs of
    proxies.
    """
    body: Annotated[dict[str, JsonValue], Field(max_length=32)] = Field(default_factory=dict)
    """Further members of the body of each request, such as `top_k`, or `chat_template_kwargs` with
    `enable_thinking: false`. What Tunesmith sets itself is refused by name.
    """
    reasoning_effort: Effort = ""
    """How long a model that thinks may do so. Built-in: as the endpoint does by itself."""
    requests_per_minute: Rate = 0
    """Most requests to start per minute. 0: as many as the endpoint accepts."""
    tokens_per_minute: Rate = 0
    """Most input and output tokens per minute. 0: as many as the endpoint accepts."""
    max_concurrency: Annotated[int, Field(ge=1, le=1000)] = 200
    """Most requests in flight. The stage finds out how many of these the endpoint can handle."""
    mode: Literal["live", "batch"] = "live"
    """How rows are asked for. `live`: one call each, answered in seconds. `batch`: many calls in a file that
    the endpoint answers within a day, at half the price; the plan and the system message are asked live. It
    changes no result, so a run may go on in the other mode.
    """

    @property
    def planner(self) -> str:
        """The model that writes the system message and the plan."""
        return self.system_message_model or self.model


class ModelPrices(Settings):
    """Prices of a model in US dollars per 10^6 tokens."""

    usd_per_million_input_tokens: Dollars
    """Price of what is asked."""
    usd_per_million_output_tokens: Dollars
    """Price of what is answered, thoughts among it."""
    usd_per_million_cached_input_tokens: Dollars | None = None
    """Price of what is asked and was in the endpoint's cache. Built-in: that of the other input."""
    batch_share: Fraction = 0.5
    """Share of the prices that the same costs in a batch. 1: no rebate."""


class Budget(Settings):
    """Limits that generation never exceeds. 0 means no limit. What has been paid for stays usable."""

    max_usd: Annotated[Dollars, Field(alias="maxUSD")] = 0.0
    """US dollars. Needs the prices of the model."""
    max_tokens: Count = 0
    """Input and output tokens."""
    max_requests: Count = 0
    """Requests sent, including retries."""
    usd_per_million_input_tokens: Dollars = 0.0
    """Price of the teacher's input in US dollars per 10^6 tokens, whatever `prices` says. 0: the price in
    `prices` or in the built-in table, if the model is listed there.
    """
    usd_per_million_output_tokens: Dollars = 0.0
    """Price of the teacher's output in US dollars per 10^6 tokens, whatever `prices` says. 0: the price in
    `prices` or in the built-in table, if the model is listed there.
    """
    prices: Annotated[dict[str, ModelPrices], Field(max_length=64)] = Field(default_factory=dict)
    """Prices of models by their names, before those of the built-in table. In a name `*` stands for any text;
    a name without one comes first, and the longest of the others.
    """


class Axis(Settings):
    """A way in which prompts differ, and the values it takes."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """What differs, such as `tone`."""
    values: Annotated[tuple[Passage, ...], Field(min_length=2, max_length=200)]
    """Values that exclude each other and fit every topic."""


class Plan(Settings):
    """How a dataset is spread: what its prompts and responses look like, and what each of them is about.
    Every call asks for one combination; the combinations are balanced.
    """

    language: Line = ""
    """Language of the prompts. Empty: several, or any."""
    response_language: Line | None = None
    """Language of the responses. Empty: several, or none, as for code. Built-in: that of the prompts, unless
    the task is about languages.
    """
    prompts: Annotated[str, Field(min_length=1, max_length=20_000)]
    """What a prompt looks like: content, form, length."""
    responses: Annotated[str, Field(min_length=1, max_length=20_000)]
    """What makes a response right, and its exact form. A judge goes by it."""
    topics: Annotated[tuple[Passage, ...], Field(min_length=1, max_length=1000)]
    """Subjects of prompts."""
    personas: Annotated[tuple[Passage, ...], Field(max_length=1000)] = ()
    """Kinds of people who write the prompts."""
    axes: Annotated[tuple[Axis, ...], Field(max_length=20)] = ()
    """Further ways in which prompts differ."""
    difficulties: Annotated[tuple[Passage, ...], Field(max_length=20)] = ()
    """Levels, from easy to hard."""


class Judge(Settings):
    """A model that reads each row before it is taken, and scores it from 1 to 5 with a reason. A
    row is left out when two of at most three verdicts are against it. That costs a call for each row, and
    more for each that is in doubt.
    """

    threshold: Annotated[int, Field(ge=1, le=5)]
    """Least score of a row that is taken. 5: right in everything. 4: but for blemishes that a user would not
    mind.
    """
    model: Annotated[str, Field(max_length=256)] = ""
    """Model of the teacher's endpoint. Built-in: `data.teacher.model`."""


class Split(Settings):
    """How rows are divided. Near-copies of a row always land on the same side."""

    test: Annotated[float, Field(ge=0, le=0.9)] = 0.1
    """Share of the rows in the test split, which only the evaluation opens."""
    validation: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    """Share of the rows that early stopping and the choice between variants look at. Built-in: 0, or 0.1 as
    soon as anything is chosen by it.
    """
    seed: Count = 42
    """Seed of the split."""


class Fields(Settings):
    """Names of the fields in your own data, where they differ from these."""

    prompt: Line = "prompt"
    """Field that holds the prompt."""
    response: Line = "response"
    """Field that holds the response."""
    messages: Line = "messages"
    """Field that holds chat messages (`role`, `content`; or `from`, `value`). Rows that have it are read as
    chats.
    """
    input: Line = ""
    """Field whose text is put below the prompt, as `input` of Alpaca is."""


class Source(Settings):
    """Your own data in place of a teacher."""

    uri: Annotated[str, Field(min_length=1, max_length=2048)]
    """`s3://bucket/key`, `hf://datasets/org/name@revision`, or a path (local runs only): of a file, of a
    folder (in a bucket with a `/` at its end), or a pattern such as `rows/*.jsonl`.
    """
    sha256: Annotated[str, Field(pattern=_SHA256, max_length=64)] = ""
    """sha256 of the content, in hexadecimal. Where it is given, the data is known by it: another name or
    place changes no result, and other content is refused. Built-in: on one machine that of the file or folder
    as it is when the run starts; otherwise the data is known by its `uri`.
    """
    version: Annotated[str, Field(max_length=1024)] = ""
    """Version of the object, in a bucket that keeps versions. Built-in: the newest."""
    format: SourceFormat = "auto"
    """Format of the files. Built-in: told by what they hold, then by their names. `csv` is any table of text;
    packed files (gzip, bzip2, xz, zstd) are unpacked first.
    """
    encoding: Annotated[str, Field(max_length=64)] = "auto"
    """Text encoding. Built-in: told by the bytes: UTF-8, UTF-16 or UTF-32, otherwise a guess, which is said.
    """
    config: Line = ""
    """Configuration (subset) of a dataset on the hub. Built-in: its default."""
    split: Line = ""
    """Split of a dataset on the hub. Built-in: train."""
    fields: Fields = Field(default_factory=Fields)
    """Field names."""


class Documents(Settings):
    """Your documents, on whose passages the teacher's rows rest."""

    uri: Annotated[str, Field(min_length=1, max_length=2048)]
    """`s3://bucket/key`, or a path (local runs only): of a file (text, Markdown, HTML, PDF), of a folder (in
    a bucket with a `/` at its end), or a pattern such as `manual/**/*.md`.
    """
    sha256: Annotated[str, Field(pattern=_SHA256, max_length=64)] = ""
    """sha256 of the content, in hexadecimal. Where it is given, the documents are known by it: another name
    or place changes no result, and other content is refused. Built-in: on one machine that of the file or
    folder as it is when the run starts; otherwise the documents are known by their `uri`.
    """
    version: Annotated[str, Field(max_length=1024)] = ""
    """Version of the object, in a bucket that keeps versions. Built-in: the newest."""
    encoding: Annotated[str, Field(max_length=64)] = "auto"
    """Text encoding of all but PDFs. Built-in: told by the bytes, or by what a page in HTML says."""


Files = Source | Documents
"""What names files: own data, or documents."""


class Data(Settings):
    """Where the training examples come from: a teacher (the default), your own data (`source`), or another
    run (`from`).
    """

    preset: Literal["original"] | None = None
    """A named set of values for this part. `original`: those of GPT-LLM-Trainer."""
    examples: Annotated[int, Field(ge=2, le=1_000_000)] = 100
    """Rows in all, counting train, validation and test. The stage accepts exactly this many, or fails and
    says why.
    """
    temperature: Fraction = 0.7
    """Sampling temperature of the teacher, 0 to 1."""
    strategy: Literal["plan", "chain"] = "plan"
    """`plan`: the teacher plans the dataset first, then writes independent examples in parallel. `chain`: it
    writes one example after another and sees earlier ones, as in the original.
    """
    max_tokens: Annotated[int, Field(ge=16, le=131_072)] = 1354
    """Most tokens in one answer of the teacher."""
    system_message_max_tokens: Annotated[int, Field(ge=16, le=8192)] = 500
    """Most tokens in the system message, when the teacher writes it."""
    plan: Plan | None = None
    """The plan of `strategy: plan`. Built-in: the teacher makes it. `tunesmith plan` has it made, for you to
    look at and change.
    """
    evolve: Fraction = 0.0
    """Share of the calls of `plan` whose pair is written once more, harder: with one more step of thought,
    one more condition, or a concrete case in place of a general one.
    """
    feedback: Annotated[int, Field(ge=0, le=100)] = 10
    """Most earlier answers, drawn at random, that the teacher sees at each turn of `chain`."""
    pairs_per_call: Annotated[int, Field(ge=1, le=20)] = 1
    """Pairs asked for in one call of `plan`. More pairs are cheaper, but less independent of each other."""
    near_duplicates: Fraction = 0.7
    """Jaccard similarity of word 3-shingles at which two prompts count as near-duplicates, and the later one
    is dropped. 1: only exact duplicates.
    """
    semantic_duplicates: Annotated[float, Field(ge=0.5, le=1)] = 1.0
    """Cosine similarity at which two English prompts count as the same in other words, and the later one is
    dropped; a sensible value is 0.8. Needs the extra `semantic`, which the release's image has. 1: meaning is
    not compared.
    """
    system_message: Annotated[str | None, Field(max_length=50_000)] = None
    """The system message. Built-in: the teacher writes it."""
    seeds: Annotated[tuple[Passage, ...], Field(max_length=100)] = ()
    """Examples of good prompts, shown to the teacher in its plan."""
    seed: Count = 42
    """Seed of every random choice in generation."""
    teacher: Teacher = Field(default_factory=Teacher)
    """Who writes the examples."""
    judge: Judge | None = None
    """Who reads them before they are taken. Built-in: nobody."""
    agreement: Annotated[int, Field(ge=0, le=20)] = 0
    """Further answers that the teacher gives to each prompt, for tasks with one right answer. A row is taken
    only if more than half of all its answers come to the same. 0: none.
    """
    documents: Documents | None = None
    """Documents to write rows about: each call of `plan` gets one passage, and a row is taken only if the
    teacher can quote the words of the passage on which its response rests.
    """
    budget: Budget = Field(default_factory=Budget)
    """Limits on the cost of generation."""
    split: Split = Field(default_factory=Split)
    """How rows are divided into train, validation and test."""
    source: Source | None = None
    """Your own data. The teacher then writes no examples."""
    from_: Annotated[Reference | None, Field(alias="from")] = None
    """Dataset of another request or run."""

    @property
    def asks_teacher(self) -> bool:
        """Whether a teacher writes the rows."""
        return self.source is None and self.from_ is None

    @property
    def files(self) -> Files | None:
        """The files that are read: own data, or documents."""
        return self.source or self.documents

    @property
    def has_planned(self) -> bool:
        """Whether the teacher makes the plan."""
        return self.strategy == "plan" and self.plan is None

    @property
    def pairs_of_a_call(self) -> int:
        """Pairs that are asked for in one call."""
        return self.pairs_per_call if self.strategy == "plan" else 1


class Model(Settings):
    """The open model to start from."""

    base: Annotated[str, Field(min_length=1, max_length=2048)]
    """`hf://org/name@revision`, `s3://bucket/prefix` or `file:///folder`, or a GGUF file at one of these. On
    one machine also a path relative to the request.
    """
    token_secret: SecretKey | None = None
    """Hub token for a gated or private model. Built-in: the profile's (locally HF_TOKEN)."""


class Variant(Settings):
    """Values of `training` for one of several trainings."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=20)]
    """Short name."""
    overrides: Annotated[dict[str, JsonValue], Field(max_length=100)] = Field(default_factory=dict)
    """Fields of `training` with their values in this variant."""


class Training(Settings):
    """QLoRA: a float32 adapter on a base model in 4 bits."""

    preset: Literal["original"] | None = None
    """A named set of values for this part. `original`: those of GPT-LLM-Trainer."""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """Where training runs. `cuda` without a visible GPU is an error; it never falls back to a CPU. On a
    cluster the built-in is `cuda`.
    """
    load_in_4bit: Annotated[bool, Field(alias="loadIn4bit")] = True
    """Quantise the base model to 4 bits while training (QLoRA)."""
    bnb_4bit_quant_type: Annotated[Literal["nf4", "fp4"], Field(alias="bnb4bitQuantType")] = "nf4"
    """4-bit data type."""
    bnb_4bit_compute_dtype: Annotated[
        Literal["auto", "float32", "float16", "bfloat16"], Field(alias="bnb4bitComputeDtype")
    ] = "auto"
    """Type in which 4-bit weights are multiplied. Built-in: bfloat16 on a GPU that supports it, otherwise
    float16; float32 on a CPU.
    """
    bnb_4bit_use_double_quant: Annotated[bool, Field(alias="bnb4bitUseDoubleQuant")] = True
    """Quantise the quantisation constants too (saves 0.4 bits a weight)."""
    lora_r: Annotated[int, Field(ge=1, le=1024)] = 16
    """Rank of the adapter."""
    lora_alpha: Annotated[float, Field(gt=0, le=100_000)] = 32.0
    """Scale: updates are multiplied by loraAlpha / loraR."""
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout in front of the adapter."""
    lora_bias: Literal["none", "all", "lora_only"] = "none"
    """Which biases are trained."""
    lora_target_modules: Annotated[tuple[Line, ...], Field(max_length=256)] = ("all-linear",)
    """Modules that get an adapter, given by the end of their names. `all-linear`: every linear layer except
    the output head.
    """
    lora_modules_to_save: Annotated[tuple[Line, ...], Field(max_length=256)] = ()
    """Modules that are trained and stored in full."""
    use_rslora: bool = False
    """Rank-stabilised LoRA: scale by loraAlpha / sqrt(loraR)."""
    use_dora: bool = False
    """Weight-decomposed LoRA."""
    num_train_epochs: Annotated[float, Field(gt=0, le=1000)] = 3.0
    """Passes over the train split."""
    max_steps: Annotated[int, Field(ge=-1, le=MOST_STEPS)] = -1
    """Most optimizer steps; overrides `numTrainEpochs`. -1: no limit."""
    per_device_train_batch_size: Annotated[int, Field(ge=1, le=4096)] = 4
    """Rows per device and forward pass. With several GPUs each of them takes this many."""
    per_device_eval_batch_size: Annotated[int, Field(ge=1, le=4096)] = 4
    """Rows per device and evaluation pass."""
    gradient_accumulation_steps: Annotated[int, Field(ge=1, le=4096)] = 1
    """Forward passes per optimizer step."""
    gradient_checkpointing: bool = True
    """Recompute activations instead of keeping them: less memory, about a third slower."""
    max_grad_norm: Annotated[float, Field(ge=0, le=1_000_000)] = 1.0
    """Gradients are clipped to this norm. 0: not clipped."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-4
    """Highest learning rate."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Decoupled weight decay."""
    optim: Optimizer = "adamw_torch"
    """Optimizer."""
    adam_beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """AdamW's first decay rate."""
    adam_beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """AdamW's second decay rate."""
    adam_epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-8
    """AdamW's epsilon."""
    lr_scheduler_type: Schedule = "cosine"
    """Course of the learning rate. `constant` ignores warmup; `constant_with_warmup` does not."""
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.03
    """Share of the steps during which the learning rate rises."""
    warmup_steps: Annotated[int, Field(ge=0, le=MOST_STEPS)] = 0
    """Steps during which the learning rate rises; overrides `warmupRatio`. 0: as the ratio says."""
    fp16: bool = False
    """Mixed precision float16 outside the 4-bit layers."""
    bf16: bool = False
    """Mixed precision bfloat16 outside the 4-bit layers."""
    group_by_length: bool = False
    """Put rows of similar length into one batch, for less padding."""
    max_length: Annotated[int, Field(ge=0, le=16_777_216)] = 0
    """Most tokens in a row. Longer rows are cut at the end, and counted. 0: the model's context length."""
    packing: bool = False
    """Put several rows into one sequence."""
    pad_token: Literal["auto", "eos"] = "auto"  # noqa: S105 - a token of text
    """Padding token. `auto`: the tokenizer's own, otherwise its end-of-sequence token."""
    padding_side: Literal["right", "left"] = "right"
    """Side that is padded in training."""
    neftune_noise_alpha: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """NEFTune noise on the embeddings. 0: none."""
    attn_implementation: Literal["auto", "eager", "sdpa", "flash_attention_2"] = "auto"
    """Attention kernels. `auto`: the choice of transformers."""
    logging_steps: Steps = 5
    """Steps between two entries of the loss curve."""
    eval_steps: Annotated[float, Field(ge=0, le=MOST_STEPS)] = 0.1
    """Steps between two evaluations on the validation split; below 1, a share of all steps. 0: only at the
    end.
    """
    save_steps: Steps = 25
    """Steps between two checkpoints. A restart loses fewer steps than this."""
    save_total_limit: Annotated[int, Field(ge=1, le=1000)] = 2
    """Checkpoints kept in the store while training runs."""
    early_stopping_patience: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Evaluations without a better validation loss after which training stops and takes the best checkpoint.
    0: never.
    """
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 42
    """Seed of data order, initialisation and dropout."""
    deterministic: bool = False
    """Use deterministic kernels on a GPU. Results are then the same bit by bit on the same model and number
    of GPUs, but training is slower. On a CPU they always are.
    """
    report_to: Annotated[tuple[TrackerName, ...], Field(max_length=4)] = ()
    """Experiment trackers; none unless named here. The train image includes tensorboard, whose files stay in
    the run.
    """
    from_: Annotated[Reference | None, Field(alias="from")] = None
    """Start from the adapter of another request or run."""
    variants: Annotated[tuple[Variant, ...], Field(max_length=1)] = ()
    """Values to train with. This release trains one variant."""


class Merge(Settings):
    """How the adapter is added to the base model's original weights."""

    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Type of the merged weights. `auto`: the base model's own."""
    rounding: Literal["auto", "nearest", "stochastic"] = "auto"
    """How results are rounded to `dtype`. `auto`: stochastic for bfloat16, where rounding to nearest loses
    small updates, and nearest for the others.
    """
    seed: Count = 42
    """Seed of stochastic rounding."""


class Format(Settings):
    """What an answer must look like to be usable. Give exactly one of the two."""

    json_schema: Annotated[dict[str, JsonValue] | None, Field(max_length=1000)] = None
    """JSON Schema (2020-12) that the answer must match, read as JSON."""
    regex: Annotated[str | None, Field(pattern=_FEW_GROUPS, max_length=1000)] = None
    """Regular expression, in the syntax of Python, that the whole answer must match. At most 1,000 characters
    and 100 opening brackets; a count such as {2,5} has at most four digits.
    """


class Gate(Settings):
    """The least gain over the base model for the run to count as a success, judged on the lower bound of the
    interval.
    """

    metric: MetricName = "loss"
    """What is compared on the test split. A gain in loss is its fall, in nats per token."""
    least_gain: Annotated[float, Field(ge=-1000, le=1000)] = 0.0
    """Least gain; shares are between 0 and 1."""


class Evaluation(Settings):
    """How base model and merged model are compared."""

    prompts: Annotated[tuple[Passage, ...], Field(max_length=100)] = ()
    """Your own prompts, which both models answer in the report."""
    max_new_tokens: Annotated[int, Field(ge=1, le=32_768)] = 200
    """Most new tokens in one answer."""
    answers: Rows = 50
    """Most rows of the test split that both models answer. The loss is always that of the whole split."""
    format: Format | None = None
    """What a usable answer looks like."""
    gate: Gate | None = None
    """Least gain. Without a gate any result completes the request."""
    seed: Count = 42
    """Seed of the bootstrap intervals."""
    per_device_eval_batch_size: Annotated[int, Field(ge=1, le=1024)] = 8
    """Rows processed at a time, for loss and answers."""
