"""A model folder to the Hub."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dyncore.files import parse_json
from dyncore.hub._errors import HubError
from dyncore.hub._files import CASCADE_FILE, CONFIG_FILE, files_of, model_files
from dyncore.hub._results import result_files, results_of


def push_folder(
    folder: str | os.PathLike[str],
    name: str,
    *,
    private: bool = False,
    revision: str | None = None,
    commit_message: str = "Upload model",
) -> str:
    """Push a model folder to ``name`` (``org/name``) in one commit; returns the commit's address.

    The repository is made if there is none, and so is the branch ``revision``. Beside the model's
    files it gets ``README.md``, the model card; ``evaluation.json``, the metrics;
    ``.eval_results/DATA.yaml``, the accuracy for the Hub's leaderboards, where the data set is on
    the Hub; and ``recipe.json`` where the model knows its recipe. Model files and results that were
    there before and are none of this one's go: a network and a cascade never lie in one place, and
    results are of the weights beside them.

    Raises ValueError for a name that is none and :class:`HubError` when the Hub refuses, fails or
    cannot be reached.
    """
    from huggingface_hub import (
        CommitOperationAdd,
        CommitOperationDelete,
        HfApi,
    )  # late: see find_folder
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    from dyncore.hub._advice import advice

    if name.count("/") != 1:
        raise ValueError(f"{name!r} is no name on the Hub: give 'org/name' or 'user/name'")
    source = Path(folder)
    content: dict[str, str | bytes] = {file: os.fspath(source / file) for file in files_of(source)}
    if CASCADE_FILE in content:
        content |= _of_cascade(parse_json((source / CASCADE_FILE).read_bytes()), name)
    else:
        content |= _descriptions(parse_json((source / CONFIG_FILE).read_bytes()), name)
    api = HfApi()
    try:
        api.create_repo(name, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        names = api.list_repo_files(name, revision=revision)
        there = [*model_files(names), *results_of(names)]
        added = [CommitOperationAdd(file, data) for file, data in content.items()]
        gone = [CommitOperationDelete(file) for file in there if file not in content]
        commit = api.create_commit(
            name, [*added, *gone], commit_message=commit_message, revision=revision
        )
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise HubError(f"cannot push to {name!r}: {advice(error)}") from error
    return str(commit.commit_url)


def _descriptions(config: Mapping[str, Any], name: str) -> dict[str, bytes]:
    from dyncore.hub._card import dataset_id, model_card

    info = config["info"]
    files = {
        "README.md": str(model_card(config, name)).encode(),
        "evaluation.json": _summary(info),
        **result_files(dataset_id(info), info["metrics"]),
    }
    return files | ({"recipe.json": _json(info["recipe"])} if info.get("recipe") else {})


def _of_cascade(content: Mapping[str, Any], name: str) -> dict[str, bytes]:
    from dyncore.hub._card import cascade_card

    saved = content["cascade"]
    return {
        "README.md": str(cascade_card(content, name)).encode(),
        "evaluation.json": _summary(saved),
        **result_files(saved["dataset"], saved["metrics"]),
    }


def _summary(info: Mapping[str, Any]) -> bytes:
    return _json({"dataset": info["dataset"], "split": "test", "metrics": info["metrics"]})


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
