# The commands that people and .ci/run share.
.DEFAULT_GOAL := help
UV_RUN := uv run --env-file .env
# Number of test processes; each takes up to 3 GB.
WORKERS := 3

.PHONY: help setup dev demo check lint format types contracts test test-long test-oldest-dagster golden picture bench

help:  ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 21

setup:  ## install everything, with the development tools
	uv sync
	uv run pre-commit install

dev:  ## the web page: graph, history, schedule, at http://localhost:3000
	$(UV_RUN) dagster dev

demo:  ## the main job, end to end, on the embedded world
	$(UV_RUN) dagster job execute -j full_refresh

check: lint format types contracts  ## lint, format, types, import contracts
lint:
	uv run ruff check .
format:
	uv run ruff format --check .
types:
	uv run pyright
contracts:
	uv run lint-imports

test:  ## all tests that need neither GPU nor network
	uv run pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 25

test-long:  ## the tests that are too long for CI, and five minutes of each fuzz test
	uv run pytest --long 5 -m "long and not gpu"
	uv run pytest --long 5 tests/integration/test_fuzzed_files.py tests/integration/test_fuzzed_pages.py

OLDEST_DAGSTER := $(shell sed -n 's/^ *"dagster>=\(.*\)",/\1/p' pyproject.toml)
test-oldest-dagster:  ## the tests that depend on Dagster's behaviour, with the oldest version that pyproject.toml allows
	uv run --with dagster==$(OLDEST_DAGSTER) --with dagster-webserver==$(OLDEST_DAGSTER) python -m pytest \
		tests/definitions/test_graph.py tests/definitions/test_launchpad.py \
		tests/integration/test_killed_runs.py::test_the_queue_goes_on_after_a_killed_run

golden:  ## make the losses that tests compare with; only after an intended change of the maths
	PYTHONPATH=tests/support uv run python tests/golden/make_losses.py

picture:  ## draw the rooms in docs/architecture.md from the imports, and list the models in docs/licences.md
	uv run python docs/draw_rooms.py
	uv run python docs/list_licences.py

bench:  ## the benchmarks, one after the other
	@for script in benchmarks/*.py benchmarks/body_identity; do echo "== $$script"; uv run python "$$script" || exit 1; done
