"""A cluster on one machine: PostgreSQL, an S3 server, a Ray head and workers, each a process of its own on the loopback.

    python -m deploy.local_cluster            # starts all, prints the variables for another shell, ends with Ctrl-C

It serves for trying and for tests. Each service can be killed and started again on its port. The S3 server keeps its objects
in memory, so they are lost with it.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

POSTGRES = Path("/usr/lib/postgresql/15/bin")  # Debian keeps these programs out of PATH
START_SECONDS = 300.0  # a machine that is busy takes long to start Ray
STARTS = 4  # a Ray node gives up after 30 s without an answer of the head, which a busy machine may need
RAY_MEMORY = 100 * 2**20  # bytes of the object store per node; shards return numbers only
HOST = "127.0.0.1"


class NotStarted(RuntimeError):
    """A service of the cluster did not start; the message ends with its output."""


@dataclass
class Service:
    """A service and its process.

    Attributes:
        name: Its name.
        command: Program and arguments.
        is_ready: Whether it answers.
        log: File of its output.
        user: The user that runs it; None for the caller.
        variables: What it finds in its environment beside the caller's variables.
        process: The process; None while the service is down.
    """

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool]
    log: Path
    user: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start the process, and wait until it answers.

        Raises:
            NotStarted: It ended several times, or does not answer in time.
        """
        for _ in range(STARTS):
            if self._started():
                return
        told = self.log.read_text(errors="replace")[-2000:]
        raise NotStarted(f"{self.name} did not start:\n{told}")

    def _started(self) -> bool:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                user=self.user,
                start_new_session=True,
                cwd="/" if self.user else None,
                env={**_environment(), **self.variables},
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                return False
            time.sleep(0.2)
        return True

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the process and all that it started.

        Args:
            how: The signal: SIGKILL for a machine that is lost, SIGINT for an orderly end.
        """
        if self.process is None:
            return
        family = [self.process.pid, *_descendants(self.process.pid)]
        for pid in family if how == signal.SIGKILL else family[:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        for pid in family:  # what an orderly end left
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


class LocalCluster:
    """PostgreSQL, an S3 server, a Ray head and workers. A context manager: on leaving, all processes end.

    Attributes:
        services: Name -> service: `postgres`, `s3`, `head`, `worker1`, `worker2`, ...
        s3_url: Address of the S3 server.
        variables: Environment variables with which a process uses the cluster. Ray's nodes get those of the S3 server too.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        postgres: bool = True,
        s3: bool = True,
        ray: bool = True,
        own_folder: Path | None = None,
    ):
        """Choose the services; nothing is started.

        Args:
            workers: Number of Ray's workers, each with one core.
            postgres: Whether to start PostgreSQL.
            s3: Whether to start the S3 server.
            ray: Whether to start Ray.
            own_folder: A folder that each worker sees as an empty one of its own, as on a machine of its own: a file system in
                memory in a mount namespace, which only root may make.
        """
        # short, because Ray puts sockets there and their paths may have 107 bytes
        self.folder = Path(tempfile.mkdtemp(prefix="rc", dir="/tmp"))
        self.folder.chmod(0o755)
        self.services: dict[str, Service] = {}
        self.variables: dict[str, str] = {}
        self._own_folder = own_folder
        if postgres:
            self._add_postgres()
        if s3:
            self._add_s3()
        if ray:
            self._add_ray(workers)

    def __enter__(self) -> Self:
        """Start all services."""
        try:
            for service in self.services.values():
                service.start()
            self._make_bucket()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """End all services, and remove their files."""
        for service in reversed(self.services.values()):
            service.kill(signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self, name: str) -> None:
        """Kill a service and start it again; the workers too if it is Ray's head, which knows no worker after its end.

        Args:
            name: Name of the service.
        """
        names = [name]
        if name == "head":
            names += [other for other in self.services if other.startswith("worker")]
        for each in reversed(names):
            self.services[each].kill()
        for each in names:
            self.services[each].start()

    def _service(
        self, name: str, command: Sequence[str], is_ready: Callable[[], bool], user: str | None = None
    ) -> None:
        self.services[name] = Service(name, command, is_ready, self.folder / f"{name}.log", user, self.variables)

    def _add_postgres(self) -> None:
        user, password, port = _unprivileged(), secrets.token_urlsafe(12), free_port()
        data, secret = self.folder / "postgres", self.folder / "secret"
        data.mkdir()
        secret.touch(0o600)
        secret.write_text(password, encoding="utf-8")
        if user:
            shutil.chown(data, user)
            shutil.chown(secret, user)
        subprocess.run(
            [
                POSTGRES / "initdb",
                "-D",
                data,
                "-U",
                "reelcast",
                "--auth=scram-sha-256",
                f"--pwfile={secret}",
                "-E",
                "UTF8",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            user=user,
            cwd="/",
            env=_environment(),
        )
        secret.unlink()
        options = ("-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories=")
        self._service(
            "postgres",
            [str(POSTGRES / "postgres"), "-D", str(data), "-p", str(port), *options],
            lambda: _succeeds([str(POSTGRES / "pg_isready"), "-h", HOST, "-p", str(port)]),
            user,
        )
        # the database that always exists
        self.variables["DAGSTER_POSTGRES_URL"] = f"postgresql+psycopg2://reelcast:{password}@{HOST}:{port}/postgres"

    def _add_s3(self) -> None:
        port = free_port()
        self._service(
            "s3",
            [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)],
            lambda: _answers(port),
        )
        self.s3_url = f"http://{HOST}:{port}"
        self.variables |= {
            "AWS_ENDPOINT_URL": self.s3_url,
            "AWS_ACCESS_KEY_ID": "reelcast",
            "AWS_SECRET_ACCESS_KEY": "reelcast",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def _make_bucket(self) -> None:
        """Create the bucket `reelcast`; the server asks for no signature."""
        if "s3" in self.services:
            import urllib.request

            url = f"{self.s3_url}/reelcast"
            with urllib.request.urlopen(urllib.request.Request(url, method="PUT")):
                pass

    def _add_ray(self, workers: int) -> None:
        port = free_port()
        address = f"{HOST}:{port}"
        start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        start += [f"--node-ip-address={HOST}", f"--object-store-memory={RAY_MEMORY}"]
        start += ["--min-worker-port=0", "--max-worker-port=0"]
        head = [
            "--head",
            f"--port={port}",
            "--num-cpus=0",
            "--include-dashboard=false",
            f"--temp-dir={self.folder / 'ray'}",
        ]
        head.append(f"--ray-client-server-port={free_port()}")
        self._add_node("head", address, [*start, *head])
        for number in range(1, workers + 1):
            self._add_node(f"worker{number}", address, [*start, f"--address={address}", "--num-cpus=1"])
        self.variables |= {"REELCAST_RAY__ADDRESS": address, "REELCAST_RUN__EXECUTOR": "ray"}

    def _add_node(self, name: str, address: str, command: Sequence[str]) -> None:
        agent = [f"--dashboard-agent-listen-port={free_port()}", f"--metrics-export-port={free_port()}"]
        command = [*command, f"--node-name={name}", *agent]
        if self._own_folder is not None and name != "head":
            mounted = 'mount -t tmpfs own "$0" && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", mounted, str(self._own_folder), *command]
        self._service(name, command, lambda: name in self._nodes(address))

    @staticmethod
    def _nodes(address: str) -> set[str]:
        """Return the names of the Ray cluster's living nodes; none if its head does not answer."""
        from ray._raylet import GcsClient

        try:
            nodes = GcsClient(address=address).get_all_node_info(timeout=2).values()
        except Exception:  # the head is not up yet
            return set()
        return {node.node_name for node in nodes if node.state == 0}


def free_port() -> int:
    """Return a port of the loopback that no process uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def _unprivileged() -> str | None:
    """Return a user for PostgreSQL, which refuses to run as root; None if the caller is not root."""
    if os.geteuid() != 0:
        return None
    users = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


def _environment() -> dict[str, str]:
    """Return the environment of the services: that of the caller, without settings that belong to one run."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("REELCAST_", "DAGSTER_"))}


def _descendants(pid: int) -> list[int]:
    """Return the processes that a process started, directly or not."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                parents.setdefault(int(parent), []).append(int(entry.name))
    found, left = [], [pid]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def main() -> None:
    """Start the cluster, print its variables, and end it with Ctrl-C."""
    with LocalCluster() as cluster:
        for name, value in cluster.variables.items():
            print(f"export {name}={value}", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
