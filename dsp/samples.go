package dsp

import "time"

// Samples is the time that n samples take at a rate in Hz, rounded to the nanosecond.
func Samples(n, rate int) time.Duration {
	return time.Duration((int64(n)*int64(time.Second) + int64(rate)/2) / int64(rate))
}
