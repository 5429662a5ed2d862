"""What is saved to a folder goes to the Hub."""

import os
from tempfile import TemporaryDirectory
from typing import Protocol, runtime_checkable

from dyncore.hub._push import push_folder


@runtime_checkable
class _Saved(Protocol):
    def save_pretrained(self, folder: str | os.PathLike[str]) -> None: ...


class Pushed:
    """A network or a cascade, which both write model folders."""

    def push_to_hub(
        self: _Saved,
        name: str,
        *,
        private: bool = False,
        revision: str | None = None,
        commit_message: str = "Upload model",
    ) -> str:
        """Push it to ``org/name`` on the Hub in one commit; returns its address.

        The repository holds what :meth:`save_pretrained` writes, a model card with the evaluation
        results, ``evaluation.json``, and ``recipe.json`` if ``info`` has a recipe. It is made,
        ``private`` or not, if there is none; so is the branch ``revision``. Raises ValueError for
        a name that is none and :class:`dyncore.HubError` when the Hub refuses or fails.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return push_folder(
                folder,
                name,
                private=private,
                revision=revision,
                commit_message=commit_message,
            )
