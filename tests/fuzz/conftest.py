"""Scripts that reproduce what the fuzzer found are run by hand, one by one, and not collected as doctests."""

collect_ignore_glob = ["found/*", "run.py"]
