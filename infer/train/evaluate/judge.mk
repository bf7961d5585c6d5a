# Measures the voices on speakers never trained on; README.md tells how. The first time it fetches packages and recordings; later it
# converts and measures only what has changed. MODEL=PACK.onnx judges another pack, SYSTEMS=voice leaves the baselines as they were,
# JOBS says how many conversions are made and measured at a time, PACKAGES=folder has the packages of recordings unpacked already.

EVALUATE := infer/train/evaluate
JUDGE    := build/judge
SYSTEMS  ?= voice first world
JOBS     ?= 2

.PHONY: judge
judge: build $(JUDGE)/clips/clips.jsonl ## measure the voices, LIBRISPEECH=folder; writes daemon/docs/results/voice.md
	OMP_NUM_THREADS=1 $(JUDGE)/venv/bin/python $(EVALUATE)/evaluate.py $(JUDGE)/clips $(JUDGE) \
	  --systems $(SYSTEMS) --jobs $(JOBS) $(if $(MODEL),--model '$(MODEL)')
	$(JUDGE)/venv/bin/python $(EVALUATE)/report.py $(JUDGE) daemon/docs/results

.PHONY: acted
acted: build $(JUDGE)/venv/complete ## compare PACKS="one.onnx other.onnx" on actors that no bar is set on, to choose between them
	OMP_NUM_THREADS=1 $(JUDGE)/venv/bin/python $(EVALUATE)/acted.py build/acted $(or $(PACKS),infer/voices/first.onnx) --jobs $(JOBS)

$(JUDGE)/clips/clips.jsonl: $(EVALUATE)/clips.py $(EVALUATE)/conditions.py | $(JUDGE)/venv/complete $(B)/librispeech
	OMP_NUM_THREADS=1 $(JUDGE)/venv/bin/python $< $(B)/librispeech $(@D) --kept $(KEPT) $(if $(PACKAGES),--packages '$(PACKAGES)')

$(JUDGE)/venv/complete: $(EVALUATE)/requirements.txt
	python3 -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@
