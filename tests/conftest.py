"""Settings that hold for every test."""

from hypothesis import HealthCheck, settings

# Two profiles: the suite replays the same examples on every run; `--hypothesis-profile=search`
# looks for new ones. No deadline: a shared machine stalls now and then and that is no defect.
settings.register_profile(
    "replay",
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("search", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("replay")
