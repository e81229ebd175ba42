"""Checkpoints on the Hugging Face Hub: upload and download, every failure one sentence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mindrec.errors import MindRecError

REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")
TIMEOUT = 10  # seconds until a Hub that does not answer counts as out of reach


def looks_like_repo(name: str) -> bool:
    """Whether a name can only be a Hub id: `owner/name`, and no folder `owner` lies here."""
    return bool(REPO_ID.fullmatch(name)) and not Path(name.split("/")[0]).exists()


def upload(
    repo_id: str, folder: Path, *, private: bool | None = None, token: str | bool | None = None, **commit
) -> str:
    """Make the model repository, private where asked, and upload a folder to it; the address of the commit.

    Args:
        commit: what `HfApi.upload_folder` takes besides: commit_message, commit_description, revision, create_pr.

    Raises:
        MindRecError: an unknown option (before anything is made), no token, no right to write, no network.
    """
    from huggingface_hub import HfApi

    allowed = ("commit_message", "commit_description", "revision", "create_pr")
    if unknown := sorted(set(commit) - set(allowed)):
        raise MindRecError(f"push_to_hub has no option {unknown[0]!r}; it has private, token, {', '.join(allowed)}")
    api = HfApi()
    with _one_sentence(f"{repo_id} was not uploaded"):
        api.create_repo(repo_id, token=token, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repo_id, folder_path=str(folder), token=token, **commit))


def download(repo_id: str, *, token: str | bool | None = None, revision: str | None = None) -> Path:
    """The folder of a repository's snapshot in the Hub's cache. Raises MindRecError offline or where there is none."""
    from huggingface_hub import snapshot_download

    with _one_sentence(f"{repo_id} is no folder here, and it was not read from the Hub"):
        return Path(snapshot_download(repo_id, token=token, revision=revision, etag_timeout=TIMEOUT))


@contextmanager
def _one_sentence(what: str) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no"
        raise MindRecError(
            f"{what}: the Hub answered with status {status}; check the name, and the token (`hf auth login`)"
        ) from error
    except Exception as error:  # no network, in the words of whichever HTTP library the Hub's client has; no token ...
        first = " ".join(str(error).split())[:200] or type(error).__name__
        raise MindRecError(f"{what}: {first}; check the network, the name and the token") from error
