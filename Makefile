# Everything a developer types. `make` alone lists it.

GO ?= go
FUZZTIME ?= 30s
SEEDS ?= 1000
TAGS = integration,crashtest

.DEFAULT_GOAL := help
.PHONY: help build run test test-postgres race lint bench backlog relay sim fuzz cover dedup-bench dedup-long

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/oncepay: static, needs nothing else on the machine
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/oncepay ./cmd/oncepay

run: ## serve for development on 127.0.0.1:8080 (API key sk_dev)
	$(GO) run ./cmd/oncepay serve --dev

test: ## run every test, with the race detector; installs what that needs
	scripts/deps
	$(GO) test -race -count=1 -tags integration -timeout 15m ./...

test-postgres: ## run what needs PostgreSQL on another one: PG=/usr/lib/postgresql/17/bin
	@test -n "$(PG)" || { echo "which one? such as make test-postgres PG=/usr/lib/postgresql/17/bin" >&2; exit 2; }
	$(PG)/postgres --version
	PGBIN=$(PG) $(GO) test -count=1 -tags integration -timeout 15m ./internal/pgtest ./store/postgres ./store/pgkeys/... ./examples/booking
	PGBIN=$(PG) $(GO) test -count=1 -tags integration -timeout 15m -run 'Replicas|AFailover|ABackup|Database' ./cmd/oncepay

race: ## run the tests that need nothing installed but a C compiler, with the race detector
	$(GO) test -race ./...

lint: ## check form: gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags $(TAGS) ./...
	$(GO) tool staticcheck ./...
	$(GO) tool staticcheck -tags $(TAGS) ./...

bench: build ## measure this machine: oncepay next to a bare net/http handler
	bin/oncepay bench suite

backlog: ## measure a million events that a sink does not take: commits and memory
	$(GO) test ./store/sqlite -run '^$$' -bench Backlog -undelivered 1000000

relay: ## measure the relay beside a bare publisher, and from a commit to a consumer
	$(GO) test ./broker/nats -run '^$$' -bench Relay -benchtime 5x
	$(GO) test ./broker/nats -run '^$$' -bench Delivery -benchtime 2000x

sim: ## run SEEDS (1000) histories through the simulator
	$(GO) run ./cmd/oncepay simulate --seeds $(SEEDS)

fuzz: ## fuzz each target for FUZZTIME (30s)
	scripts/fuzz $(FUZZTIME)

cover: ## say how much of the code the tests run; cover.out has the lines
	$(GO) test -coverpkg=./... -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out | tail -n 1

LIVE ?= 100000000
dedup-bench: ## measure package dedup with LIVE (100000000) ids, really loaded: 4.5 GB under TMPDIR
	$(GO) test ./dedup -run '^$$' -bench 'Disk|Seen' -benchtime 20000x -timeout 60m -v -args -live $(LIVE) -table 16777216

dedup-long: ## crash package dedup at every operation of 40 histories, and 20,000 random ones
	$(GO) test -race ./dedup -run 'Power|Kill|Fail|Full|Model' -timeout 60m -rapid.checks=20000 -args -seeds 40
