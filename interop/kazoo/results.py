"""A pytest plugin that writes one line per test to the file named by KAZOO_RESULTS: outcome, seconds, test, reason.

A test's outcome joins its three phases: it passed only if its set-up, its call and its tear-down did.
"""

import os

OUTCOMES = {}


def pytest_runtest_logreport(report):
    test = OUTCOMES.setdefault(report.nodeid, {"outcome": "passed", "seconds": 0.0, "reason": ""})
    test["seconds"] += report.duration
    if report.passed or test["outcome"] == "failed":
        return
    test["outcome"] = report.outcome
    if report.skipped and isinstance(report.longrepr, tuple):
        test["reason"] = report.longrepr[2]
    else:
        lines = str(report.longrepr).strip().splitlines()
        test["reason"] = lines[-1] if lines else ""


def pytest_sessionfinish():
    with open(os.environ["KAZOO_RESULTS"], "w", encoding="utf-8") as results:
        for nodeid, test in OUTCOMES.items():
            reason = " ".join(test["reason"].split())
            results.write(f"{test['outcome']}\t{test['seconds']:.2f}\t{nodeid}\t{reason}\n")
