package main

import (
	"bytes"
	"math"
	"sort"
	"time"
)

// A stamp is a moment inside an event, found again wherever the event ends up and in whatever it
// is wrapped: a tilde and eight digits of base 32, microseconds since this program began. Digits
// and letters alone, so that no format needs to escape it.
const (
	stampMark   = '~'
	unstamped   = "~00000000" // where one will be written
	stampDigits = 8
	stampSize   = 1 + stampDigits
	digits      = "0123456789abcdefghijklmnopqrstuv"
)

var began = time.Now()

func writeStamp(into []byte) {
	value := uint64(time.Since(began).Microseconds())
	into[0] = stampMark
	for i := stampSize - 1; i > 0; i-- {
		into[i] = digits[value&31]
		value >>= 5
	}
}

func readStamp(stamp []byte) time.Duration {
	value := int64(0)
	for _, digit := range stamp {
		value <<= 5
		if digit <= '9' {
			value |= int64(digit - '0')
		} else {
			value |= int64(digit-'a') + 10
		}
	}
	return time.Duration(value) * time.Microsecond
}

// Scanner finds the stamps in a response's bytes, however they are cut.
type Scanner struct {
	rest []byte // the beginning of a stamp, at the end of what came
}

// scan calls found with the age of each stamp that `data` completes; it came at this moment.
func (s *Scanner) scan(data []byte, found func(age time.Duration)) {
	now := time.Since(began)
	if len(s.rest) > 0 {
		data = append(s.rest, data...)
		s.rest = nil
	}
	for {
		at := bytes.IndexByte(data, stampMark)
		if at < 0 {
			return
		}
		data = data[at:]
		if len(data) < stampSize {
			s.rest = append([]byte(nil), data...)
			return
		}
		found(now - readStamp(data[1:stampSize]))
		data = data[stampSize:]
	}
}

// quantile is of all of them, not of a sample; the values are sorted in place.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	if !sort.Float64sAreSorted(values) {
		sort.Float64s(values)
	}
	return values[int(q*float64(len(values)-1))]
}
