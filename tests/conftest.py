"""What all tests share: bounded property tests, one thread for each parallel worker, and no silent skip of a browser.

`HYPOTHESIS_PROFILE=explore` searches with fresh random examples; otherwise the same examples run everywhere, always.
`MUOMNI_REQUIRE_BROWSER=1`, which `.ci/run` sets where it has a browser, turns a skipped browser test into a failure.
"""

import os

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

settings.register_profile("steady", derandomize=True, deadline=None, max_examples=50, print_blob=True)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    required = os.environ.get("MUOMNI_REQUIRE_BROWSER", "") not in ("", "0")
    if report.skipped and required and item.get_closest_marker("browser"):
        report.outcome = "failed"
        report.longrepr = f"MUOMNI_REQUIRE_BROWSER is set, and a browser test was skipped: {report.longrepr}"
    return report
