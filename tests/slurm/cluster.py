"""A real Slurm cluster of two nodes on this machine, on loopback alone, for tests of the slurm profile.

munged, slurmctld, slurmdbd on MariaDB, and two slurmd run as plain processes of the calling user. GPUs are only
declared (Slurm wants device files; links to /dev/null will do). No cgroups: a job over its memory is found by polling
and killed.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "slurmdbd", "mariadbd", "mariadb-install-db", "mariadb-admin")
PACKAGES = "munge slurmctld slurmd slurm-client slurmdbd mariadb-server"
CLIENTS = ("sbatch", "srun", "squeue", "sacct", "sacctmgr", "scancel", "scontrol", "sinfo")
SEARCH = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
NODES = ("n1", "n2")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}({address})
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldTimeout=120
SlurmdTimeout=20
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=200000,bf_interval=1
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={address}
AccountingStoragePort={accounting}
AccountingStoragePass={folder}/munge.sock
AccountingStoreFlags=job_comment
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
ReturnToService=2
KillWait=5
MinJobAge=300
JobRequeue=1
GresTypes=gpu
NodeName=n[1-2] NodeHostname={host} NodeAddr={address} Port=[{first}-{last}] CPUs=8 RealMemory=64000 Gres=gpu:2
PartitionName=main Default=YES Nodes=n[1-2] MaxTime=7-0 DefaultTime=10 DefMemPerCPU=500
"""
ACCOUNTING = """\
DbdHost=localhost
DbdAddr={address}
DbdPort={accounting}
CommunicationParameters=NoInAddrAny
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser={user}
StorageLoc=accounting
"""


def missing() -> str | None:
    """Say why no cluster can be started here; None if one can."""
    absent = [name for name in PROGRAMS if not shutil.which(name, path=SEARCH)]
    if absent:
        return f"Slurm is not installed ({', '.join(absent)} missing): apt install {PACKAGES}"
    if _address() is None:
        return "the host's name does not stand for an address that Slurm's steps can call back (127.0.1.1 cannot)"
    return None


