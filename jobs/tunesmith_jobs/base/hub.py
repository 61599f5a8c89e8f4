"""A model on the Hugging Face hub, or on a server that speaks its API (HF_ENDPOINT), through its own client.

The client's cache (HF_HOME) is used: what is there for the pinned commit is not fetched again, and a download that is cut off goes on
where it stopped as long as the process lives. Only the token that is given is ever sent; telemetry is off.
"""

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.errors import BadRequest, Gone, Refused, TryAgain, TunesmithError
from tunesmith_jobs import before_torch
from tunesmith_jobs.base.choose import CONFIG
from tunesmith_jobs.base.source import Entry, side_by_side
from tunesmith_jobs.base.uri import Place

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

_SECONDS = 30  # for an answer without weights
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_LATER = (408, 425, 429)
_PARTIAL = 206
_WHERE = "spec.model.tokenSecret (locally the environment variable HF_TOKEN)"


class Hub:
    """One repository at one commit. `commit`: the pinned one, whose loss is Gone; without it the revision is looked up first."""

    def __init__(self, place: Place, token: str | None, *, commit: str = "") -> None:
        self.place = place
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

    def entries(self, names: Collection[str]) -> Mapping[str, Entry]:
        """Sizes; the commit itself is the state."""
        self.names()
        return {name: Entry(self._sizes[name], self.revision) for name in names}

    def check_access(self, names: Collection[str]) -> None:
        """Read a file, since a gated model's list of files is open to everybody. Raises what the hub says."""
        self.read_range(CONFIG if CONFIG in names else next(iter(names)), 0, 1)

    def _look_up(self) -> None:
        wanted = self.revision or self.place.revision
        with self._faults():
            info = self._api.model_info(
                self.place.root,
                revision=wanted,
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
        """All bytes, by way of the cache."""
        return self._download(name).read_bytes()

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Some bytes of a file that stays on the hub, unless the cache has it."""
        from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff  # type: ignore[attr-defined]  # lazy exports

        cached = try_to_load_from_cache(self.place.root, name, revision=self.revision)
        if isinstance(cached, str):
            with Path(cached).open("rb") as file:
                file.seek(start)
                return file.read(length)
        url = hf_hub_url(self.place.root, name, revision=self.revision, endpoint=constants.ENDPOINT)
        wanted = {"Range": f"bytes={start}-{start + length - 1}", "Accept-Encoding": "identity"}
        headers = build_hf_headers(token=self.token or False) | wanted
        with self._faults(name):
            response = http_backoff("GET", url, headers=headers, timeout=_SECONDS, max_retries=2)
            hf_raise_for_status(response)
            return (
                response.content
                if response.status_code == _PARTIAL
                else response.content[start : start + length]
            )

    def fetch(self, names: Collection[str], to: Path) -> Iterator[tuple[str, Path]]:  # noqa: ARG002 the cache is the place
        """Downloaded into the client's cache."""
        return side_by_side(self._download, names)

    def _download(self, name: str) -> Path:
        with self._faults(name):
            return Path(
                self._api.hf_hub_download(
                    self.place.root, name, revision=self.revision, token=self.token or False
                )
            )

    @property
    def _named(self) -> str:
        return f"hf://{self.place.root}@{self.place.revision}"

    @contextlib.contextmanager
    def _faults(self, name: str = "") -> Iterator[None]:
        """Turn the client's exceptions into ours."""
        import httpx
        from huggingface_hub import errors

        try:
            yield
        except errors.RemoteEntryNotFoundError as error:
            raise self._missing(f"there is no {name or 'such file'} in {self._named}") from error
        except errors.RevisionNotFoundError as error:
            raise self._missing(
                f"{self.place.root} on {self._api.endpoint} has no revision {self.place.revision!r}"
            ) from error
        except errors.HfHubHTTPError as error:
            raise self._answered(error) from error
        except (
            errors.LocalEntryNotFoundError
        ) as error:  # the client found no way to the hub, and nothing in its cache
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
            raise BadRequest(f"{self._named} is no name of a model: {error}", reason="BadModelURI") from error
        except OSError as error:
            if error.errno is None:  # the client's own: fewer bytes than the hub had promised
                raise self._unreachable(error) from error
            raise

    def _answered(self, error: "HfHubHTTPError") -> TunesmithError:
        """What the hub meant by an answer that is no success. It hides private repositories behind 401 and 404."""
        from huggingface_hub import errors

        status = error.response.status_code
        if isinstance(error, errors.GatedRepoError):
            return self._gated()
        if status in (_UNAUTHORIZED, _FORBIDDEN) and self.token:
            return Refused(
                f"{self._api.endpoint} refused the token for {self.place.root} (HTTP {status})",
                reason="TokenRefused",
                remedy=f"{_WHERE}: a token that may read this model",
            )
        if status in (_UNAUTHORIZED, _NOT_FOUND) or isinstance(error, errors.RepositoryNotFoundError):
            hidden = "" if self.token else "; a private one needs a token"
            return self._missing(f"{self._api.endpoint} has no model {self.place.root}{hidden}")
        if status == _FORBIDDEN or isinstance(error, errors.DisabledRepoError):
            return self._missing(f"{self._api.endpoint} does not give out {self.place.root} (HTTP {status})")
        if status in _LATER or status >= 500:
            return self._unreachable(error)
        return self._missing(f"{self._api.endpoint} answers HTTP {status} for {self._named}")

    def _gated(self) -> TunesmithError:
        page = f"{self._api.endpoint}/{self.place.root}"
        if self.token:
            return Refused(
                f"the token has no access to the gated model {self.place.root}",
                reason="ModelGated",
                remedy=f"accept the model's terms at {page} with the token's account, and let the token read gated models",
            )
        return BadRequest(
            f"the model {self.place.root} is gated, and there is no token",
            reason="ModelGated",
            remedy=f"accept its terms at {page}, then set a token: {_WHERE}",
        )

    def _missing(self, message: str) -> TunesmithError:
        if self.pinned:
            return Gone(
                f"{message}; the run had pinned commit {self.revision}",
                reason="ModelGone",
                remedy="set `rerun: {from: train, id: <new>}` to begin with what the hub has today",
            )
        return BadRequest(
            message, reason="ModelNotFound", remedy=f"check spec.model.base; {_WHERE} for a private model"
        )

    def _offline(self) -> BadRequest:
        return BadRequest(
            f"{self._named} is not in the client's cache, and HF_HUB_OFFLINE forbids asking the hub",
            reason="ModelNotFound",
            remedy="unset HF_HUB_OFFLINE, or name a folder or bucket that holds the model",
        )

    def _unreachable(self, error: BaseException) -> TryAgain:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        return TryAgain(
            f"{self._named} could not be read from {self._api.endpoint}: {why}",
            reason="HubUnreachable",
            remedy="run again once the hub can be reached (HF_ENDPOINT, proxy); files that were fetched whole are kept",
        )


def _client() -> "HfApi":
    """The hub's client, quiet and without telemetry. Its settings are read from the environment at its first import."""
    os.environ.update(before_torch.missing_for_hub(os.environ))
    from huggingface_hub import HfApi

    return HfApi(library_name="tunesmith")
