package main

import (
	"bytes"
	"fmt"
	"sync"
	"time"
)

// Between one stream's opening and the next one's, 600 a second: opening costs a server many times
// a token, and the tokens that are counted come after it.
const opens = 1667 * time.Microsecond

// reading is one client of a relayed answer.
type reading struct {
	asked     time.Time
	first     time.Duration // from asking to the first token
	tokens    int
	tail      []byte
	latencies []float64 // µs, of the measured seconds
	err       error
}

// relay opens answers and follows each to its end; it fails where one of them was not whole.
func relay(upstream *Upstream, command Command) (Result, error) {
	opening := opens.Seconds() * float64(command.Streams)
	tokens := int(command.Rate * (opening + command.Warmup + command.Seconds + 1))
	upstream.script(command.Rate, tokens)
	measure := &span{}
	readings := make([]*reading, command.Streams)
	var all sync.WaitGroup
	for i := range readings {
		readings[i] = &reading{latencies: make([]float64, 0, int(command.Rate*command.Seconds)+8)}
		all.Add(1)
		go func(r *reading) {
			defer all.Done()
			r.err = r.run(command, measure)
		}(readings[i])
		time.Sleep(opens)
	}
	company, err := besides(command)
	if err != nil {
		return nil, err
	}
	time.Sleep(duration(command.Warmup))
	result, err := measure.over(command)
	if failed := company.leave(); failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, err
	}
	all.Wait()
	return result, summarize(result, readings, tokens)
}

func (r *reading) run(command Command, measure *span) error {
	client, err := dial(command.URL)
	if err != nil {
		return err
	}
	defer client.socket.Close()
	r.asked = time.Now()
	var body []byte
	if command.Body != "" {
		body = []byte(command.Body)
	}
	if err := client.send(command.Method, body, command.Headers); err != nil {
		return err
	}
	if _, err := client.head(); err != nil {
		return err
	}
	var scanner Scanner
	return client.follow(func(data []byte) {
		scanner.scan(data, func(age time.Duration) {
			if r.tokens == 0 {
				r.first = time.Since(r.asked)
			}
			r.tokens++
			if measure.running() {
				r.latencies = append(r.latencies, float64(age.Microseconds()))
			}
		})
		r.tail = append(r.tail[:0], data[max(0, len(data)-8):]...)
		if bytes.HasSuffix(r.tail, []byte("0\r\n\r\n")) {
			client.socket.Close() // it would wait for another request
		}
	})
}

func summarize(result Result, readings []*reading, tokens int) error {
	var latencies, firsts []float64
	for _, r := range readings {
		if r.tokens != tokens {
			return fmt.Errorf("an answer has %d of %d tokens: %v", r.tokens, tokens, r.err)
		}
		if !bytes.HasSuffix(r.tail, []byte("0\r\n\r\n")) {
			return fmt.Errorf("an answer ends with %q", r.tail)
		}
		latencies = append(latencies, r.latencies...)
		firsts = append(firsts, float64(r.first.Microseconds()))
	}
	result["p50"] = quantile(latencies, 0.50)
	result["p99"] = quantile(latencies, 0.99)
	result["first_p50"] = quantile(firsts, 0.50)
	result["first_p99"] = quantile(firsts, 0.99)
	result["seen"] = len(latencies)
	return nil
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}
