import importlib.util

import pytest

from deploy.local_cluster import POSTGRES, LocalCluster
from tests.drill.compare import differences
from tests.drill.same_tables import ON_CLUSTER, SETTINGS, make_data, parts_of, run

needed = [name for name in ("ray", "dagster_postgres", "psycopg2") if importlib.util.find_spec(name) is None]


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.skipif(bool(needed) or not POSTGRES.is_dir(), reason=f"PostgreSQL, or packages are missing: {needed}")
def test_a_cluster_of_processes_stores_the_rows_of_one_process(tmp_path):
    make_data(tmp_path / "data", 40)
    run(tmp_path / "data", tmp_path / "one", SETTINGS, {})
    with LocalCluster(s3=False) as cluster:
        run(tmp_path / "data", tmp_path / "cluster", {**SETTINGS, **ON_CLUSTER}, cluster.variables)
    assert differences(tmp_path / "cluster", tmp_path / "one") == []
    assert all(counted["doubled"] == 0 for counted in parts_of(tmp_path / "cluster").values())
    password = cluster.variables["DAGSTER_POSTGRES_URL"].split(":")[2].split("@")[0].encode()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file for file in files if password in file.read_bytes()] == []
