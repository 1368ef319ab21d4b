"""A cluster of which everything is killed: `python -m benchmarks.ray_kill [--jobs 200] [--kills 20] [--loopback]`.

The real service with ATELIER_ENGINE=ray and two machines, each in a network namespace of its own where that may be
made (else all on loopback; it says which). While jobs run, replicas are killed, then relays (Ray drivers), the process
that answers HTTP, the whole service, a machine, and the head. Every accepted job must end succeeded with each picture
once and the pixels of an undisturbed run; then the same load of a fixed-time engine on one machine and on two; then a
wrong and a missing token; then ten jobs of the shipped model with 3 kills. Ends with status 1 if something is not so.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from app.core.schema import GenerationRequest, JobState
from app.engine.makers.testing import draw
from benchmarks.kill_loop import REAL_KILLS, real_requests, undisturbed_pixels
from tests.ray_nodes import Node, with_token
from tests.running import free_port
from tests.system.history import Draw, check_answers, check_files, check_table
from tests.system.kill_loop import KillLoop
from tests.system.victim import Victim, wait_until

HEAD, MACHINES = "10.77.0.1", ("10.77.0.2", "10.77.0.3")
BRIDGE, SPACES = "atelier-br", ("atelier-a", "atelier-b")
WAIT_S = 300.0
WAYS = ("relay", "machine", "worker", "head", "all")
QUICK = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}  # until a machine gives up a dead head; 60 by default


@dataclass
class Cluster:
    """A head on this machine and two others. `spaces` is empty on loopback."""

    folder: Path
    environment: dict[str, str]
    spaces: tuple[str, ...]
    nodes: dict[str, Node] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    @property
    def address(self) -> str:
        """Where the head is."""
        return f"{HEAD if self.spaces else '127.0.0.1'}:{self.port}"

    def start(self, *names: str) -> None:
        """Start these of `head`, `a` and `b`, and wait for them."""
        for name in names:
            own = self.address.partition(":")[0]
            if name == "head":
                node = Node(self.folder, self.environment, port=self.port, address=own, cpus=0)
            else:
                number = "ab".index(name)
                prefix = ("ip", "netns", "exec", self.spaces[number]) if self.spaces else ()
                address = MACHINES[number] if self.spaces else own
                node = Node(self.folder, self.environment, head=self.address, address=address, prefix=prefix)
            self.nodes[name] = node
            node.wait()

    def kill(self, *names: str) -> None:
        """Pull their plugs."""
        for name in names:
            self.nodes[name].kill()

    def replicas(self) -> list[psutil.Process]:
        """The processes that Ray runs for engines."""
        return [each for name in "ab" for each in self.nodes[name].processes("ray::Replica")]


class RayVictim(Victim):
    """The service, and the cluster that works for it."""

    def __init__(self, folder: Path, cluster: Cluster, **settings: str) -> None:
        own = {"ENGINE": "ray", "RAY_ADDRESS": cluster.address, "RAY_GPUS": "0", "RAY_MIN": "2", "RAY_MAX": "2"}
        super().__init__(folder, **(own | settings))
        self.cluster = cluster
        self.dice = random.Random(7)

    def kill_engine(self) -> bool:
        """`kill -9` of a replica that works, or of any; False if there is none."""
        found = self.cluster.replicas()
        return _kill(self.dice.choice(found)) if found else False

    def kill_relay(self) -> bool:
        """`kill -9` of a driver."""
        found = [each for each in self._descendants() if "app.engine.cluster.relay" in " ".join(each.cmdline())]
        return _kill(self.dice.choice(found)) if found else False


class RayLoop(KillLoop):
    """A kill loop whose service kills hit the cluster, too."""

    def __init__(self, victim: RayVictim, requests: Sequence[GenerationRequest], *, seed: int) -> None:
        super().__init__(victim, requests, seed=seed)
        self._victim = victim

    def _kill_service(self) -> None:
        how = WAYS[len(self.report.service_kills) % len(WAYS)]
        self.report.service_kills.append(how)
        victim, cluster, started = self._victim, self._victim.cluster, time.monotonic()
        if how == "relay":
            wait_until("there is a relay to kill", victim.kill_relay, WAIT_S)
        elif how == "machine":
            cluster.kill("b")
            time.sleep(2)
            cluster.start("b")
        elif how == "worker":
            victim.kill_worker()
        elif how == "head":
            cluster.kill("head")
            time.sleep(1)
            cluster.kill("a", "b")  # which give up by themselves; a machine's owner starts Ray there again
            cluster.start("head", "a", "b")
        else:
            victim.kill_all()
            victim.start(WAIT_S)
        self.report.back_s.append(round(time.monotonic() - started, 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all three and print what happened."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20, help="of replicas")
    parser.add_argument("--others", type=int, default=5, help="kills of relay, machine, HTTP process, head, service")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parts", default="kills,speed,tokens,model", help="which of these, by commas")
    parser.add_argument("--loopback", action="store_true", help="no network namespaces")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the machines are ended too
    os.environ.update(with_token())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rk", dir="/tmp")))
        spaces = () if options.loopback else stack.enter_context(_namespaces())
        print("Two machines", "in two network namespaces" if spaces else "on loopback")
        machine = {"ATELIER_ENGINE": "test", "ATELIER_DATA_FOLDER": str(folder / "machine"), "OMP_NUM_THREADS": "1"}
        cluster = Cluster(folder, {**os.environ, **machine, **QUICK}, spaces)
        stack.callback(lambda: cluster.kill(*cluster.nodes))
        cluster.start("head", "a", "b")
        parts = options.parts.split(",")
        if "kills" in parts:
            _kills(folder / "kills", cluster, _fast_requests(options), draw, options)
        if "speed" in parts:
            _two_are_twice_as_fast(folder / "speed", cluster)
        if "tokens" in parts:
            _tokens(cluster)
        if "model" in parts:
            cluster.kill("a", "b")
            cluster.environment["ATELIER_ENGINE"] = "local"
            cluster.start("a", "b")
            requests = real_requests("pocket")
            os.environ["OMP_NUM_THREADS"] = "1"  # as the machines have: with more the last bits round otherwise
            pixels = undisturbed_pixels(folder / "undisturbed", requests)
            options.kills, options.others = REAL_KILLS, 0
            _kills(folder / "model", cluster, requests, lambda asked, index: pixels[asked.seed + index], options)
    return 0


def _fast_requests(options: argparse.Namespace) -> list[GenerationRequest]:
    dice = random.Random(options.seed)
    return [
        GenerationRequest(
            prompt=f"picture {number}",
            model="pocket",
            num_inference_steps=dice.randint(5, 25),
            width=64,
            height=64,
            seed=number * 10,
            num_images=dice.randint(1, 4),
        )
        for number in range(options.jobs)
    ]


def _kills(
    folder: Path,
    cluster: Cluster,
    requests: Sequence[GenerationRequest],
    expected: Draw,
    options: argparse.Namespace,
) -> None:
    with RayVictim(folder, cluster) as victim:
        loop = RayLoop(victim, requests, seed=options.seed)
        report = loop.run(engine_kills=options.kills, service_kills=options.others)
        check_answers(victim.client, loop.promises, expected)
        code = victim.stop()
    attempts = check_table(victim.database_url, loop.promises)
    orphans = check_files(victim.database_url, victim.output_folder, victim.folder / "thumbnails")
    print(f"  {len(loop.promises.ids)} jobs in {report.seconds:.1f} s, {report.engine_kills} replicas killed")
    print(f"  other kills {list(zip(report.service_kills, report.back_s, strict=True))} (s until started again)")
    print(f"  attempts {dict(sorted(attempts.items()))}; {orphans} files without a row removed; exit code {code}")
    print("  lost 0, doubled 0, wrong hash 0, other pixels 0, events with a gap 0")
    wait_until("no replica is left without its service", lambda: not cluster.replicas(), WAIT_S)
    assert code == 0


def _two_are_twice_as_fast(folder: Path, cluster: Cluster) -> None:
    seconds = {}
    for machines in (1, 2):
        limits = {"RAY_MIN": str(machines), "RAY_MAX": str(machines), "START_PAUSED": "1"}
        with RayVictim(folder / str(machines), cluster, **limits) as victim:
            client = victim.client
            wait_until("its devices are there", lambda: _devices(victim) == machines, WAIT_S)  # noqa: B023
            jobs = [
                client.submit(
                    GenerationRequest(prompt=f"!slow {number}", model="pocket", num_inference_steps=10, seed=number)
                )
                for number in range(40)
            ]
            started = time.monotonic()
            client.set_paused(False)
            wait_until("all are made", lambda: client.status().queue.queued + client.status().queue.running == 0, 300)  # noqa: B023
            seconds[machines] = time.monotonic() - started
            assert {client.job(job.id).state for job in jobs} == {JobState.SUCCEEDED}
            victim.stop()
    print(f"  40 jobs of a second: {seconds[1]:.1f} s on one machine, {seconds[2]:.1f} s on two: ", end="")
    print(f"{seconds[1] / seconds[2]:.2f} times as fast")
    assert seconds[1] / seconds[2] >= 1.9


def _devices(victim: RayVictim) -> int:
    return sum(device.alive for device in victim.client.status().devices)


def _tokens(cluster: Cluster) -> None:
    """Neither a wrong nor a missing token attaches; the right one does."""
    code = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False); print('in')"
    for words, own in (
        ("wrong", {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}),
        ("missing", {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": ""}),
        ("right", {}),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, cluster.address],
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        attached = "in" in done.stdout.split()
        print(f"  {words} token: {'attached' if attached else 'refused'}")
        assert attached == (words == "right"), done.stderr


@contextmanager
def _namespaces() -> Iterator[tuple[str, ...]]:
    """A bridge with this machine and two namespaces on it; () where they may not be made."""

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        ip("link", "add", BRIDGE, "type", "bridge")
    except (OSError, subprocess.CalledProcessError):
        yield ()
        return
    with ExitStack() as stack:
        stack.callback(ip, "link", "del", BRIDGE)
        ip("addr", "add", f"{HEAD}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for number, (space, address) in enumerate(zip(SPACES, MACHINES, strict=True)):
            ip("netns", "add", space)
            stack.callback(ip, "netns", "del", space)
            ours, theirs = f"atelier-v{number}", f"atelier-w{number}"
            ip("link", "add", ours, "type", "veth", "peer", "name", theirs)
            ip("link", "set", ours, "master", BRIDGE)
            ip("link", "set", ours, "up")
            ip("link", "set", theirs, "netns", space)
            ip("-n", space, "addr", "add", f"{address}/24", "dev", theirs)
            ip("-n", space, "link", "set", theirs, "up")
            ip("-n", space, "link", "set", "lo", "up")
        yield SPACES


def _kill(process: psutil.Process) -> bool:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
