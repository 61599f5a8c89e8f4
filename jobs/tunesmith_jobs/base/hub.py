"""The files of a model or dataset on the Hugging Face hub, or a server with its API (HF_ENDPOINT), through
the client.

The client's cache (HF_HOME) is used: files of the pinned commit that are in it are not fetched again, and a
download that is cut off resumes where it stopped as long as the process lives. No token but the given one is
ever sent; telemetry is off.
"""

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tunesmith.errors import BadRequest, Gone, Refused, TryAgain, TunesmithError
from tunesmith_jobs import before_torch
from tunesmith_jobs.base.address import Address
from tunesmith_jobs.base.model_files import FileState, in_parallel
from tunesmith_jobs.base.needed_files import CONFIG

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

_SECONDS = 30  # for an answer without weights
_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_WHERE_TO_GIVE_IT = (
    "spec.model.tokenSecret (locally the environment variable HF_TOKEN);"
    " a profile's token is used only for the models that it lists (`models`, `allow.tokenBases`)"
)


@dataclass(frozen=True)
class RepoKind:
    """One kind of repository on the hub, and how messages speak of it.

    `place`: how its addresses begin; `page`: how the paths of its pages do. `field`: of a request, that names
    it. `stage`: to run again from, once it is gone.
    """

    name: Literal["model", "dataset"]
    place: str
    page: str
    field: str
    stage: str
    missing_reason: str
    gated_reason: str
    gone_reason: str
    address_reason: str


MODEL = RepoKind(
    name="model",
    place="hf://",
    page="",
    field="spec.model.base",
    stage="train",
    missing_reason="ModelNotFound",
    gated_reason="ModelGated",
    gone_reason="ModelGone",
    address_reason="BadModelURI",
)
DATASET = RepoKind(
    name="dataset",
    place="hf://datasets/",
    page="datasets/",
    field="spec.data.source.uri",
    stage="generate",
    missing_reason="SourceNotFound",
    gated_reason="SourceGated",
    gone_reason="SourceChanged",
    address_reason="SourceNotFound",
)


