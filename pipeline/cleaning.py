"""`reelcast clean`: delete the store and the results of one data set, and nothing else."""

from collections.abc import Callable
from pathlib import Path

from assets.settings import Settings
from assets.settings.dagster_home import HOME, MARK
from pipeline.instance import make_instance
from storage.durable import BusyError, StoreError, remove_folder
from storage.process_lock import is_present
from storage.remote.connection import remote_of
from storage.remote.unused import delete_everything


def delete_computed(settings: Settings, *, ask: Callable[[str], str] | None) -> bool:
    """Delete the store, its Dagster instance and the results.

    A results folder that the settings name (`store.results`) is kept, because it may hold other files.

    Args:
        settings: Settings that name the store.
        ask: Shows a question and returns the answer; None deletes without a question.

    Returns:
        Whether the folders were deleted; False if the answer was not yes.

    Raises:
        BusyError: A run is using the store.
        StoreError: The folder is not a store.
    """
    store = settings.store_folder()
    folders = [store] if settings.store.results else [store, settings.results_folder()]
    folders = [folder for folder in folders if folder.is_dir()]
    remote = remote_of(store)
    names = [*([] if remote is None else [remote.objects.url]), *map(str, folders)]
    if not folders:
        print(f"nothing to delete: {store} does not exist")
        return True
    if store in folders:
        _refuse(store)
    if ask is not None:
        try:
            answer = ask("".join(f"{name}\n" for name in names) + "Delete this for good? [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            print("nothing deleted (--yes deletes without a question)")
            return False
    if remote is not None:
        delete_everything(remote)
        print(f"deleted {remote.objects.url}")
    for folder in folders:
        if folder.is_dir():  # the results may be inside the store
            remove_folder(folder)
            print(f"deleted {folder}")
    make_instance(settings)  # an activated shell still points to it
    return True


def _refuse(store: Path) -> None:
    if not (store / "store.json").exists() and not (store / HOME / MARK).exists():
        raise StoreError(f"{store} is not a store (it has no store.json); nothing was deleted")
    if any(is_present(mark) for mark in (store / HOME / "running").glob("*")):
        raise BusyError(f"{store}: a run is using this store; wait for it or stop it, then run this command again")
