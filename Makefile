# Two commands do everything: `make run` ends in a board, `make test` in green. Both set up .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BOARD := --results results --context 10 --horizon 10 --horizon 90
# Boards of the small models: trained for the same time, and on the same number of clips.
BUDGETS := equal-seconds equal-sequences
PROJECTS := pyproject.toml $(wildcard plugins/*/pyproject.toml)

.PHONY: run test check board page docs results budgets figures clean help

run: $(VENV)/installed
	$(BIN)/vpbench run --model latentode --horizon 90
	@echo "The same rows beside the committed board (results/), on the clips that both have:"
	$(BIN)/vpbench leaderboard --results runs --results results --horizon 90

# A file of tests is one worker's, as fixtures are shared within it; each worker has a thread.
test: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

check: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/vpbench leaderboard $(BOARD) --output README.md --check
	$(BIN)/vpbench leaderboard --results results --published --output results/board.md --check
	for budget in $(BUDGETS); do \
		$(BIN)/vpbench leaderboard --results results/$$budget --output results/$$budget.md --check || exit 1; \
	done
	$(BIN)/vpbench verify results/moving-mnist/*/*.json results/equal-seconds/*/*/*.json

board: $(VENV)/installed
	$(BIN)/vpbench leaderboard $(BOARD) --output README.md
	$(BIN)/vpbench leaderboard --results results --published --output results/board.md
	for budget in $(BUDGETS); do \
		$(BIN)/vpbench leaderboard --results results/$$budget --output results/$$budget.md || exit 1; \
	done

# Everything in results/ on one page: tables, curves, differences, clips.
page: $(VENV)/installed
	$(BIN)/vpbench report --results results --output build/report.html

# The documentation as a site that needs no server: open build/site/index.html.
docs: $(VENV)/installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The committed records again: what is there is kept, so delete what is to be made anew. Hours of CPU, or use a GPU.
results: $(VENV)/installed
	$(BIN)/vpbench run results/figure-9.toml

# Every small model trained anew and evaluated, on one core: an hour for equal seconds, half of that for equal sequences.
budgets: $(VENV)/installed
	for budget in $(BUDGETS); do OMP_NUM_THREADS=1 $(BIN)/vpbench run results/$$budget.toml || exit 1; done

# The figures of the report, and the models that they show where these are not there yet: docs/report.md.
figures: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m experiments.figures

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "vpbench needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.txt constraints.txt $(PROJECTS) | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	@touch $@

$(VENV)/installed-test: requirements-test.txt requirements-docs.txt requirements-figures.txt $(VENV)/installed
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-test.txt
	@touch $@

clean:
	rm -rf $(VENV) runs build dist

help:
	@echo "make run      a board of latentode, the floors and the ceilings on 100 clips"
	@echo "make test     all tests"
	@echo "make check    formatting, lint, types; boards up to date; committed records hold"
	@echo "make board    the boards of README.md and results/board.md, from the committed records"
	@echo "make page     everything in results/ on one page: build/report.html"
	@echo "make docs     the documentation as a site: build/site"
	@echo "make results  the committed records again (hours)"
	@echo "make budgets  every small model trained and evaluated: equal seconds, equal sequences (two hours)"
	@echo "make clean    remove .venv, runs, build, dist"
