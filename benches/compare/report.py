"""The report of a comparison, for readers: markdown from what `run` gathered."""

import math


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


def markdown(result, rows):
    out = [f"# Ostler beside Apache ZooKeeper, {result['date']}, {result['mode']} mode", ""]
    out += describe(result)
    out += limits(result["limits"])
    out += loads(result, rows)
    if result["lone"]:
        out += lone(result["lone"])
    if result["failures"]:
        out += ["## What failed", "", *(f"* {failure}" for failure in result["failures"])]
    return "\n".join(out) + "\n"


def describe(result):
    machine = result["machine"]
    return [
        f"{machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / 1e9:.0f} GB, Linux {machine['kernel']}; load average before "
        f"and after {result['load_before']:.1f} and {result['load_after']:.1f}. Harness and "
        "servers share the machine." + busy(result),
        f"{result['versions']['ostler']}; Apache ZooKeeper {result['versions']['apache']} "
        f"(`{result['java_options']}`). Both sync each write before they answer it. "
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


def limits(found):
    out = ["## What the machine allows", "",
           f"Write and fdatasync of 4 KiB: p50 {micros(found['sync_us'][0])}, "
           f"p99 {micros(found['sync_us'][1])}. The harness against a server that does nothing:",
           "", "| case | rate | p50 / p99 | CPU per operation | bound by |", "|---|---|---|---|---|"]
    for name, run in found["null"].items():
        out.append(f"| {name} | {rate(run['rate'])} | {micros(run['p50_us'])} / "
                   f"{micros(run['p99_us'])} | {run['cpu_us']:.2f} µs | {run['bound_by']} |")
    return [*out, ""]


def loads(result, rows):
    names = result["sides"]
    out = ["## Under load", "",
           "Each cell: rate, p50 / p99, CPU of the server per operation.", "",
           f"| case | {' | '.join(names)} | rate, × | CPU, × | p99, × | floor | aim | |",
           "|---|" + "---|" * (len(names) + 6)]
    for row in rows:
        runs = result["loads"].get(row.name)
        if runs is None:
            continue
        base, ostler = runs["apache"], runs["ostler"]
        mean = [geometric_mean(paired(base, ostler, "rate")),
                geometric_mean(paired(base, ostler, "cpu_us", False)),
                geometric_mean(paired(base, ostler, "p99_us", False))]
        figures = summary(ostler)
        verdict = "failed" if figures is None else "aim" if row.aim.text() and row.aim.is_met(mean[0], figures) else (
            "floor" if row.floor.is_met(mean[0], figures) else "below")
        cells = [cell(summary(runs[name])) if name in runs else "" for name in names]
        ratios = [f"{value:.2f}" if value else "" for value in mean]
        out.append(f"| {row.name} | {' | '.join(cells)} | {' | '.join(ratios)} | "
                   f"{row.floor.text()} | {row.aim.text()} | "
                   f"{verdict if row.floor.text() else ''} |")
    return [*out, ""]


def cell(figures):
    if figures is None:
        return "failed"
    text = (f"{rate(figures['rate'])}, {micros(figures['p50_us'])} / {micros(figures['p99_us'])}, "
            f"{figures['cpu_us']:.2f} µs")
    return f"{text}, **{figures['errors']} errors**" if figures["errors"] else text


def lone(found):
    names = list(found)
    figures = list(dict.fromkeys(name for side in found.values() for name in side))
    out = ["## Memory, start-up, watches", "", f"| | {' | '.join(names)} | times better |",
           "|---|" + "---|" * (len(names) + 1)]
    for name in figures:
        cells = [f"{figure(found[side][name][0])} {found[side][name][1]}".strip()
                 if name in found[side] else "" for side in names]
        out.append(f"| {name} | {' | '.join(cells)} | {times_better(found, name)} |")
    return [*out, ""]


def times_better(found, name):
    if not all(name in found.get(side, {}) for side in ("apache", "ostler")):
        return ""
    (base, unit), (ostler, _) = found["apache"][name], found["ostler"][name]
    if base <= 0 or ostler <= 0:
        return ""
    return f"{ostler / base if unit in ('a second', '%') else base / ostler:.2f}"
