"""The settings may name a bucket; what is local then lies in a folder of its own."""

import json
import uuid

import pytest

from assets.engine.store_access import claim
from pipeline.cleaning import delete_computed
from pipeline.instance import make_instance
from pipeline.settings import load
from storage.durable import StoreError
from storage.remote import connection
from storage.remote.connection import remote_of
from storage.remote.objects import ObjectFolder
from storage.store import Store

pytest.importorskip("obstore")


@pytest.fixture
def variables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    yield {"REELCAST_DATA__FOLDER": "data", "REELCAST_STORE__PATH": f"memory://{uuid.uuid4().hex}"}
    for root in [root for root in connection._open if tmp_path in root.parents]:
        del connection._open[root]


def test_the_local_folder_follows_from_the_bucket(tmp_path, variables):
    name = variables["REELCAST_STORE__PATH"].removeprefix("memory://")
    settings = load(environment=variables)
    assert settings.store_folder() == tmp_path / "store-cache" / name
    assert settings.results_folder() == tmp_path / "results" / name
    chosen = load(environment={**variables, "REELCAST_STORE__CACHE": "fast"})
    assert chosen.store_folder() == tmp_path / "fast"


def test_every_machine_knows_the_data_set_of_the_bucket(tmp_path, variables):
    first = load(environment=variables)
    make_instance(first)
    second = load(environment={**variables, "REELCAST_STORE__CACHE": "second", "REELCAST_DATA__FOLDER": "other"})
    with pytest.raises(StoreError, match="belongs to the data set"):
        claim(Store(second.store_folder()), second.data_folder())


def test_cleaning_deletes_the_bucket_too(variables):
    settings = load(environment=variables)
    remote = remote_of(settings.store_folder())
    Store(settings.store_folder())
    asked = []
    assert delete_computed(settings, ask=lambda question: asked.append(question) or "y")
    assert variables["REELCAST_STORE__PATH"] in asked[0]
    left = {found.name for found in remote.objects.list()}
    assert left == {"manifest.json"}, "of the new instance, which an activated shell points to"


@pytest.mark.parametrize("allowed", ["option", "variable", None])
def test_an_endpoint_without_tls_must_be_allowed(monkeypatch, allowed):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    if allowed == "variable":
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    options = {"allow_http": "true"} if allowed == "option" else {}
    if allowed is None:
        with pytest.raises(StoreError, match=r"http://127\.0\.0\.1:1 has no TLS; allow that .* AWS_ALLOW_HTTP=true"):
            ObjectFolder("s3://bucket/one", options)
    else:
        assert ObjectFolder("s3://bucket/one", options).endpoint == "http://127.0.0.1:1"


def test_options_that_obstore_does_not_know_are_refused(variables):
    options = json.dumps({"endpiont": "http://127.0.0.1:1"})
    settings = load(
        environment={**variables, "REELCAST_STORE__PATH": "s3://bucket/one", "REELCAST_STORE__OPTIONS": options}
    )
    with pytest.raises(StoreError, match=r"s3://bucket/one.*endpiont.*store\.options"):
        settings.store_folder()
