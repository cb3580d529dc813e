"""A pytest plugin that writes one line per test to the file named by KAZOO_RESULTS: outcome, seconds, test, reason.

A test's outcome joins its three phases: it passed only if its set-up, its call and its tear-down did. The line is written
when the test is over, so that a run that is cut short leaves what it had.
"""

import os

OUTCOMES = {}


def pytest_runtest_logreport(report):
    test = OUTCOMES.setdefault(report.nodeid, {"outcome": "passed", "seconds": 0.0, "reason": ""})
    test["seconds"] += report.duration
    if not report.passed and test["outcome"] != "failed":
        test["outcome"] = report.outcome
        test["reason"] = reason_of(report)


def pytest_runtest_logfinish(nodeid):
    test = OUTCOMES.pop(nodeid, None)
    if test is not None:
        with open(os.environ["KAZOO_RESULTS"], "a", encoding="utf-8") as results:
            results.write(f"{test['outcome']}\t{test['seconds']:.2f}\t{nodeid}\t{test['reason']}\n")


def reason_of(report):
    if report.skipped and isinstance(report.longrepr, tuple):
        text = report.longrepr[2]
    else:
        # The last line of pytest's own marking is what was raised.
        marked = [line for line in str(report.longrepr).splitlines() if line.startswith("E ")]
        text = marked[0][2:] if marked else ""
    return " ".join(text.split())
