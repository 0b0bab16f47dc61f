"""Two hosts: the same training on two machines that share a folder, and by two processes of one, to the same bytes?

    sudo python benchmarks/two_hosts.py

The hosts are two network namespaces of Linux, each with an address and a torchrun of its own; nothing but a virtual
cable and the disk is between them. Prints the hashes of both generators, and exits with 1 where they differ.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

HOSTS = {"gandem-a": "10.77.0.1", "gandem-b": "10.77.0.2"}
PORT = 29500


def ip(*words: str) -> None:
    """Set the network up."""
    subprocess.run(["ip", *words], check=True)


@contextmanager
def two_hosts() -> Iterator[None]:
    """Make two namespaces with a cable between them, and take them away afterwards."""
    one, other = HOSTS
    for host in HOSTS:
        ip("netns", "add", host)
    try:
        ip("link", "add", "eth0", "netns", one, "type", "veth", "peer", "name", "eth0", "netns", other)
        for host, address in HOSTS.items():
            ip("-n", host, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", host, "link", "set", "lo", "up")
            ip("-n", host, "link", "set", "eth0", "up")
        yield
    finally:
        for host in HOSTS:
            ip("netns", "del", host)


def train_on(host: str, command: list[str]) -> subprocess.Popen[bytes]:
    """Start torchrun on a host. A real one knows by its name whether it is the first; a namespace has none."""
    first, address = next(iter(HOSTS)), HOSTS[host]
    rendezvous = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{HOSTS[first]}:{PORT}"]
    rendezvous += ["--rdzv-conf", f"is_host={int(host == first)}", "--local-addr", address]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", *rendezvous]
    return subprocess.Popen(
        ["ip", "netns", "exec", host, *launcher, "-m", "gandem", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "eth0"},
    )


def fingerprint(run: Path) -> str:
    """Return the hash of the last generator of a run."""
    last = max((run / "checkpoints").iterdir())
    return hashlib.sha256((last / "generator.safetensors").read_bytes()).hexdigest()


def main() -> None:
    """Train twice and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default=str(files("gandem") / "data" / "fashion_4000.npz"))
    parser.add_argument("--budget", default="2k")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    options = parser.parse_args()
    runs = {name: options.work / f"hosts-{name}" for name in ("two hosts", "one host")}
    for run in runs.values():
        shutil.rmtree(run, ignore_errors=True)
    commands = [["train", options.source, "--out", str(run), "--budget", options.budget] for run in runs.values()]
    with two_hosts():
        started = [train_on(host, commands[0]) for host in HOSTS]
        codes = [each.wait() for each in started]
    if any(codes):
        raise SystemExit(f"torchrun ended with {codes}")
    subprocess.run([sys.executable, "-m", "gandem", *commands[1], "--devices", "2"], check=True)
    hashes = {name: fingerprint(run) for name, run in runs.items()}
    print("\n".join(f"{name}: {value}" for name, value in hashes.items()))
    sys.exit(len(set(hashes.values())) > 1)


if __name__ == "__main__":
    main()
