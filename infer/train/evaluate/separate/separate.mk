# Measures separation, the words that it leaves and the pitch of songs, and writes daemon/docs/results/separation.md. What is measured with
# (Debian packages' music and noises) is fetched once, unpacked below build and goes no further. SEPARATOR=separator.onnx measures a live
# separator too; COUNT says how many voices of each kind there are (10).

APART := infer/train/evaluate/separate
HEARD := build/separation
COUNT ?= 10
SWIFT := ~/.cache/autovoice/models/swift-f0-0.3.0/model.onnx

.PHONY: separator-evaluate
separator-evaluate: build build/apart build/follow $(HEARD)/music/complete $(HEARD)/noise/complete $(HEARD)/singers/complete $(JUDGE)/venv/complete | python $(B)/librispeech ## train: measure separation and the pitch of songs; SEPARATOR=PACK, COUNT=10
	OMP_NUM_THREADS=1 $(PYTHON) $(APART)/measure.py $(HEARD)/separation.md --apart build/apart --speech $(B)/librispeech --kept $(KEPT) --count $(COUNT) \
	  --singers $(HEARD)/singers --music $(HEARD)/music --vocals $(HEARD)/vocals $(if $(SEPARATOR),--live '$(SEPARATOR)')
	OMP_NUM_THREADS=1 $(JUDGE)/venv/bin/python $(APART)/words.py $(HEARD)/words.md --apart build/apart --program $(BIN) --judge $(JUDGE) --speech $(B)/librispeech \
	  --kept $(KEPT) --count $(COUNT) --music $(HEARD)/music --noise $(HEARD)/noise $(if $(SEPARATOR),--live '$(SEPARATOR)')
	OMP_NUM_THREADS=1 $(PYTHON) $(APART)/pitch.py $(HEARD)/singers $(HEARD)/pitch.md --follow build/follow --swift $(SWIFT) --program $(BIN) --vocals $(HEARD)/vocals
	{ sed 's/COUNT_OF/$(COUNT)/' $(APART)/head.md; cat $(HEARD)/separation.md $(APART)/words-head.md $(HEARD)/words.md $(APART)/pitch-head.md $(HEARD)/pitch.md; } >daemon/docs/results/separation.md

build/apart: $(wildcard infer/*.go infer/voices/* dsp/*.go) $(TRAIN)/apart/main.go
	@mkdir -p build
	go build -buildvcs=false -o $@ ./$(TRAIN)/apart

$(HEARD)/music/complete:
	@mkdir -p $(@D)
	cd $(@D) && apt-get -qq download wesnoth-1.16-music fretsonfire-songs-sectoid
	for package in $(@D)/*.deb; do dpkg-deb -x $$package $(@D); done
	@touch $@

$(HEARD)/noise/complete:
	@mkdir -p $(@D)
	cd $(@D) && apt-get -qq download lincity-ng-data
	dpkg-deb -x $(@D)/*.deb $(@D)
	@touch $@

$(HEARD)/singers/complete: | python $(B)/material $(B)/sentences.jsonl
	OMP_NUM_THREADS=1 $(PYTHON) $(APART)/singers.py $(B)/material $(B)/sentences.jsonl $(@D)
	@touch $@
