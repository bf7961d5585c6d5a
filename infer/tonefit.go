package infer

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

const (
	// toneSpeech is how much of a speaker a tone is fitted to: more moves it by less than is heard, and costs time. With less than
	// leastToneSpeech it would be what was said rather than who said it.
	toneSpeech, leastToneSpeech = 10 * time.Second, 2 * time.Second

	// toneShare is how much of what the voice lacks it is given. Any share from a half to all of it makes the voice more like the
	// speaker by as much; less of it colours less what the recording's room and microphone have added.
	toneShare = 0.75
	// toneSmooth is how often neighbouring bands are mixed, by halves: four times make about an octave, and what is narrower than that
	// is what was said, too.
	toneSmooth = 4
	// toneReach is how far the voice may be from the speaker, in dB in a band, to be believed, and toneUnheard how much less than
	// the voice a recording may have somewhere, before it is one that has nothing there: a telephone's, or of a low rate.
	toneReach, toneUnheard = 8, 20

	toneFrame, toneHop = 2048, 512 // samples of a spectrum: 85 ms every 21 ms at 24 kHz, with a bin in each band
	toneRange          = 30        // dB below the loudest that a frame may be, to count
	toneLow, toneHigh  = 100, 7000 // Hz between which speaker and voice are brought to one level, to be compared
)

// FitTone finds the tone of a target: what the pack's voice lacks of the speaker's long-term spectrum when it says what the speaker
// says in recordings, mono at OutRate, at their own pitch. It hears the first seconds of speech in them, asks for no more recordings
// than that takes, and costs a conversion. There is no tone where there is too little speech, or where the pack is no voice. The same
// recordings give the same tone.
func (e *Engine) FitTone(t Target, recordings iter.Seq[[]float32]) ([]float32, error) {
	if err := e.contract.checkTarget(t); err != nil {
		return nil, err
	}
	speech := loudPart(recordings, e.contract.HopOut)
	if e.contract.Kind != KindVoice || len(speech) < int(leastToneSpeech.Seconds()*float64(e.contract.SampleRateOut)) {
		return nil, nil
	}
	t.Tone = nil
	said, err := e.repeat(t, speech)
	if err != nil {
		return nil, err
	}
	return toneBetween(longTerm(said), longTerm(speech), e.contract.SampleRateOut), nil
}

// loudPart is the speech of recordings, hop after hop as it comes, as much as is heard of it.
func loudPart(recordings iter.Seq[[]float32], hop int) (speech []float32) {
	most := int(toneSpeech.Seconds()*hopsPerSecond) * hop
	for x := range recordings {
		levels := make([]float64, len(x)/hop)
		for i := range levels {
			levels[i] = dsp.Decibels(float64(dsp.RMS(x[i*hop : (i+1)*hop])))
		}
		for i, spoken := range speechHops(levels) {
			if spoken && len(speech) < most {
				speech = append(speech, x[i*hop:(i+1)*hop]...)
			}
		}
		if len(speech) == most {
			break
		}
	}
	return speech
}

// repeat has the target say what is said in a signal at the rate out.
func (e *Engine) repeat(t Target, speech []float32) (said []float32, err error) {
	c := &e.contract
	in := dsp.Resampled(speech, c.SampleRateOut, c.SampleRateIn)
	f0, delay := c.follow(in)
	voice, err := e.NewTargetSession(t, SessionOptions{F0Delay: delay, Hops: c.Run(math.MaxInt)})
	if err != nil {
		return nil, err
	}
	said = make([]float32, len(f0)*c.HopOut)
	err = voice.Convert(said, in[:len(f0)*c.HopIn], f0)
	if err == nil && voice.Faults() != (Faults{}) {
		err = fmt.Errorf("fitting a tone: %+v", voice.Faults())
	}
	return said, errors.Join(err, voice.Close())
}

// longTerm is the power spectra of the frames in which somebody speaks, added up.
func longTerm(x []float32) []float64 {
	all := make([]float64, toneFrame/2+1)
	powers := powerFrames(x, toneFrame, toneHop, (len(x)-toneFrame+toneHop)/toneHop)
	loudest := 0.
	for _, power := range powers {
		loudest = max(loudest, sum(power))
	}
	for _, power := range powers {
		if sum(power) < loudest*math.Pow(10, -toneRange/10.) {
			continue
		}
		for k, p := range power {
			all[k] += p
		}
	}
	return all
}

// toneBetween is the tone that takes one spectrum some of the way to another and leaves it as loud as it is.
func toneBetween(from, to []float64, rate int) []float32 {
	bin := func(hz float64) int { return min(len(from), int(math.Ceil(hz*toneFrame/float64(rate)))) }
	low, high := bin(toneLow), bin(toneHigh)
	louder := 10 * math.Log10(sum(to[low:high])/sum(from[low:high]))
	var gains, powers [ToneBands]float64
	for b := range gains {
		const halfBand = 1.122 // a sixth of an octave
		first, end := bin(ToneHz(b)/halfBand), bin(ToneHz(b)*halfBand)
		gains[b], powers[b] = toneShare*lack(from[first:end], to[first:end], louder), sum(from[first:end])
	}
	for range toneSmooth {
		rough := gains
		for b := range gains {
			gains[b] = (rough[max(b-1, 0)] + 2*rough[b] + rough[min(b+1, ToneBands-1)]) / 4
		}
	}
	var before, after float64
	for b, power := range powers {
		before, after = before+power, after+power*math.Pow(10, gains[b]/10)
	}
	if before == 0 {
		return nil
	}
	tone := make([]float32, ToneBands)
	for b, db := range gains {
		db -= 10 * math.Log10(after/before)
		tone[b] = float32(math.Round(100*db) / 100) // for who reads it
	}
	return tone
}

// lack is by how many dB one band of a spectrum is below another's, beyond what it is everywhere. Where the other has nothing, it
// lacks nothing.
func lack(from, to []float64, everywhere float64) float64 {
	var all, heard float64
	for k := range from {
		if db := 10*math.Log10(to[k]/from[k]) - everywhere; db > -toneUnheard {
			all, heard = all+db, heard+1
		}
	}
	if heard == 0 || 2*heard < float64(len(from)) {
		return 0
	}
	return max(-toneReach, min(toneReach, all/heard))
}

func sum(x []float64) (all float64) {
	for _, v := range x {
		all += v
	}
	return all
}
