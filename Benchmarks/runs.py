"""Builds and runs Demo and peerbench, and collects their numbers."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

GROUPS = ["load", "sync", "mixed", "dense", "large"]
OURS = "BTreeKV"


class Failed(Exception):
    """A run that can't be had; the message says which and why."""


def build_demo(package):
    command = ["swift", "build", "-c", "release", "--product", "Demo"]
    if subprocess.run(command, cwd=package, stdout=sys.stderr).returncode:
        raise Failed("Demo can't be built")
    shown = subprocess.run(command[:4] + ["--show-bin-path"], cwd=package,
                           capture_output=True, text=True, check=True)
    return Path(shown.stdout.strip()) / "Demo"


def find_peerbench(source, copy):
    """A built peerbench: the folder's own, or one built in a copy of it, which may be read-only."""
    built = source / "peerbench"
    if os.access(built, os.X_OK):
        return built.resolve()
    if not (source / "peerbench.cpp").exists():
        print(f"compare: no peerbench in {source}: BTreeKV runs alone", file=sys.stderr)
        return None
    copy.mkdir(exist_ok=True)
    changed = False
    for file in ["peerbench.cpp", "build.sh", "README.md"]:
        text = (source / file).read_bytes()
        if not (copy / file).exists() or (copy / file).read_bytes() != text:
            (copy / file).write_bytes(text)
            changed = True
    built = copy / "peerbench"
    if changed or not built.exists():
        if subprocess.run(["bash", "build.sh"], cwd=copy, stdout=sys.stderr).returncode:
            raise Failed(f"peerbench can't be built in {copy}")
    return built.resolve()


