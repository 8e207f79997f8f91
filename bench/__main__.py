"""The whole comparison: `python -m bench` (minutes), or `python -m bench --quick`.

Writes bench/results/full.json (or quick.json) and the report beside it, and prints the report.
"""

import argparse
import sys

from bench.report import comparison
from bench.run import RESULTS, BenchmarkError, refuse_unmeasurable, run_suites


def main() -> int:
    """Runs one process of the suites and reports on it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds, no slow peers")
    parser.add_argument("--peers-only", action="store_true", help="also without a release build")
    options = parser.parse_args()
    effort = "quick" if options.quick else "full"
    try:
        records = run_suites(effort, RESULTS / f"{effort}.json", quiet=False)
        if not options.peers_only:
            refuse_unmeasurable(records)
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    report = "\n\n".join(comparison(records, version) for version in ("2.0.1", "2.1"))
    (RESULTS / f"{effort}.md").write_text(report + "\n", encoding="utf-8")
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
