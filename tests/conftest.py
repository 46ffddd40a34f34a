"""Makes the helpers beside this file importable from every test; generated examples have no time limit."""

import hypothesis

hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")