class HubFiles:
    """One repository at one commit.

    `commit`: the pinned one, whose loss is Gone. Without it the commit of the revision is looked up first.
    """

    def __init__(
        self, address: Address, token: str | None, *, commit: str = "", kind: RepoKind = MODEL
    ) -> None:
        self.address = address
        self.kind = kind
        self.pinned = bool(commit)
        self.token = token
        self._api = _client()
        self._sizes: dict[str, int] = {}
        self.revision = commit

    def names(self) -> list[str]:
        """All files of the commit."""
        if not self._sizes:
            self._look_up()
        return sorted(self._sizes)

    def states(self, names: Collection[str]) -> Mapping[str, FileState]:
        """Sizes; the commit itself is the state."""
        self.names()
        return {name: FileState(self._sizes[name], self.revision) for name in names}

    def check_access(self, names: Collection[str]) -> None:
        """Read a byte, because a gated model's list of files is open to everybody.

        Raises the hub's refusal.
        """
        self.read_range(CONFIG if CONFIG in names else next(iter(names)), 0, 1)

    def _look_up(self) -> None:
        revision = self.revision or self.address.revision
        with self._faults():
            look_up = self._api.model_info if self.kind is MODEL else self._api.dataset_info
            info = look_up(
                self.address.root,
                revision=revision,
                files_metadata=True,
                timeout=_SECONDS,
                token=self.token or False,
            )
        if not info.sha:
            raise TryAgain(
                f"{self._api.endpoint} does not say which commit {self._named} is", reason="HubUnreachable"
            )
        self.revision = info.sha
        self._sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}

    def read(self, name: str) -> bytes:
        """All bytes, through the cache."""
        return self._download(name).read_bytes()

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Some bytes of a file that stays on the hub, unless the cache has it."""
        from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff  # type: ignore[attr-defined]  # lazy exports

        where = {"repo_type": self.kind.name, "revision": self.revision}
        cached = try_to_load_from_cache(self.address.root, name, **where)
        if isinstance(cached, str):
            with Path(cached).open("rb") as file:
                file.seek(start)
                return file.read(length)
        url = hf_hub_url(self.address.root, name, endpoint=constants.ENDPOINT, **where)
        only = {"Range": f"bytes={start}-{start + length - 1}", "Accept-Encoding": "identity"}
        headers = build_hf_headers(token=self.token or False) | only
        with self._faults(name):
            response = http_backoff("GET", url, headers=headers, timeout=_SECONDS, max_retries=2)
            hf_raise_for_status(response)
            if response.status_code == HTTPStatus.PARTIAL_CONTENT:
                return response.content
            return response.content[start : start + length]

    def fetch(self, names: Collection[str], to: Path) -> Iterator[tuple[str, Path]]:  # noqa: ARG002 they are in the cache
        """Downloaded into the client's cache."""
        return in_parallel(self._download, names)

    def _download(self, name: str) -> Path:
        with self._faults(name):
            return Path(
                self._api.hf_hub_download(
                    self.address.root,
                    name,
                    repo_type=self.kind.name,
                    revision=self.revision,
                    token=self.token or False,
                )
            )

    @property
    def _named(self) -> str:
        return f"{self.kind.place}{self.address.root}@{self.address.revision}"

    @contextlib.contextmanager
    def _faults(self, name: str = "") -> Iterator[None]:
        """Turns the client's exceptions into those of tunesmith.errors."""
        import httpx
        from huggingface_hub import errors

        try:
            yield
        except errors.RemoteEntryNotFoundError as error:
            raise self._missing(f"there is no {name or 'such file'} in {self._named}") from error
        except errors.RevisionNotFoundError as error:
            raise self._missing(
                f"{self.address.root} on {self._api.endpoint} has no revision {self.address.revision!r}"
            ) from error
        except errors.HfHubHTTPError as error:
            raise self._answered(error) from error
        except (
            errors.LocalEntryNotFoundError
        ) as error:  # the hub cannot be reached, and the cache lacks the file
            match error.__cause__:
                case errors.HfHubHTTPError() as cause:
                    raise self._answered(cause) from error
                case errors.OfflineModeIsEnabled():
                    raise self._offline() from error
                case cause:
                    raise self._unreachable(cause or error) from error
        except errors.OfflineModeIsEnabled as error:
            raise self._offline() from error
        except (
            errors.FileMetadataError,
            errors.XetDownloadError,
            httpx.HTTPError,
            ConnectionError,
            TimeoutError,
        ) as error:
            raise self._unreachable(error) from error
        except errors.HFValidationError as error:
            raise BadRequest(
                f"{self._named} is not a {self.kind.name}'s name: {error}", reason=self.kind.address_reason
            ) from error
        except OSError as error:
            if error.errno is None:  # from the client itself: fewer bytes than the hub had promised
                raise self._unreachable(error) from error
            raise

    def _answered(self, error: "HfHubHTTPError") -> TunesmithError:
        """The error for an unsuccessful answer. The hub hides private repositories behind 401 and 404."""
        from huggingface_hub import errors

        status = error.response.status_code
        if isinstance(error, errors.GatedRepoError):
            return self._gated()
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and self.token:
            return Refused(
                f"{self._api.endpoint} refused the token for {self.address.root} (HTTP {status})",
                reason="TokenRefused",
                remedy=f"{_WHERE_TO_GIVE_IT}: a token that may read this {self.kind.name}",
            )
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND) or isinstance(
            error, errors.RepositoryNotFoundError
        ):
            hidden = "" if self.token else "; a private one needs a token"
            return self._missing(f"{self._api.endpoint} has no {self.kind.name} {self.address.root}{hidden}")
        if status == HTTPStatus.FORBIDDEN or isinstance(error, errors.DisabledRepoError):
            return self._missing(
                f"{self._api.endpoint} does not give out {self.address.root} (HTTP {status})"
            )
        if status in _LATER or status >= 500:
            return self._unreachable(error)
        return self._missing(f"{self._api.endpoint} answers HTTP {status} for {self._named}")

    def _gated(self) -> TunesmithError:
        page = f"{self._api.endpoint}/{self.kind.page}{self.address.root}"
        if self.token:
            return Refused(
                f"the token has no access to the gated {self.kind.name} {self.address.root}",
                reason=self.kind.gated_reason,
                remedy=f"accept the {self.kind.name}'s terms at {page} with the token's account,"
                f" and let the token read gated {self.kind.name}s",
            )
        return BadRequest(
            f"the {self.kind.name} {self.address.root} is gated, and no token was given for it",
            reason=self.kind.gated_reason,
            remedy=f"accept its terms at {page}, then set a token: {_WHERE_TO_GIVE_IT}",
        )

    def _missing(self, message: str) -> TunesmithError:
        if self.pinned:
            return Gone(
                f"{message}; the run had pinned commit {self.revision}",
                reason=self.kind.gone_reason,
                remedy=f"set `rerun: {{from: {self.kind.stage}, id: <new>}}`"
                f" to {'train on' if self.kind is MODEL else 'take'} what the hub has today",
            )
        return BadRequest(
            message,
            reason=self.kind.missing_reason,
            remedy=f"check {self.kind.field}; a private {self.kind.name} needs a token: {_WHERE_TO_GIVE_IT}",
        )

    def _offline(self) -> BadRequest:
        return BadRequest(
            f"{self._named} is not in the client's cache, and HF_HUB_OFFLINE forbids to ask the hub",
            reason=self.kind.missing_reason,
            remedy=f"unset HF_HUB_OFFLINE, or name a folder or bucket that holds the {self.kind.name}",
        )

    def _unreachable(self, error: BaseException) -> TryAgain:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        return TryAgain(
            f"{self._named} could not be read from {self._api.endpoint}: {why}",
            reason="HubUnreachable",
            remedy="run again once the hub can be reached (HF_ENDPOINT, proxy);"
            " files that have arrived whole are kept",
        )


def _client() -> "HfApi":
    """The hub's client, quiet and without telemetry. It reads the environment when it is first imported."""
    os.environ.update(before_torch.missing_for_hub(os.environ))
    from huggingface_hub import HfApi

    return HfApi(library_name="tunesmith")
