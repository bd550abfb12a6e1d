"""The report of a comparison, for readers: markdown from what `run` gathered."""

import math

import rows


def rate(value):
    if value >= 1e6:
        return f"{value / 1e6:.2f} M/s"
    return f"{value / 1e3:.1f} k/s" if value >= 1e3 else f"{value:.0f}/s"


def micros(value):
    return f"{value / 1e3:.2f} ms" if value >= 1e3 else f"{value:.0f} µs"


def figure(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def geometric_mean(values):
    values = [value for value in values if value > 0]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def summary(runs):
    """The figures of one side's rounds, each the median of them; nothing if all failed."""
    runs = [run for run in runs if run]
    if not runs:
        return None

    def median(of):
        values = sorted(of(run) for run in runs)
        return values[len(values) // 2] if len(values) % 2 else (
            values[len(values) // 2 - 1] + values[len(values) // 2]) / 2
    return {
        "rate": median(lambda run: run["rate"]),
        "p50_us": median(lambda run: run["p50_us"]),
        "p99_us": median(lambda run: run["p99_us"]),
        "cpu_us": median(lambda run: run["cpu_us"]),
        "errors": sum(run["errors"] for run in runs),
    }


def paired(base, other, key, more_is_better=True):
    """Ratios round by round: how many times better `other` is."""
    pairs = [(one[key], two[key]) for one, two in zip(base, other)
             if one and two and one[key] and two[key]]
    return [two / one if more_is_better else one / two for one, two in pairs]


def markdown(result):
    out = [f"# Ostler beside Apache ZooKeeper and etcd, {result['date']}, {result['mode']} mode", ""]
    out += describe(result)
    out += limits(result)
    out += loads(result, "One server", rows.ROWS)
    out += loads(result, "Three servers", rows.TRIO_ROWS)
    if result["facts"]:
        out += facts(result["facts"])
        out += below(result)
    if result["failures"]:
        out += ["## What failed", "", *(f"* {failure}" for failure in result["failures"]), ""]
    return "\n".join(out)


def describe(result):
    machine = result["machine"]
    return [
        f"{machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / 1e9:.0f} GB, Linux {machine['kernel']}; load average before "
        f"and after {result['load_before']:.1f} and {result['load_after']:.1f}. Harness and "
        f"servers share the machine. The run took {result['took_minutes']:.0f} minutes."
        + busy(result),
        "",
        f"{result['versions']['ostler']}; Apache ZooKeeper {result['versions']['apache']} "
        f"(`{result['java_options']}`); etcd {result['versions']['etcd'] or 'left out'}, reads "
        "serializable. All sync each write before they answer it. "
        f"{result['rounds']} rounds of {result['seconds']:g} s, interleaved; figures are medians, "
        "ratios are paired by round and averaged geometrically. Values have 100 bytes.",
        "",
    ]


def busy(result):
    load = max(result["load_before"], result["load_after"])
    if load <= 2 * result["machine"]["cores"]:
        return ""
    return (" **Others kept the machine busy meanwhile: rates and latencies say little, and their "
            "ratios understate; judge by CPU per operation.**")


def limits(result):
    found = result["limits"]
    out = ["## What the machine allows", "",
           f"Write and fdatasync of 4 KiB: p50 {micros(found['sync_us'][0])}, "
           f"p99 {micros(found['sync_us'][1])}. The harness against a server that does nothing, and "
           "how many times faster that is than Ostler in the same case:",
           "", "| case | rate | p50 / p99 | CPU per operation | bound by | of Ostler's rate |",
           "|---|---|---|---|---|---|"]
    for name, run in found["null"].items():
        protocol, case = name.split(" ", 1)
        side = {"jute": "ostler", "native": "ostler, native"}[protocol]
        ostler = summary(result["loads"].get(case, {}).get(side, []))
        times = f"{run['rate'] / ostler['rate']:.1f}×" if ostler else ""
        out.append(f"| {name} | {rate(run['rate'])} | {micros(run['p50_us'])} / "
                   f"{micros(run['p99_us'])} | {run['cpu_us']:.2f} µs | {run['bound_by']} | "
                   f"{times} |")
    return [*out, ""]


def judged(row, runs):
    """Ratios of a row, how far it got, and what its floor wants of it still."""
    base, ours = runs.get(row.base, []), runs.get(row.ours, [])
    ratios = [geometric_mean(paired(base, ours, "rate")),
              geometric_mean(paired(base, ours, "cpu_us", False)),
              geometric_mean(paired(base, ours, "p99_us", False))]
    figures = summary(ours)
    if figures is None:
        return ratios, "failed", []
    missed = row.floor.missed(ratios[0], figures)
    if not row.floor.text():
        return ratios, "", []
    if missed:
        return ratios, "below", missed
    return ratios, "floor" if row.aim.missed(ratios[0], figures) else "aim", []


def loads(result, title, all_rows):
    shown = [row for row in all_rows if row.name in result["loads"]]
    if not shown:
        return []
    names = list(dict.fromkeys(name for row in shown for name in result["loads"][row.name]))
    out = [f"## {title} under load", "",
           "Each cell: rate, p50 / p99, CPU of all its servers per operation. Ratios are of Ostler "
           "in ZooKeeper's protocol to Apache, unless the row says otherwise.", "",
           f"| case | {' | '.join(names)} | rate, × | CPU, × | p99, × | floor | aim | |",
           "|---|" + "---|" * (len(names) + 6)]
    for row in shown:
        runs = result["loads"][row.name]
        ratios, verdict, _ = judged(row, runs)
        cells = [cell(summary(runs[name])) if name in runs else "" for name in names]
        times = [f"{value:.2f}" if value else "" for value in ratios]
        out.append(f"| {row.name} | {' | '.join(cells)} | {' | '.join(times)} | "
                   f"{row.floor.text()} | {row.aim.text()} | {verdict} |")
    return [*out, ""]


def cell(figures):
    if figures is None:
        return "failed"
    text = (f"{rate(figures['rate'])}, {micros(figures['p50_us'])} / {micros(figures['p99_us'])}, "
            f"{figures['cpu_us']:.2f} µs")
    return f"{text}, **{figures['errors']} errors**" if figures["errors"] else text


def facts(found):
    names = list(found)
    figures = list(dict.fromkeys(name for side in found.values() for name in side))
    out = ["## Memory, start-up, watches, faults, durability", "",
           f"| | {' | '.join(names)} | times better | floor | aim | |",
           "|---|" + "---|" * (len(names) + 4)]
    for name in figures:
        cells = [f"{figure(found[side][name][0])} {found[side][name][1]}".strip()
                 if name in found[side] else "" for side in names]
        bound = rows.FACTS.get(name)
        sign = "" if bound is None else "≥ " if bound.more_is_better else "≤ "
        wanted = ["", ""] if bound is None else [f"{sign}{bound.floor:g}", f"{sign}{bound.aim:g}"]
        verdict = "" if bound is None or name not in found["ostler"] else bound.verdict(
            found["ostler"][name][0])
        out.append(f"| {name} | {' | '.join(cells)} | {times_better(found, name)} | "
                   f"{' | '.join(wanted)} | {verdict} |")
    return [*out, ""]


def times_better(found, name):
    if not all(name in found.get(side, {}) for side in ("apache", "ostler")):
        return ""
    (base, unit), (ostler, _) = found["apache"][name], found["ostler"][name]
    if base <= 0 or ostler <= 0:
        return ""
    return f"{ostler / base if unit in ('a second', '%') else base / ostler:.2f}"


def below(result):
    """What does not reach its floor, by how much, and what bounds it."""
    out = ["## Below the floor, or not measured", "", "| | by how much | what bounds it |",
           "|---|---|---|"]
    for row in (*rows.ROWS, *rows.TRIO_ROWS):
        _, verdict, missed = judged(row, result["loads"].get(row.name, {}))
        if verdict in ("below", "failed"):
            out.append(f"| {row.name} | {', '.join(missed) or verdict} | {row.why}"
                       f"{machine_share(result, row)} |")
    for name, bound in rows.FACTS.items():
        if name not in result["facts"]["ostler"]:
            out.append(f"| {name} | not measured | in full mode only, or it failed |")
        elif bound.verdict(result["facts"]["ostler"][name][0]) == "below":
            value = result["facts"]["ostler"][name][0]
            out.append(f"| {name} | {figure(value)} of {bound.floor:g} | {bound.why} |")
    out += [f"| {name} | not measured | {why} |" for name, why in rows.UNMEASURED.items()]
    return [*out, ""]


def machine_share(result, row):
    """What the harness said of a row's runs, where it was not the server that bounded them."""
    runs = [run for run in result["loads"].get(row.name, {}).get(row.ours, []) if run]
    bounds = {run["bound_by"] for run in runs} - {"server", ""}
    return f"; bound by the {' and the '.join(sorted(bounds))} here" if bounds else ""
