# Everything a person does with settee. Two commands do it all on a fresh machine with Rust and
# Debian's packages: `make run` and `make test`; each installs what it lacks.

.PHONY: run cluster test check fix lint unit it clients chaos scale simulate bench record differ fuzz setup setup-it setup-fauxton setup-clients help

DATA ?= data
PORT ?= 5984
FAUXTON ?= target/fauxton/dist/release
COUCHDB_USER ?= admin
COUCHDB_PASSWORD ?= password
OURS ?= http://$(COUCHDB_USER):$(COUCHDB_PASSWORD)@127.0.0.1:$(PORT)

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: setup setup-fauxton ## build settee and serve $(DATA) on port $(PORT), with Fauxton at /_utils; admin / password unless the environment says otherwise
	cargo build --release --bin settee
	COUCHDB_USER=$(COUCHDB_USER) COUCHDB_PASSWORD=$(COUCHDB_PASSWORD) COUCHDB_FAUXTON_DOCROOT=$(FAUXTON) \
		target/release/settee serve --data $(DATA) --port $(PORT)

cluster: setup setup-fauxton ## build settee and serve three joined nodes on loopback, from $(PORT) on
	cargo build --release --bin settee
	@DATA=$(DATA) PORT=$(PORT) COUCHDB_FAUXTON_DOCROOT=$(FAUXTON) COUCHDB_USER=$(COUCHDB_USER) COUCHDB_PASSWORD=$(COUCHDB_PASSWORD) \
		sh scripts/cluster.sh

test: lint unit it clients ## everything that CI runs

lint: setup ## formatting and clippy, the fuzz targets too
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cd fuzz && cargo fmt --check && cargo clippy --target-dir ../target/fuzz -- -D warnings

unit: setup setup-it ## unit and property tests of every crate
	cargo test --workspace --lib --bins

it: setup setup-it ## tests over HTTP and of the whole program: recorded conversations, kill -9, house rules; clusters in a simulation
	cargo test --workspace --test it --test frame --test simulation

clients: setup setup-fauxton setup-clients ## PouchDB, nano, couchbackup, couchdb-bootstrap, Python's clients and Fauxton in Chromium against a running settee
	@# The server as the tests before this have built it: with other features of what it depends on all would be built anew.
	cargo test --workspace --test it --no-run
	node --test tests/clients/

chaos: setup ## kill -9 in a loop, starts in every order, races, 10,000 idle connections, and every fault of one node of three for MINUTES=n under load, on a network of its own (needs root)
	ROUNDS=$${ROUNDS:-100} cargo test --release --test it acknowledged_writes_survive_kill_9
	FORMINGS=$${FORMINGS:-50} cargo test --release --test it it_forms -- --nocapture --test-threads 1
	RACE=$${RACE:-600} cargo test --release --test it clients_that_race -- --nocapture
	CONNECTIONS=$${CONNECTIONS:-3400} cargo test --release --test it thousands_that_wait -- --nocapture
	MINUTES=$${MINUTES:-60} FAULTS=$${FAULTS:-300} RACE=$${RACE:-600} \
		cargo test --release --test chaos -- --nocapture --test-threads 1

scale: setup ## a million documents, 5 GiB in one attachment, 100,000 databases, 10,000 listeners, overwrites, and MINUTES=n of everything at once (60)
	cargo test --release --test scale -- --nocapture --test-threads 1

simulate: setup ## clusters in a simulation: SEEDS=n of them, FIRST=n from there on; SEED=n is one, in words
	SEEDS=$${SEEDS:-100} cargo test -p settee-cluster --test simulation -- --nocapture

bench: setup ## side by side: make bench THEIRS=http://admin:pass@127.0.0.1:5985
	cargo run --release -p settee-bench -- $(OURS) $(THEIRS)

record: setup ## record the conversations anew: make record THEIRS=http://admin:pass@127.0.0.1:5984
	cargo run -p settee-tests --bin record -- $(THEIRS) tests/conformance/recordings tests/conformance/scripts/*.http

differ: setup ## random conversations with a settee that runs and a CouchDB: make differ THEIRS=http://admin:pass@127.0.0.1:5984 SEED=n MINUTES=n
	cargo run -p settee-tests --bin differ -- $(OURS) $(THEIRS) --seed $${SEED:-1} --minutes $${MINUTES:-60}

fuzz: setup ## fuzz targets (needs cargo-fuzz), seeded with what was recorded: TARGET=name of one, RUNS=n (10,000,000)
	cargo run -p settee-tests --bin seeds -- tests/conformance/recordings fuzz/corpus
	for target in $${TARGET:-$(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs))}; do \
		mkdir -p fuzz/corpus/$$target && \
		RUSTC_BOOTSTRAP=1 cargo fuzz run $$target -- -runs=$${RUNS:-10000000} || exit 1; \
	done

fix: ## format, and apply what clippy can
	cargo fmt --all
	cargo clippy --workspace --all-targets --fix --allow-dirty

setup: ## install what building needs
	@sh scripts/setup.sh build

setup-it: ## install what the tests of the whole program need
	@sh scripts/setup.sh it

setup-fauxton: ## install Fauxton
	@sh scripts/setup.sh fauxton

setup-clients: ## install what the client tests need
	@sh scripts/setup.sh clients
