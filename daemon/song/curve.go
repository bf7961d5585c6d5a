package song

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// curveRate is how many values of a curve stand for a second.
const curveRate = 100

// curve is the pitch of a voice in Hz each 10 ms, the first at 0; 0 where it has none.
type curve []float32

// at is the pitch at a moment in seconds, the nearest value's.
func (c curve) at(moment float64) float32 {
	i := int(math.Round(moment * curveRate))
	if i < 0 || i >= len(c) {
		return 0
	}
	return c[i]
}

func (c curve) voiced() int {
	n := 0
	for _, hz := range c {
		if hz > 0 {
			n++
		}
	}
	return n
}

// median is the middle pitch, by ratios; 0 when there is none.
func (c curve) median() float64 {
	voiced := make([]float32, 0, len(c))
	for _, hz := range c {
		if hz > 0 {
			voiced = append(voiced, hz)
		}
	}
	n := len(voiced)
	if n == 0 {
		return 0
	}
	slices.Sort(voiced)
	return math.Sqrt(float64(voiced[(n-1)/2]) * float64(voiced[n/2]))
}

// ReadF0 reads a pitch curve: text, a number in Hz a line for each 10 ms, 0 where unvoiced. Empty lines and what follows a #
// are left out.
func ReadF0(r io.Reader) ([]float32, error) {
	var f0 []float32
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		hz, err := strconv.ParseFloat(text, 32)
		if err != nil || !(hz >= 0 && hz <= maxHz) || hz > 0 && hz < minHz {
			return nil, fmt.Errorf("f0, line %d: %q, expected a number: 0, or %d to %d Hz", n, text, minHz, maxHz)
		}
		f0 = append(f0, float32(hz))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("f0: %w", err)
	}
	if len(f0) == 0 {
		return nil, fmt.Errorf("f0 has no values, expected one each 10 ms")
	}
	return f0, nil
}

// WriteF0 writes a pitch curve as ReadF0 reads it.
func WriteF0(w io.Writer, f0 []float32) error {
	lines := bufio.NewWriter(w)
	for _, hz := range f0 {
		fmt.Fprintf(lines, "%.2f\n", hz) //nolint:errcheck // Flush tells
	}
	return lines.Flush()
}

// What a voice can be asked for.
const minHz, maxHz = 20, 2000
