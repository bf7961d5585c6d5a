# Measures separation and the pitch of songs, and writes daemon/docs/results/separation.md. What is measured with (Debian packages'
# music) is fetched once, unpacked below build and goes no further. SEPARATOR=separator.onnx measures a live separator too.

APART := infer/train/evaluate/separate
HEARD := build/separation

.PHONY: separator-evaluate
separator-evaluate: deps build/apart build/follow $(HEARD)/music/complete $(HEARD)/singers/complete | python $(B)/librispeech ## train: measure separation and the pitch of songs; SEPARATOR=PACK
	OMP_NUM_THREADS=1 $(PYTHON) $(APART)/measure.py $(HEARD)/separation.md --apart build/apart --speech $(B)/librispeech --kept $(KEPT) \
	  --singers $(HEARD)/singers --music $(HEARD)/music --vocals $(HEARD)/vocals $(if $(SEPARATOR),--live '$(SEPARATOR)')
	OMP_NUM_THREADS=1 $(PYTHON) $(APART)/pitch.py $(HEARD)/singers $(HEARD)/pitch.md --follow build/follow --swift ~/.cache/autovoice/models/swift-f0-0.3.0/model.onnx \
	  --vocals $(HEARD)/vocals
	cat $(APART)/head.md $(HEARD)/separation.md $(APART)/pitch-head.md $(HEARD)/pitch.md >daemon/docs/results/separation.md

build/apart: $(wildcard infer/*.go dsp/*.go) $(TRAIN)/apart/main.go
	@mkdir -p build
	go build -buildvcs=false -o $@ ./$(TRAIN)/apart

$(HEARD)/music/complete:
	@mkdir -p $(@D)
	cd $(@D) && apt-get -qq download wesnoth-1.16-music fretsonfire-songs-sectoid
	for package in $(@D)/*.deb; do dpkg-deb -x $$package $(@D); done
	@touch $@

$(HEARD)/singers/complete: | python $(B)/material $(B)/sentences.jsonl
	OMP_NUM_THREADS=1 $(PYTHON) $(APART)/singers.py $(B)/material $(B)/sentences.jsonl $(@D)
	@touch $@
