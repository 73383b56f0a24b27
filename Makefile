# One set of commands for people and for .ci/run.
.DEFAULT_GOAL := help
UV_RUN := uv run --env-file .env

.PHONY: help setup dev demo check test golden bench

help:  ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup:  ## install everything, with the development tools
	uv sync
	uv run pre-commit install

dev:  ## the web page: graph, history, schedule, at http://localhost:3000
	$(UV_RUN) dagster dev

demo:  ## the main job, end to end, on the embedded world
	$(UV_RUN) dagster job execute -j full_refresh

check:  ## lint, format, types, import contracts
	uv run ruff check .
	uv run ruff format --check .
	uv run pyright
	uv run lint-imports

test:  ## all tests that need neither GPU nor network
	uv run pytest

golden:  ## the losses that tests compare with, made anew: only when the maths changed on purpose
	PYTHONPATH=tests/support uv run python tests/golden/make_losses.py

bench:  ## the benchmarks, one after the other
	@for script in benchmarks/*.py; do echo "== $$script"; uv run python "$$script" || exit 1; done
