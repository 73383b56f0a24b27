# One set of commands for people and for .ci/run.
.DEFAULT_GOAL := help
UV_RUN := uv run --env-file .env
# Processes that run the tests; each takes up to 3 GB.
WORKERS := 2

.PHONY: help setup dev demo check lint format types contracts test test-oldest-dagster golden picture bench

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
	uv run pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

OLDEST_DAGSTER := $(shell sed -n 's/^ *"dagster>=\(.*\)",/\1/p' pyproject.toml)
test-oldest-dagster:  ## the tests that rest on Dagster's ways, with the oldest version that pyproject.toml allows
	uv run --with dagster==$(OLDEST_DAGSTER) --with dagster-webserver==$(OLDEST_DAGSTER) python -m pytest \
		tests/definitions tests/integration/test_killed_runs.py

golden:  ## the losses that tests compare with, made anew: only when the maths changed on purpose
	PYTHONPATH=tests/support uv run python tests/golden/make_losses.py

picture:  ## docs/architecture.md: the picture of the rooms, drawn from the imports
	uv run python docs/draw_rooms.py

bench:  ## the benchmarks, one after the other
	@for script in benchmarks/*.py benchmarks/body_identity; do echo "== $$script"; uv run python "$$script" || exit 1; done
