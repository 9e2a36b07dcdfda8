"""A network of many machines inside one Linux, for root: a network namespace for each, a cable of a chosen rate."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from minigrad.parallel.ranks import mpiexec

NAME, ADDRESS = "minigrad", "10.77.0."
FRAMES = 0.955  # of a cable's rate is left for data: 1,448 of the 1,514 bytes in a frame of Ethernet
QUEUE = "burst 128k latency 50ms"  # of a cable, as of a switch's port
LAUNCHER = f"""#!/bin/sh
# what mpiexec calls in place of ssh: HOST COMMAND ...
[ "$1" = -x ] && shift
host=$1; shift
exec ip netns exec {NAME}-${{host##*.}} sh -c "$*"
"""


def _do(command: str) -> None:
    done = subprocess.run(command.split(), capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{command}: {done.stderr.strip()}")


@contextlib.contextmanager
def network(machines: int, mbit: int) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Inside, there are so many machines at a switch; yield (what starts a rank on each, its environment).

    Each is a namespace that holds one end of a cable, both ways of which carry `mbit` millions of bits a second. There
    is no delay: the kernel may lack `netem`, and at these sizes it would not be seen.

    Raises    OSError for who is not root, or on a system that has none of this.
    """
    switch, names = f"{NAME}-switch", [f"{NAME}-{i + 1}" for i in range(machines)]
    with contextlib.ExitStack() as undo:
        for name in (switch, *names):
            _do(f"ip netns add {name}")
            undo.callback(_do, f"ip netns del {name}")
        _do(f"ip -n {switch} link add bridge type bridge")
        _do(f"ip -n {switch} link set bridge up")
        for i, name in enumerate(names):
            _connect(switch, f"port{i}", name, f"{ADDRESS}{i + 1}", mbit)
        launcher = Path(undo.enter_context(tempfile.TemporaryDirectory())) / "launch"
        launcher.write_text(LAUNCHER)
        launcher.chmod(0o700)
        hosts = ",".join(f"{ADDRESS}{i + 1}" for i in range(machines))
        start = ["ip", "netns", "exec", names[0], *mpiexec(machines)]
        start += [
            "-launcher",
            "ssh",
            "-launcher-exec",
            str(launcher),
            "-hosts",
            hosts,
            "-localhost",
            f"{ADDRESS}1",
        ]
        yield [*start, sys.executable], {"UCX_TLS": "tcp,self"}  # not through shared memory


def _connect(switch: str, port: str, name: str, address: str, mbit: int) -> None:
    _do(f"ip -n {switch} link add {port} type veth peer name eth0 netns {name}")
    _do(f"ip -n {switch} link set {port} master bridge up")
    _do(f"ip -n {name} addr add {address}/24 dev eth0")
    _do(f"ip -n {name} link set eth0 up")
    _do(f"ip -n {name} link set lo up")
    _do(
        f"ip netns exec {name} sysctl -qw net.ipv4.tcp_congestion_control=reno"
    )  # where bbr is set, it takes twice the time
    for place, end in ((switch, port), (name, "eth0")):
        _do(f"ip netns exec {place} tc qdisc add dev {end} root tbf rate {mbit}mbit {QUEUE}")
