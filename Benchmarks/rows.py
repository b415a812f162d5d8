"""The table: a row for each goal, made of the medians of what was measured."""
from statistics import median

from runs import OURS


def rate(value):
    return f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:.1f} k/s"


def size(value):
    return f"{value / 1e6:.1f} MB"


def seconds(value):
    return f"{value * 1000:.1f} ms"


class Goal:
    """A row: what is shown and what it must reach.

    `against` is a peer, "best" for the best one, or a function from the values to the number that
    ours is divided by; the ratio must be at least `least` (or at most, if `at_most`).
    """

    def __init__(self, label, name, against=None, least=None, at_most=None, unit=rate, peers=None,
                 versus=None):
        self.label, self.name, self.unit = label, name, unit
        self.against, self.least, self.at_most = against, least, at_most
        self.peers = peers or name
        self.versus = versus or (against if isinstance(against, str) else "")


def medians(values, name):
    return {engine: median(found) for engine, found in values.get(name, {}).items() if found}


def ours(name, scale=1.0):
    def reference(values):
        found = medians(values, name).get(OURS)
        return None if found is None else found * scale
    return reference


def goals(chosen):
    data = 16.0 * chosen.count
    mebibyte = 1 << 20
    return {
        "load": [
            Goal("insert, flush", "insert", "lmdb-wm", least=3),
            Goal("lookup, another order", "lookup", "lmdb", least=1.8),
            Goal("  peers in insertion order", "lookup", "lmdb", peers="lookup in order"),
            Goal("  peers hold one read view", "lookup", "lmdb", peers="lookup held"),
            Goal("ascending scan", "ascending", "lmdb", least=2.5),
            Goal("descending scan", "descending", "lmdb", least=2.5),
            Goal("step", "step", "lmdb", least=1.5),
            Goal("  peers hold one read view", "step", "lmdb", peers="step held"),
            Goal("remove, flush", "remove", "lmdb-wm", least=3),
            Goal("closed file", "file", lambda _: data, at_most=1.75, unit=size,
                 versus="the data"),
            Goal("peak memory", "memory", unit=size),
        ],
        "sync": [
            Goal("insert, sync, 1 thread", "sync insert", "best", least=1),
            Goal("insert, sync, 8 threads", "sync 8 threads", ours("sync insert"), least=4,
                 versus="1 thread"),
            Goal("  and the peers'", "sync 8 threads", "best"),
        ],
        "mixed": [
            Goal("reader beside writer", "reader beside writer", "lmdb", least=1.5),
            Goal("writer beside reader", "writer beside reader", "lmdb", least=5),
        ],
        "dense": [
            Goal("insert, dense keys", "ascending insert", ours("random insert"), least=1,
                 versus="random"),
            Goal("lookup, dense keys", "ascending lookup", ours("random lookup"), least=1,
                 versus="random"),
            Goal("closed file, dense keys", "ascending file", lambda _: data, at_most=1.15,
                 unit=size, versus="the data"),
        ],
        "large": [
            Goal("insert, 64 MiB cache", "large insert", ours("insert"), versus="load"),
            Goal("lookup, 64 MiB cache", "large lookup", ours("lookup"), versus="load"),
            Goal("ascending, 64 MiB cache", "large ascending", ours("ascending"), versus="load"),
            Goal("peak memory", "large memory", lambda _: 128.0 * mebibyte, at_most=1, unit=size,
                 versus="128 MiB"),
            Goal("open after a clean close", "large open", lambda _: 0.02, at_most=1,
                 unit=seconds, versus="20 ms"),
        ],
    }


def table(values, chosen):
    """The rows as dictionaries, in the order of the groups."""
    made = []
    for group in chosen.groups:
        for goal in goals(chosen)[group]:
            made.append(row(values, group, goal))
    return made


def row(values, group, goal):
    mine = medians(values, goal.name).get(OURS)
    peers = {engine: value for engine, value in medians(values, goal.peers).items()
             if engine != OURS}
    if goal.against == "best":
        reference = max(peers.values(), default=None)
    elif isinstance(goal.against, str):
        reference = peers.get(goal.against)
    else:
        reference = goal.against(values) if goal.against else None
    ratio = mine / reference if mine is not None and reference else None
    met = None
    if ratio is not None and goal.least is not None:
        met = ratio >= goal.least
    if ratio is not None and goal.at_most is not None:
        met = ratio <= goal.at_most
    return {
        "group": group, "label": goal.label, "ours": mine,
        "ours_runs": values.get(goal.name, {}).get(OURS, []), "peers": peers,
        "versus": goal.versus, "ratio": ratio, "least": goal.least, "at_most": goal.at_most,
        "met": met, "unit": goal.unit.__name__,
    }


UNITS = {"rate": rate, "size": size, "seconds": seconds}


def text(made, chosen, machine):
    """The rows as a Markdown table."""
    engines = list(dict.fromkeys(engine for row in made for engine in row["peers"]))
    head = ["", OURS, "lowest - highest", *engines, "versus", "ratio", "goal", ""]
    lines = [head, ["---"] * len(head)]
    for made_row in made:
        unit = UNITS[made_row["unit"]]
        runs = made_row["ours_runs"]
        spread = f"{unit(min(runs))} - {unit(max(runs))}" if runs else ""
        ratio = made_row["ratio"]
        goal = f">= {made_row['least']}" if made_row["least"] is not None else (
            f"<= {made_row['at_most']}" if made_row["at_most"] is not None else "")
        lines.append([
            made_row["label"], unit(made_row["ours"]) if made_row["ours"] is not None else "-",
            spread,
            *[unit(made_row["peers"][engine]) if engine in made_row["peers"] else "-"
              for engine in engines],
            made_row["versus"], f"{ratio:.2f}" if ratio is not None else "-", goal,
            {True: "met", False: "MISSED", None: ""}[made_row["met"]],
        ])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    shown = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
             for line in lines]
    title = (f"{chosen.count} pairs of 8 + 8 bytes ({chosen.sync_count} with sync), medians of "
             f"{chosen.repeats} runs; {machine['cpu']}, {machine['cores']} cores")
    return "\n".join([title, "", *shown])
