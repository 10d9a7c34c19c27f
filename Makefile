# One-line targets that only call tools. `make help` lists them.
.DEFAULT_GOAL := help

build: ## build bin/justright
	CGO_ENABLED=0 go build -trimpath -o bin/justright ./cmd/justright

test: ## all hermetic tests: no account, no GPU, no network but loopback
	go test -timeout 30m ./...

race: ## the same under the race detector (which would have each process sleep a second at its end)
	GORACE=atexit_sleep_ms=0 go test -race -timeout 60m ./...

lint: ## the linters of .golangci.yml (installs golangci-lint when it is missing)
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./...

chaos: ## ten thousand seeded accidents, the mutations that must be noticed, the table of losses
	go test ./internal/runner -count=1 -timeout 60m -run 'TestChaos|TestLossTable' -v -args -chaos 10000

bench-up: ## a thousand whole ups on the simulator, waiting left out
	go test ./internal/runner -count=1 -timeout 30m -run TestUpsAMinute -v -args -ups 1000

worlds: ## two dozen worlds with a trap each: attempts against an oracle that tries every plan, dollars beside simpler strategies
	go test ./internal/cli -count=1 -timeout 60m -run 'TestWorlds$$|TestStory$$' -v -args -worlds-exhaustive -worlds-table

kill: ## kill -9 up at every point of every effect, in real processes
	go test ./internal/cli -count=1 -timeout 60m -run TestKilledUp -args -kill-everywhere

golden: ## rewrite golden files; read the diff as a user would
	go test $$(grep -rl --include=*_test.go 'flag.Bool("update"' . | xargs -n1 dirname | sort -u) -args -update

bench-diagnose: ## diagnosis of a noisy log beside grep -F with the same literals
	GOMAXPROCS=1 go run ./internal/tools/benchdiagnose

bench-fleet: ## one process supervising 100, 1,000 and 10,000 simulated pods: API calls, CPU, memory
	go build -o bin/benchfleet ./internal/tools/benchfleet && bin/benchfleet

bench-gateway: ## what serve adds to a request, beside the plain Go proxy and no proxy in the same run
	go build -o bin/benchgateway ./internal/tools/benchgateway && bin/benchgateway

bench-plan: build ## plan and matrix beside llmfit, env-doctor and thetaserve in one run (PyPI is reached; Python 3.13)
	go run ./internal/tools/benchplan

conformance: ## hold every REST v2 answer of the simulator against RunPod's document: SPEC=FILE-or-URL
	go test ./sim/runpodsim -count=1 -run Conformance -v -args -spec "$(SPEC)"

clients: ## RunPod's own clients against the simulator and OpenAI's own against serve, all unmodified (npm and PyPI are reached)
	sh sim/clients/run.sh
	sh sim/clients/serve.sh

fuzz-quoting: ## a million random words through each real shell, back by execve
	QUOTING_WORDS=1000000 go test ./boot -run 'Quoted|StartString' -count 1 -v

e2e: ## the real engine on this machine: install, serve, prove, fail and fall back (package registries are reached)
	go run ./internal/tools/e2e

kubernetes: ## a real Kubernetes on this machine, built from source: suite, real engine in a pod, guard, refusals (Linux, root)
	go run ./internal/tools/kubecluster

ssh: ## a real OpenSSH server on loopback: the adapter's suite, refusals, the real engine over it (openssh-server is needed)
	go run ./internal/tools/e2e -only ssh

postgres: ## the journal in a real PostgreSQL of its own: the suite, and two controllers that race (postgresql is needed)
	sh internal/store/storetest/postgres.sh

demo: ## the main job with a real engine and a real small model, with its screens; ends with "demo ok"
	go run ./internal/tools/e2e -demo

bench-boot: ## the real engine to its first token: up beside pip and a compiled start, on a quiet machine (a quarter of an hour, 25 GB)
	go run ./internal/tools/benchboot

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: kubernetes bench-gateway e2e ssh postgres demo fuzz-quoting build test race lint golden bench-diagnose conformance clients help chaos kill bench-up bench-plan bench-fleet bench-boot
