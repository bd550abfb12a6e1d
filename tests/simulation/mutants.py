#!/usr/bin/env python3
"""Plants one fault after the other in a scratch copy of core and lets the simulation look for it.

    tests/simulation/mutants.py                  all of them
    tests/simulation/mutants.py --seconds 60     so long for each, in seconds (default 40)
    tests/simulation/mutants.py no-drain ...     these

A mutant is killed when the simulation fails, or when core's own tests do (`--scripts`, tried for
those that the simulation misses). One that lives says that nothing looks at what it breaks.
Production code knows nothing of this: the copy lies under target/, and is patched there.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "target" / "mutants"
ZAB = "src/core/zab/member/"
ROOMS = "src/core/rooms/"

# Name, file, what stands there, what takes its place.
MUTANTS = [
    ("no-recency-check", ZAB + "leader.rs",
     "if counts && (current.epoch, last) > ours {", "if false && (current.epoch, last) > ours {"),
    ("elected-without-quorum", ZAB + "leader.rs",
     "if !ground.electorate.decide(ground.me, counted.map(|(server, _)| *server)) {",
     "if counted.count() > 99 {"),
    ("established-before-own-adoption", ZAB + "leader.rs",
     "|| !self.has_adopted || !decided {", "|| !decided {"),
    ("established-without-quorum", ZAB + "leader.rs",
     "|| !self.has_adopted || !decided {", "|| !self.has_adopted {"),
    ("commit-without-quorum", ZAB + "broadcast.rs",
     "let reached = ground.electorate.reached(ground.me, ground.durable, matched);",
     "let reached = matched.map(|(_, z)| z).chain([ground.durable]).max();"),
    ("self-ack-early", ZAB + "broadcast.rs",
     "let reached = ground.electorate.reached(ground.me, ground.durable, matched);",
     "let reached = ground.electorate.reached(ground.me, ground.logged(), matched);"),
    ("deliver-before-durable", ZAB + "ground.rs",
     "pub(super) fn deliver(&mut self, out: &mut Effects) {\n"
     "        let until = self.committed.min(self.durable);",
     "pub(super) fn deliver(&mut self, out: &mut Effects) {\n"
     "        let until = self.committed;"),
    ("ack-before-durable", ZAB + "learner.rs",
     "let message = Message::Ack { epoch: self.epoch, durable: ground.durable };",
     "let message = Message::Ack { epoch: self.epoch, durable: ground.logged() };"),
    ("no-drain", ZAB + "ground.rs",
     "self.pending.is_empty() && !self.installing", "!self.installing"),
    ("follower-accepts-gap", ZAB + "learner.rs",
     "if !has_adopted || previous != ground.logged() || !is_own || "
     "!is_gapless(previous, &entries)",
     "if !has_adopted || !is_own"),
    ("epoch-not-bound-to-leader", ZAB + "learner.rs",
     "self.counts = ground.accepted == reign &&", "self.counts ="),
    ("stale-epoch-accepted", ZAB + "learner.rs",
     "let is_stale = epoch < ground.accepted.epoch ||", "let is_stale ="),
    ("confirm-without-round", ZAB + "pulse.rs",
     "if ground.electorate.decides_alone {\n            out.push(waiting.confirmed());",
     "if true {\n            out.push(waiting.confirmed());"),
    ("quorum-loss-unnoticed", ZAB + "pulse.rs",
     "now_ms.saturating_sub(heard_ms) > ground.timing.silence_ms", "heard_ms > now_ms"),
    ("confirm-overtakes-kept-writes", ZAB + "pulse.rs",
     "if self.roll_over.keep_confirm(token, asker) {", "if false {"),
    ("kept-drafts-not-forgotten", ZAB + "roll_over.rs",
     "self.kept.retain(|kept| kept.server() != server);", "let _ = server;"),
    ("held-writes-not-re-sent", ROOMS + "pipeline/mod.rs",
     "let again = self.desk.again();", "let again: Vec<Forwarded> = Vec::new();"),
    ("re-sent-before-history", ROOMS + "pipeline/mod.rs",
     "if self.delivered < history {\n            return;", "if history < Zxid::ZERO {\n            return;"),
    ("snapshot-keeps-the-desk", ROOMS + "pipeline/mod.rs",
     "self.lose_track(effects);", ""),
    ("takeover-not-noticed", ROOMS + "pipeline/mod.rs",
     "let moved = txn::takeover(&proposal.payload);",
     "let moved = txn::takeover(&proposal.payload).filter(|_| false);"),
    ("owner-not-checked", ROOMS + "pipeline/lead.rs",
     "if !self.owners.admits(session, from, connection) {", "if false {"),
    ("travellers-overtake", ROOMS + "pipeline/desk.rs",
     "let Some(serial) = self.lanes.get(&sender.connection) else { return Some(committed) };",
     "let Some(serial) = self.lanes.get(&ConnectionId(u64::MAX).min(sender.connection))"
     ".filter(|_| false) else { return Some(committed) };"),
    ("not-confirmed-by-target", ROOMS + "pipeline/desk.rs",
     "if target <= reached {", "if target <= reached || true {"),
    ("durable-before-synced", ROOMS + "log_writer.rs",
     "effects.push(Effect::Write { committed, orders });",
     "effects.push(Effect::Write { committed, orders });\n"
     "                effects.push(Effect::Durable(mark));"),
    ("stage-not-begun-anew", ZAB + "leader.rs",
     "let orders = vec![begin, LogOrder::CommitStage { reign }];",
     "let _ = begin;\n        let orders = vec![LogOrder::CommitStage { reign }];"),
    ("directory-not-synced", "src/core/log/files.rs",
     "Ok(disk.sync_directory()?)", "Ok(())"),
    ("batch-not-synced", "src/core/log/mod.rs",
     ".and_then(|()| self.disk.sync(&self.tail.name));\n        self.remember(result)?;\n        self.tail.floor",
     ";\n        self.remember(result)?;\n        self.tail.floor"),
    ("events-behind-data", ROOMS + "connection.rs",
     "if self.watching && tree.last_applied() > self.handed {",
     "if false && tree.last_applied() > self.handed {"),
    ("session-not-renewed-by-leader", ROOMS + "session_sweeper.rs",
     "self.deadlines.renew_all(now.mono_ms);", ""),
    ("touches-not-passed-on", ROOMS + "session_sweeper.rs",
     "effects.push(Effect::Report(heard.collect()));", "let _ = heard.count();"),
    ("ephemerals-outlive-sessions", "src/core/tree/write.rs",
     'for path in self.ephemerals(session, "") {', 'for path in self.ephemerals(session, "/k0") {'),
]


def copy_of_core():
    """The workspace without what is built: only what the simulation needs to be compiled."""
    COPY.mkdir(parents=True, exist_ok=True)
    for name in ["Cargo.toml", "Cargo.lock", "src", "actors", "config", "benches", "tests"]:
        source, target = ROOT / name, COPY / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, copy_function=copy_if_changed)
        else:
            copy_if_changed(str(source), str(target))


def copy_if_changed(source, target):
    """Leaves the time of an unchanged file alone, so that it is not compiled again."""
    new, old = Path(source).read_bytes(), Path(target)
    if not old.exists() or old.read_bytes() != new:
        old.write_bytes(new)


def run(arguments, seconds, environment):
    command = ["cargo", "test", "--quiet", "--release", "-p", "ostler-core", *arguments]
    environment = {**os.environ, **environment, "RUST_BACKTRACE": "0"}
    environment["CARGO_TARGET_DIR"] = str(ROOT / "target" / "mutants-built")
    # Thin mutants must not wait for a fat link.
    environment["CARGO_PROFILE_RELEASE_LTO"] = "off"
    environment["CARGO_PROFILE_RELEASE_CODEGEN_UNITS"] = "16"
    done = subprocess.run(command, cwd=COPY, env=environment, timeout=seconds + 600, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def reason(output):
    lines = output.splitlines()
    at = next((n for n, line in enumerate(lines) if " fails:" in line), None)
    said = lines[at + 2:at + 3] if at is not None else lines[-1:]
    return " ".join(said)[:100]


def judge(mutant, seconds, with_scripts):
    name, file, old, new = mutant
    path = COPY / file
    text = path.read_text()
    if text.count(old) < 1:
        return "stale", f"{file} no longer has what it replaces"
    path.write_text(text.replace(old, new, 1))
    try:
        code, output = run(["--test", "simulation", "long", "--", "--nocapture"], seconds,
                           {"SECONDS": str(seconds), "BASE": "1"})
        if "error: could not compile" in output or "error[" in output:
            return "stale", "it does not compile"
        if code != 0:
            return "killed", reason(output)
        if with_scripts and run(["--lib"], seconds, {})[0] != 0:
            return "killed", "by core's own tests"
        return "missed", ""
    finally:
        path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--scripts", action="store_true")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    chosen = [m for m in MUTANTS if not arguments.names or m[0] in arguments.names]
    if arguments.list:
        print("\n".join(m[0] for m in chosen))
        return 0
    copy_of_core()
    counts = {"killed": 0, "missed": 0, "stale": 0}
    for mutant in chosen:
        verdict, why = judge(mutant, arguments.seconds, arguments.scripts)
        counts[verdict] += 1
        print(f"{verdict:7} {mutant[0]:34} {why}", flush=True)
    print(", ".join(f"{many} {verdict}" for verdict, many in counts.items()))
    return 0 if counts["killed"] == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
