# Two commands: `make run` brings the whole product up, `make test` tries it all.
# Each prepares what it needs by itself; scripts/ says how.

PYTHON ?= python3

.PHONY: run test lint web screenshots clean

run:   ## the product with real studies in it, on http://127.0.0.1:8080 (PORT=… for another port)
	@PORT="$(PORT)" $(PYTHON) scripts/run.py

test:  ## every check and every test
	@$(PYTHON) scripts/test.py

lint:  ## the checks without the tests
	@$(PYTHON) scripts/test.py --lint

web:   ## the pages of the reading room
	@$(PYTHON) scripts/prepare.py web

screenshots: ## pictures of the pages, in both languages and at both sizes, for docs/screenshots
	@FILMLESS_SCREENSHOTS=docs/screenshots .venv/bin/pytest -q tests/system -k "arrives or every_kind"

clean: ## everything that was made here but the data
	rm -rf .venv .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		viewer_web/node_modules viewer_api/static
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
