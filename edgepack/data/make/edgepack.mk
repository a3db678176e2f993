# Bundles as targets of a Makefile (docs/make.md). After the words that say which:
#
#   EDGEPACK_PROFILE := rpi5
#   EDGEPACK_MODEL   := qwen2.5-0.5b-instruct
#   include $(shell edgepack --print make-include)
#   image: edgepack-install
#
# Several bundles: EDGEPACK_BUNDLES := kitchen hall, and words of one alone as EDGEPACK_kitchen_MODEL.

# What `make` alone does stays the including Makefile's to say.
edgepack-goal := $(.DEFAULT_GOAL)

EDGEPACK         ?= edgepack
EDGEPACK_BUNDLES ?= model
EDGEPACK_OUT     ?= build/edgepack
EDGEPACK_PREFIX  ?= /usr/lib/edgepack
# Buildroot calls the image's tree TARGET_DIR, everybody else DESTDIR.
DESTDIR          ?= $(TARGET_DIR)

.PHONY: edgepack-bundle edgepack-install edgepack-bench edgepack-verify edgepack-fetch edgepack-clean edgepack-always

# What was said of bundle $(1) under the name $(2): of it alone, else of all.
edgepack-said = $(if $(EDGEPACK_$(1)_$(2)),$(EDGEPACK_$(1)_$(2)),$(EDGEPACK_$(2)))
edgepack-option = $(if $(call edgepack-said,$(1),$(2)),$(3) '$(call edgepack-said,$(1),$(2))')
edgepack-words = $(strip \
    $(call edgepack-option,$(1),PROFILE,--profile) \
    $(call edgepack-option,$(1),MODEL,--model) \
    $(call edgepack-option,$(1),TASK,--task) \
    $(call edgepack-option,$(1),QUANT,--quant) \
    $(call edgepack-option,$(1),CTX,--ctx) \
    $(call edgepack-option,$(1),SYSTEM_PROMPT,--system-prompt) \
    $(call edgepack-said,$(1),FLAGS))

edgepack-same = $(and $(findstring $(1),$(2)),$(findstring $(2),$(1)))
edgepack-quoted = '$(subst ','\'',$(1))'
# Nothing where bundle $(1) stands and was built with the same words; whoever edits the Makefile builds what that touches.
edgepack-changed = $(if $(and $(wildcard $(EDGEPACK_OUT)/$(1)/manifest.json),$(call \
    edgepack-same,$(call edgepack-words,$(1)),$(strip $(shell cat $(EDGEPACK_OUT)/$(1).words 2>/dev/null)))),,edgepack-always)

define edgepack-rules
# A bundle's own times are fixed, so a stamp stands for it; beside it edgepack writes what it was made of.
$(EDGEPACK_OUT)/$(1).stamp: $(call edgepack-changed,$(1))
	$$(EDGEPACK) build $$(call edgepack-words,$(1)) --no-bench --quiet $$(if $$(EDGEPACK_OFFLINE),--offline) \
	    --out $(EDGEPACK_OUT)/$(1) --stamp $$@
	@printf '%s\n' $$(call edgepack-quoted,$$(call edgepack-words,$(1))) >$(EDGEPACK_OUT)/$(1).words
-include $(EDGEPACK_OUT)/$(1).stamp.d

.PHONY: edgepack-bundle-$(1) edgepack-install-$(1) edgepack-bench-$(1) edgepack-verify-$(1) edgepack-fetch-$(1)
edgepack-bundle: edgepack-bundle-$(1)
edgepack-bundle-$(1): $(EDGEPACK_OUT)/$(1).stamp

# Beside its place and then there, so that an image never holds half of one; what stands there already stays.
edgepack-install: edgepack-install-$(1)
edgepack-install-$(1): $(EDGEPACK_OUT)/$(1).stamp
	@set -e; to='$$(DESTDIR)$$(EDGEPACK_PREFIX)/$(1)'; \
	if cmp -s $(EDGEPACK_OUT)/$(1)/SHA256SUMS "$$$$to/SHA256SUMS"; then exit 0; fi; \
	echo "installing $$$$to"; rm -rf "$$$$to.new"; mkdir -p "$$$${to%/*}"; \
	trap 'rm -rf "$$$$to.new"' EXIT INT TERM; \
	cp -Rp $(EDGEPACK_OUT)/$(1) "$$$$to.new"; rm -rf "$$$$to"; mv "$$$$to.new" "$$$$to"

# One after the other, whatever -j says: two measurements on one device spoil each other.
edgepack-bench: edgepack-bench-$(1)
edgepack-bench-$(1): $(EDGEPACK_OUT)/$(1).stamp | $(2)
	@test -n '$$(DEVICE)' || { echo 'edgepack-bench: no DEVICE; add DEVICE=ssh://HOST, adb://SERIAL or local' >&2; exit 2; }
	$$(EDGEPACK) bench $(EDGEPACK_OUT)/$(1)/model/*.gguf --device '$$(DEVICE)' \
	    $$(if $$(wildcard $(EDGEPACK_OUT)/$(1)/runtime),--runtime $(EDGEPACK_OUT)/$(1)/runtime) \
	    $$(EDGEPACK_BENCHFLAGS) --out $(EDGEPACK_OUT)/$(1).measurement.json

edgepack-verify: edgepack-verify-$(1)
edgepack-verify-$(1): $(EDGEPACK_OUT)/$(1).stamp
	$$(EDGEPACK) verify $(EDGEPACK_OUT)/$(1) $$(EDGEPACK_VERIFYFLAGS)

# All that needs a network; after it, EDGEPACK_OFFLINE=1 proves that nothing else does.
edgepack-fetch: edgepack-fetch-$(1)
edgepack-fetch-$(1):
	$$(EDGEPACK) fetch '$$(call edgepack-said,$(1),MODEL)' --quiet
	$$(EDGEPACK) runtime --profile '$$(call edgepack-said,$(1),PROFILE)' --quiet
endef

edgepack-previous :=
$(foreach bundle,$(EDGEPACK_BUNDLES),\
    $(eval $(call edgepack-rules,$(bundle),$(edgepack-previous)))\
    $(eval edgepack-previous := edgepack-bench-$(bundle)))

edgepack-clean:
	rm -rf $(EDGEPACK_OUT)

.DEFAULT_GOAL := $(edgepack-goal)