class Cluster:
    """A running cluster; `close` ends every process that it started."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # short: it holds unix sockets
        self.folder.chmod(0o755)  # munged insists
        self.environment = os.environ | {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{self.folder}/bin:{SEARCH}",
            "MYSQL_UNIX_PORT": str(self.folder / "db.sock"),
        }
        self._daemons: dict[str, subprocess.Popen] = {}
        try:
            self._configure()
            self._start_munge()
            self._start_accounting()
            self.start("slurmctld")
            for node in NODES:
                self.start(node)
            wait_for(60, "idle nodes", lambda: set(self.run("sinfo", "-h", "-N", "-o", "%T").split()) == {"idle"})
        except BaseException:
            self.close()
            raise

    def start(self, name: str) -> None:
        """Start slurmctld, or the slurmd of a node."""
        self._spawn(name, *(("slurmctld", "-D") if name == "slurmctld" else ("slurmd", "-D", "-N", name)))

    def stop(self, name: str) -> None:
        """End one daemon."""
        process = self._daemons.pop(name)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def run(self, *command: str) -> str:
        """Run a Slurm client and return what it prints; raises CalledProcessError if it fails."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """Return the running jobs: id -> comment, in which Snakemake keeps rule and wildcards."""
        lines = self.run("squeue", "-h", "-t", "R", "-o", "%A %k").splitlines()
        return dict(line.split(maxsplit=1) for line in lines)

    def steps(self, job: str) -> list[int]:
        """Return the ids of the processes of slurmstepd that run a job of this cluster."""
        return processes(self.folder, "slurmstepd", f"[{job}.")

    def repair(self) -> None:
        """Start what a test has stopped, and cancel what it has left in the queue."""
        for name in ("slurmctld", *NODES):
            if name not in self._daemons:
                self.start(name)
        wait_for(60, "the controller", lambda: self.run("sinfo", "-h"))
        self.run("scancel", "--state=PENDING")
        self.run("scancel", "--full", "--state=RUNNING")
        wait_for(60, "an empty queue", lambda: not self.run("squeue", "-h"))
        for node in NODES:
            if "down" in self.run("sinfo", "-h", "-n", node, "-o", "%T"):
                self.run("scontrol", "update", f"nodename={node}", "state=resume")

    def close(self) -> None:
        """Cancel all jobs, end the daemons, remove the folder."""
        if {"slurmctld", *NODES} <= set(self._daemons):
            self.repair()
        for name in [*NODES, "slurmctld", "slurmdbd", "mariadbd", "munged"]:
            if name in self._daemons:
                self.stop(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _configure(self) -> None:
        for name in ("state", "bin"):
            (self.folder / name).mkdir()
        port = 20000 + 4 * (os.getpid() % 5000)
        values = {
            "host": socket.gethostname().split(".")[0],
            "address": _address(),
            "port": port,
            "accounting": port + 1,
            "first": port + 2,
            "last": port + 3,
            "user": _user(),
            "folder": self.folder,
        }
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(**values))
        (self.folder / "slurmdbd.conf").touch(mode=0o600)  # slurmdbd insists
        (self.folder / "slurmdbd.conf").write_text(ACCOUNTING.format(**values))
        devices = [self.folder / f"gpu{number}" for number in (0, 1)]
        for device in devices:
            device.symlink_to("/dev/null")
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/gpu[0-1]\n")
        for name in CLIENTS:  # Snakemake's plugins drop SLURM_CONF before they call a client within a job
            wrapper = self.folder / "bin" / name
            real = shutil.which(name, path=SEARCH) or f"/usr/bin/{name}"
            wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {real} "$@"\n')
            wrapper.chmod(0o755)

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        options = {"key-file": key, "socket": "munge.sock", "pid-file": "munged.pid", "seed-file": "munge.seed"}
        self._spawn("munged", "munged", "--foreground", *(f"--{k}={self.folder / v}" for k, v in options.items()))
        wait_for(10, "munged", lambda: self.run("munge", "-n", f"--socket={self.folder}/munge.sock"))

    def _start_accounting(self) -> None:
        data, user = self.folder / "db", _user()
        options = ("--no-defaults", f"--user={user}", f"--datadir={data}")
        login = ("--auth-root-authentication-method=socket", f"--auth-root-socket-user={user}", "--skip-test-db")
        self.run("mariadb-install-db", *options, *login)
        quiet = ("--skip-networking", "--innodb-lock-wait-timeout=900")
        self._spawn("mariadbd", "mariadbd", *options, f"--socket={self.folder}/db.sock", *quiet)
        ping = ("mariadb-admin", "--no-defaults", f"--socket={self.folder}/db.sock", "ping")
        wait_for(60, "MariaDB", lambda: self.run(*ping))
        self._spawn("slurmdbd", "slurmdbd", "-D")
        wait_for(60, "slurmdbd", lambda: self.run("sacctmgr", "-n", "show", "cluster") is not None)
        self.run("sacctmgr", "-i", "add", "cluster", "test")
        self.run("sacctmgr", "-i", "add", "account", "tests", "Description=tests", "Organization=tests")
        self.run("sacctmgr", "-i", "add", "user", user, "Account=tests")

    def _spawn(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            self._daemons[name] = subprocess.Popen(
                command, **streams, cwd=self.folder, env=self.environment, start_new_session=True
            )


def wait_for(seconds: float, what: str, condition: Callable[[], object]) -> None:
    """Wait until a condition holds; one that raises does not hold yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (subprocess.SubprocessError, OSError):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"gave up waiting {seconds:g} s for {what}")
        time.sleep(0.2)


def processes(folder: Path, *words: str) -> list[int]:
    """Return the ids of processes that run in a folder or below, and whose command line holds all of these words.

    The folder matters, since other tests train the same models at the same time, in folders of their own.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            inside = (process / "cwd").readlink().is_relative_to(folder)
        except OSError:
            continue
        if inside and all(word in line for word in words):
            found.append(int(process.name))
    return found


def kill(*pids: int) -> None:
    """Send SIGKILL to processes, as a power failure would."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _address() -> str | None:
    """The address of the host's name, on which all daemons listen; None if Slurm's steps could not call it back."""
    try:
        address = socket.gethostbyname(socket.gethostname().split(".")[0])
    except OSError:
        return None
    return None if address.startswith("127.0.1.") else address
