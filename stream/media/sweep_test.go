package media

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"testing"
)

const samples = "../../testdata/audio/formats/"

// sweep is what testdata/audio/formats/make.sh put into its files: channel 0 rises, channel 1 falls.
func sweep(channel, rate, frames int) []float32 {
	x := make([]float32, frames)
	for i := range x {
		t := float64(i) / float64(rate)
		if channel == 0 {
			x[i] = float32(0.4 * math.Sin(2*math.Pi*(200*t+300*t*t)))
		} else {
			x[i] = float32(0.3 * math.Sin(2*math.Pi*(900*t-200*t*t)))
		}
	}
	return x
}

// readAll reads in pieces of a length that divides nothing.
func readAll(d *Decoder) ([][]float32, error) {
	all, part := make([][]float32, d.Channels()), make([][]float32, d.Channels())
	for c := range part {
		part[c] = make([]float32, 479)
	}
	for {
		n, err := d.Read(part)
		for c := range part {
			all[c] = append(all[c], part[c][:n]...)
		}
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

func mustRead(t *testing.T, name string, data []byte) (*Decoder, [][]float32) {
	t.Helper()
	d, err := NewDecoder(name, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	all, err := readAll(d)
	if err != nil {
		t.Fatal(err)
	}
	if d.Frames() != int64(len(all[0])) {
		t.Errorf("%s: %d frames promised, %d read", name, d.Frames(), len(all[0]))
	}
	return d, all
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(samples + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// snr is how far below want lies what got has else, in dB, and gain how loud got is: LAME lowers by
// 5 % at some bit rates.
func snr(got, want []float32) (db, gain float64) {
	var ww, gw, gg float64
	for i, w := range want {
		w, g := float64(w), float64(got[i])
		ww, gw, gg = ww+w*w, gw+g*w, gg+g*g
	}
	noise := gg - gw*gw/ww
	return 10 * math.Log10(gg/max(noise, 1e-15*gg)), gw / ww
}

func alike(got, want []float32, least float64) bool {
	db, gain := snr(got, want)
	return db >= least && math.Abs(gain-1) < 1e-4
}
