# The words that train the live separator; README.md beside this tells what each gives, wants and costs.

SEPARATE := $(TRAIN)/separate
PIECES   ?= 200
SIEVE_FLAGS ?= $(if $(CUDA),--batch 64 --crop 4)

.PHONY: separator-data
separator-data: $(B)/music/complete $(B)/sung/complete ## train: composed music and sung speech, 130 MB with the speech

.PHONY: separator
separator: separator-data $(B)/whisper.npz ## train: the live separator, for SECONDS (600); resumes
	@mkdir -p $(B)/separator
	$(PYTHON) $(SEPARATE)/check.py
	$(PYTHON) $(SEPARATE)/train.py --speech $(B)/librispeech --sung $(B)/sung --music $(B)/music --teacher $(B)/whisper.npz $(if $(wildcard $(B)/pairs),--more $(B)/pairs) --out $(B)/separator --kept $(KEPT) \
	  --seconds $(or $(SECONDS),600) --total $(or $(TOTAL_SIEVE),$(SECONDS),600) $(SIEVE_FLAGS)

.PHONY: separator-export
separator-export: python ## train: the live separator as a pack, to VOICES
	@mkdir -p $(VOICES)
	$(PYTHON) $(SEPARATE)/export.py $(B)/separator/sieve.pt $(VOICES)/separator.onnx

$(B)/music/complete: | python
	.ci/deps music
	$(PYTHON) $(SEPARATE)/compose.py $(B)/midi $(PIECES)
	$(PYTHON) $(SEPARATE)/music.py $(B)/midi $(B)/music --workers $(WORKERS)
	@touch $@

$(B)/sung/complete: | python $(B)/librispeech
	$(PYTHON) -c 'import pyworld' 2>/dev/null || $(PYTHON) -m pip --quiet --disable-pip-version-check install --no-deps pyworld==0.3.5
	$(PYTHON) $(SEPARATE)/sung.py $(B)/librispeech $(B)/sung --kept $(KEPT) --workers $(WORKERS)
	@touch $@
