# What people do here. Everything is a script of its own that can be called directly; SLOWLANE_CACHE says where built things lie.
.DEFAULT_GOAL := help
.PHONY: help demo up down test bench bench-warm image shell generate lint

help: ## list these targets
	@sed -nE 's/^([a-z-]+): ## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
demo: ## three jobs that take turns, on a real cluster made here (cold 25 min, warm 2 to 5)
	@e2e/demo
up: ## the local cluster: spark-operator, lake, keeper, namespace jobs, ComputeCluster business
	@e2e/up
down: ## end all local clusters and remove what they left
	@e2e/down
test: ## everything that the README claims, as tests
	@e2e/test
bench: ## what it costs and how fast it is, into docs/benchmarks (about half an hour on a quiet machine)
	@e2e/bench
bench-warm: ## from a job to its first executor on real Spark, warm against cold, into docs/benchmarks/warm.md (ten minutes)
	@e2e/bench-warm
image: ## the keeper's container image, into the local cluster too if it is up
	@e2e/image
shell: ## a shell inside the local cluster's network
	@e2e/shell
generate: ## write the generated files anew: CRDs, RBAC, install.yaml
	cargo run --quiet --locked -- generate
	e2e/generate-install
lint: ## formatting, clippy, dependencies, shell scripts
	@e2e/test lint
