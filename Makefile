# Two commands matter: `make run` and `make test`. Both build what they need and say what they do.
SHELL := bash
.DEFAULT_GOAL := help
PYTHON ?= python3
PY := .venv/bin/python
RUNTIME := .venv/runtime-$(shell cksum < requirements.txt | cut -d' ' -f1)
DEV := .venv/dev-$(shell cksum < portal/requirements/dev.txt | cut -d' ' -f1)
LOCK = $(PY) -m uv pip compile --quiet $(UPGRADE) --generate-hashes --no-header --no-emit-index-url --python-version 3.11

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUNTIME) ## start everything on this machine with demo data; PORT=8123 make run moves it
	@exec env REKEY_DEMO=1 $(PY) manage.py up

test: $(DEV) ## every check and every test, on SQLite and on PostgreSQL
	@exec $(PY) -m tests.everything

lint: $(DEV) ## only the checks that need no database: style, types, import contracts
	@exec $(PY) -m tests.everything --only-checks

manage: $(RUNTIME) ## manage.py against the demo: make manage DO="pairingcode A0012345"
	@exec env REKEY_DEMO=1 $(PY) manage.py $(DO)

messages: $(DEV) ## collect texts for translation, then compile what is translated
	@exec $(PY) -m tests.catalogues

lock: $(DEV) ## pin anew what the .in files ask for: make lock UPGRADE=--upgrade for the newest that fit
	@$(PY) -m pip install --quiet uv
	@$(LOCK) portal/requirements/runtime.in -o requirements.txt
	@$(LOCK) portal/requirements/aliyun.in -o portal/requirements/aliyun.txt
	@$(LOCK) portal/requirements/dev.in -o portal/requirements/dev.txt

clean: ## forget the environment and all demo data
	rm -rf .venv var

.PHONY: help run test lint manage messages lock clean

# An environment is as good as the lock it was made from; the stamp's name says which.
$(RUNTIME):
	@portal/requirements/install.sh "$(PYTHON)" requirements.txt $@

$(DEV):
	@portal/requirements/install.sh "$(PYTHON)" portal/requirements/dev.txt $@
	@touch $(RUNTIME)