class Bench:
    """All runs of one comparison. `values[name][engine]` lists what was measured, run by run."""

    def __init__(self, chosen, demo, peerbench):
        self.chosen = chosen
        self.demo = demo
        self.peerbench = peerbench
        self.folder = Path(tempfile.mkdtemp(prefix="compare-", dir=chosen.dir))
        self.values = defaultdict(lambda: defaultdict(list))
        self.log = []
        self.missing = set()

    def run_all(self):
        for repeat in range(self.chosen.repeats):
            for group in self.chosen.groups:
                engines = [OURS] + self.peers_of(group)
                # In turn first and last, so that a drifting machine favours nobody.
                for engine in engines if repeat % 2 == 0 else reversed(engines):
                    if engine in self.missing:
                        continue
                    print(f"run {repeat + 1} of {self.chosen.repeats}: {group} {engine}",
                          file=sys.stderr)
                    kind = "ours" if engine == OURS else "peer"
                    getattr(self, f"{kind}_{group}")(*([] if engine == OURS else [engine]))

    def peers_of(self, group):
        if not self.peerbench or group in ["dense", "large"]:
            return []
        more = self.chosen.sync_engines if group == "sync" else []
        return list(dict.fromkeys(self.chosen.engines + more))

    def add(self, name, engine, value):
        self.values[name][engine].append(value)

    # Our side

    def run_demo(self, count, *arguments, file="demo.btreekv", keep=False):
        command = [self.demo, "--json", "--count", count, "--path", self.folder / file,
                   "--cache-mib", self.chosen.cache_mib, *arguments]
        lines = self.run(OURS, command + (["--keep"] if keep else []))
        phases = {line["phase"]: line for line in lines}
        if not phases.get("summary", {}).get("verified"):
            raise Failed("Demo did not verify its answers")
        return phases

    def remove(self, file):
        (self.folder / file).unlink(missing_ok=True)

    def ours_load(self):
        phases = self.run_demo(self.chosen.count, "--durability", "flush")
        for phase in ["insert", "lookup", "ascending", "descending", "step", "remove"]:
            self.add(phase, OURS, phases[phase]["operations_per_second"])
        self.add("memory", OURS, phases["summary"]["peak_rss_bytes"])
        loaded = self.run_demo(self.chosen.count, "--phases", "insert", keep=True, file="loaded")
        self.add("file", OURS, loaded["summary"]["file_bytes"])
        self.remove("loaded")

    def ours_sync(self):
        count = self.chosen.sync_count
        phases = self.run_demo(count, "--phases", "insert", "--durability", "sync",
                               keep=True, file="synced")
        self.add("sync insert", OURS, phases["insert"]["operations_per_second"])
        phases = self.run_demo(count, "--phases", "mixed", "--threads", "0,8", "--writes", "insert",
                               "--seconds", self.chosen.seconds, "--durability", "sync",
                               keep=True, file="synced")
        self.add("sync 8 threads", OURS, phases["mixed"]["writes_per_second"])
        self.remove("synced")

    def ours_mixed(self):
        phases = self.run_demo(self.chosen.count, "--phases", "insert", "--threads", "1,1",
                               "--writes", "insert", "--seconds", self.chosen.seconds)
        self.add("reader beside writer", OURS, phases["mixed"]["reads_per_second"])
        self.add("writer beside reader", OURS, phases["mixed"]["writes_per_second"])

    def ours_dense(self):
        # Random keys run again beside the dense ones: the two are compared with each other.
        for keys in ["random", "ascending"]:
            phases = self.run_demo(self.chosen.count, "--keys", keys, "--phases", "insert,lookup",
                                   keep=True, file=keys)
            for phase in ["insert", "lookup"]:
                self.add(f"{keys} {phase}", OURS, phases[phase]["operations_per_second"])
            self.add(f"{keys} file", OURS, phases["summary"]["file_bytes"])
            self.remove(keys)

    def ours_large(self):
        count = self.chosen.large_count
        phases = self.run_demo(count, "--cache-mib", 64, "--phases", "insert,lookup,ascending",
                               keep=True, file="large")
        for phase in ["insert", "lookup", "ascending"]:
            self.add(f"large {phase}", OURS, phases[phase]["operations_per_second"])
        self.add("large memory", OURS, phases["summary"]["peak_rss_bytes"])
        command = [self.demo, "--count", count, "--path", self.folder / "large", "--keep",
                   "--cache-mib", 64, "--phases", "step"]
        text = self.run(OURS, command, parse=lambda output: output)
        opened = re.search(r"^open: ([0-9.]+) ms$", text, re.MULTILINE)
        self.add("large open", OURS, float(opened.group(1)) / 1000)
        self.remove("large")

    # The peers' side

    def run_peer(self, engine, mode, count, *arguments):
        folder = self.folder / "peer"
        command = [self.peerbench, "--engine", engine, "--mode", mode, "--n", count,
                   "--dir", folder, *arguments]
        lines = self.run(engine, command)
        shutil.rmtree(folder, ignore_errors=True)
        return None if lines is None else {line["phase"]: line for line in lines}

    def peer_load(self, engine):
        phases = self.run_peer(engine, "none", self.chosen.count)
        if phases is None:
            return
        names = {
            "insert": "insert", "lookup": "lookup_shuffled", "lookup in order": "lookup",
            "lookup held": "lookup_held", "ascending": "scan_asc", "descending": "scan_desc",
            "step": "step", "step held": "step_held", "remove": "remove",
        }
        for name, phase in names.items():
            if phase in phases:
                self.add(name, engine, phases[phase]["ops_per_s"])
        summary = phases["summary"]
        # Allocated, since memory-mapped files are longer than what is in them.
        self.add("file", engine, summary["disk_alloc"])
        self.add("memory", engine, 1024 * (summary["rss_peak_kb"] - summary["rss_base_kb"]))

    def peer_sync(self, engine):
        phases = self.run_peer(engine, "sync", self.chosen.sync_count)
        if phases is None:
            return
        self.add("sync insert", engine, phases["insert"]["ops_per_s"])
        self.peer_threads(engine, "sync", self.chosen.sync_count, "0,8", writes="sync 8 threads")

    def peer_mixed(self, engine):
        self.peer_threads(engine, "none", self.chosen.count, "1,1",
                          reads="reader beside writer", writes="writer beside reader")

    def peer_threads(self, engine, mode, count, threads, reads=None, writes=None):
        phases = self.run_peer(engine, mode, count, "--threads", threads,
                               "--secs", self.chosen.seconds)
        if phases is None:
            return
        (measured,) = phases.values()
        if reads:
            self.add(reads, engine, measured["reads_per_s"])
        if writes:
            self.add(writes, engine, measured["writes_per_s"])

    # Both

    def run(self, engine, command, parse=None):
        """Runs a command to its end. None: peerbench was built without that engine."""
        command = [str(part) for part in command]
        start = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True)
        if "no such engine" in done.stderr:
            print(f"compare: peerbench has no {engine}", file=sys.stderr)
            self.missing.add(engine)
            return None
        if done.returncode:
            raise Failed(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")
        parse = parse or (lambda output: [json.loads(line) for line in output.splitlines()])
        parsed = parse(done.stdout)
        self.log.append({"engine": engine, "command": command,
                         "seconds": round(time.monotonic() - start, 3), "output": parsed})
        return parsed
