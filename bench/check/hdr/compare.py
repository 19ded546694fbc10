"""Whether the files of a report say the same to HdrHistogram's Java tools, to Python's hdrhistogram and to us.

    compare.py JAR FOLDER...

A FOLDER holds report.json, report.hlog and report.hgrm, or report-ROUND.hgrm for each round, as `bench run --out` and
`bench report` write them. Of each round this compares

- the sum of the log's intervals, count by count, with the distribution in the JSON (read by Python);
- p50, p90, p99, p99.9 and the maximum in the JSON with what Java's HistogramLogProcessor and Python make of the log;
- the .hgrm file, byte for byte, with the one that HistogramLogProcessor makes of the log.

The Java library finds the k-th of n values for a percentile p by rounding k = p * n / 100 up, as we do; the Python one
rounds to the nearest. So Python is asked for the percentile that is exactly k / n.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
from fractions import Fraction
from importlib.metadata import version

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

JAVA_SECONDS_MAX = 120
UNIT_RATIO = 1000
QUANTILES = {"p50": Fraction(1, 2), "p90": Fraction(9, 10), "p99": Fraction(99, 100), "p999": Fraction(999, 1000)}
# The last line of the processor's table: of the interval, then `T:` and of all so far.
TOTALS = re.compile(r"T:(\d+) \( +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) \)")


class Different(Exception):
    """Two readers do not agree."""


def same(what, ours, theirs):
    if ours != theirs:
        raise Different(f"{what}: {ours} here, {theirs} there")


def micros(nanos):
    return f"{nanos / UNIT_RATIO:.3f}"


def rounds_of_log(path):
    """Sums of the log's intervals by tag, in the log's order."""
    reader = HistogramLogReader(str(path), None)
    sums = {}
    while (interval := reader.get_next_interval_histogram()) is not None:
        tag = interval.get_tag()
        if tag in sums:
            sums[tag].add(interval)
        else:
            sums[tag] = interval
    reader.close()
    return sums


def counts(histogram):
    return {item.value_iterated_to: item.count_at_value_iterated_to for item in histogram.get_recorded_iterator()}


def java(jar, log, tag, out):
    """Runs the log processor, which writes OUT, a line per interval, and OUT.hgrm."""
    command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", jar]
    command += ["org.HdrHistogram.HistogramLogProcessor", "-i", log, "-o", out, "-outputValueUnitRatio", str(UNIT_RATIO)]
    if tag is not None:
        command += ["-tag", tag]
    subprocess.run(command, check=True, timeout=JAVA_SECONDS_MAX, stdin=subprocess.DEVNULL)
    total = TOTALS.search(out.read_text().splitlines()[-1])
    if total is None:
        raise Different(f"the log processor made nothing of {log}")
    p50, p90, p99, p999, _, most = total.groups()[1:]
    values = {"p50": p50, "p90": p90, "p99": p99, "p999": p999, "max": most}
    return int(total[1]), values, out.with_suffix(".hgrm").read_text()


def table(hgrm):
    """What follows the two lines in brackets that say where a distribution comes from."""
    first, second, rest = hgrm.split("\n", 2)
    if not (first.startswith("#[") and second.startswith("#[")):
        raise Different("a .hgrm file does not begin with two lines in brackets")
    return rest


def compare(jar, folder, spoken, tag, from_log, scratch):
    quantiles = spoken["intended"]["quantiles"]
    total = quantiles["count"]
    ours = {name: f"{quantiles[name]:.3f}" for name in (*QUANTILES, "max")}

    from_json = HdrHistogram.decode(spoken["intended"]["histogram"])
    same("counts, in the JSON and in the log", counts(from_json), counts(from_log))
    same("count in Python", total, from_log.get_total_count())
    for name, quantile in QUANTILES.items():
        rank = max(1, -(-total * quantile.numerator // quantile.denominator))
        same(f"{name} in Python", ours[name], micros(from_log.get_value_at_percentile(100 * rank / total)))
    same("max in Python", ours["max"], micros(from_log.get_max_value()))

    java_total, java_values, java_hgrm = java(jar, folder / "report.hlog", tag, scratch / "processed")
    same("count in Java", total, java_total)
    for name, value in ours.items():
        same(f"{name} in Java", value, java_values[name])
    name = "report.hgrm" if tag is None else f"report-{tag}.hgrm"
    here, there = table((folder / name).read_text()), table(java_hgrm)
    for at, (one, other) in enumerate(zip(here.split("\n"), there.split("\n"))):
        same(f"line {at} of {name}", one, other)
    same(f"{name}, by its length", len(here), len(there))
    return ours


def main():
    jar, *folders = sys.argv[1:]
    passed = failed = 0
    print(f"HdrHistogram for Java {pathlib.Path(jar).stem.split('-')[-1]}, hdrhistogram for Python {version('hdrhistogram')}")
    for folder in map(pathlib.Path, folders):
        report = json.loads((folder / "report.json").read_text())
        sums = rounds_of_log(folder / "report.hlog")
        rounds = [spoken for spoken in report["rounds"] if spoken["seconds"]]
        if len(sums) != len(rounds):
            print(f"FAIL {folder}: {len(rounds)} rounds in the JSON, {len(sums)} in the log")
            failed += 1
            continue
        if not rounds:
            print(f"     {folder}: nothing was recorded, so there is nothing to compare")
        for spoken, (tag, from_log) in zip(rounds, sums.items()):
            with tempfile.TemporaryDirectory() as scratch:
                try:
                    values = compare(jar, folder, spoken, tag, from_log, pathlib.Path(scratch))
                except (Different, OSError, subprocess.SubprocessError) as error:
                    print(f"FAIL {folder}, {spoken['name']}: {error}")
                    failed += 1
                    continue
            told = ", ".join(f"{name} {value}" for name, value in values.items())
            print(f"ok   {folder}, {spoken['name']}: {from_log.get_total_count()} values, in µs {told}; equal .hgrm")
            passed += 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
