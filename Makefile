# The three tiers of tests, and the comparisons with peers.

# A kernel is built and Debian roots are made the first time: allow for it.
TIMEOUT ?= 25m

# How long a page that is edited every second is looked at; empty is brief, with pages of 10 s in place of 60.
AGE ?= 5m

.PHONY: test integration bench check packages day

# Hermetic: no root, no network, nothing but Go.
test:
	go test ./...

# Style and structure, without running anything.
check:
	.ci/check

# The same tests with the real programs, kernels and namespaces.
integration: packages
	STATICIFY_AGE_TEST=$(AGE) BERRYRACK_REQUIRE=all go test -count=1 -timeout $(TIMEOUT) ./...

# The Debian packages that .ci/debian-packages names, when this is root on a machine with apt.
packages:
	.ci/install-packages

# Each script runs us and the peer in one go and prints the ratio.
bench: packages
	@for script in $$(find . -path '*/testdata/bench/run' | sort); do echo "== $$script"; $$script || exit 1; done

# A day of a rack that is booted here, under load: the report is in day-report.
day: packages
	go run ./examples/internal/day
