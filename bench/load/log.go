package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// appendEvents: writers that each post an event, wait until it is acknowledged, and post the next.
func appendEvents(command Command) (Result, error) {
	var stop int32
	measure := &span{}
	errs := make(chan error, command.Writers)
	event := bytes.Repeat([]byte("x"), command.Size)
	var latencies []float64
	var lock sync.Mutex
	for i := 0; i < command.Writers; i++ {
		go func(i int) {
			taken, err := write(fmt.Sprintf("%s%d", command.URL, i), event, measure, &stop)
			lock.Lock()
			latencies = append(latencies, taken...)
			lock.Unlock()
			errs <- err
		}(i)
	}
	time.Sleep(duration(command.Warmup))
	result, err := measure.over(command)
	atomic.StoreInt32(&stop, 1)
	for i := 0; i < command.Writers; i++ {
		if failed := <-errs; failed != nil {
			err = failed
		}
	}
	if err != nil {
		return nil, err
	}
	result["p50"] = quantile(latencies, 0.50)
	result["p99"] = quantile(latencies, 0.99)
	return result, nil
}

func write(address string, event []byte, measure *span, stop *int32) ([]float64, error) {
	headers := Fields{"Content-Type": "text/plain"}
	if _, _, err := once("PUT", address, nil, headers); err != nil {
		return nil, err
	}
	client, err := dial(address)
	if err != nil {
		return nil, err
	}
	defer client.socket.Close()
	var latencies []float64
	for atomic.LoadInt32(stop) == 0 {
		begin := time.Now()
		if _, _, err := client.exchange("POST", event, headers); err != nil {
			return nil, err
		}
		if measure.running() {
			latencies = append(latencies, float64(time.Since(begin).Microseconds()))
		}
	}
	return latencies, nil
}

// Events of one request while a history is written: some tens of KiB.
const fillBatch = 500

// replay writes a history where there is none, and reads it from its beginning, again and again.
func replay(command Command) (Result, error) {
	if command.Count > 0 {
		if err := fill(command); err != nil {
			return nil, err
		}
	}
	before, err := usageOf(command.Pids)
	if err != nil {
		return nil, err
	}
	bytes, reads := int64(0), 0
	for end := time.Now().Add(duration(command.Seconds)); time.Now().Before(end); reads++ {
		size, err := readAll(command)
		if err != nil {
			return nil, err
		}
		bytes += size
	}
	after, err := usageOf(command.Pids)
	if err != nil {
		return nil, err
	}
	result := after.since(before, reads)
	result["bytes"] = bytes
	result["us_per_mb"] = result["cpu"].(float64) * 1e6 / (float64(bytes) / 1e6)
	return result, nil
}

// How far before its end a history is resumed.
const behind = 10

// resume reads the last few events of a history, again and again.
func resume(command Command) (Result, error) {
	client, err := dial(command.URL)
	if err != nil {
		return nil, err
	}
	defer client.socket.Close()
	head, _, err := client.exchange("HEAD", nil, nil)
	if err != nil {
		return nil, err
	}
	var seq int
	tail := strings.SplitN(head.Header.Get("Stream-Next-Offset"), "_", 2)
	if _, err := fmt.Sscanf(tail[1], "%d", &seq); err != nil {
		return nil, err
	}
	client.target.RawQuery = fmt.Sprintf("offset=%s_%016d", tail[0], seq-behind)
	before, err := usageOf(command.Pids)
	if err != nil {
		return nil, err
	}
	reads := 0
	for end := time.Now().Add(duration(command.Seconds)); time.Now().Before(end); reads++ {
		if _, size, err := client.exchange("GET", nil, nil); err != nil || size == 0 {
			return nil, fmt.Errorf("a resume gave %d bytes: %v", size, err)
		}
	}
	after, err := usageOf(command.Pids)
	if err != nil {
		return nil, err
	}
	return after.since(before, reads), nil
}

func fill(command Command) error {
	client, err := dial(command.URL)
	if err != nil {
		return err
	}
	defer client.socket.Close()
	headers := Fields{"Content-Type": "application/json"}
	if _, _, err := client.exchange("PUT", nil, headers); err != nil {
		return err
	}
	event := append(append([]byte(`"`), bytes.Repeat([]byte("x"), command.Size-2)...), '"')
	for left := command.Count; left > 0; left -= fillBatch {
		batch := bytes.Join(repeat(event, min(left, fillBatch)), []byte(","))
		body := append(append([]byte("["), batch...), ']')
		if _, _, err := client.exchange("POST", body, headers); err != nil {
			return err
		}
	}
	return nil
}

// readAll follows Stream-Next-Offset to the end; returns the bytes of data.
func readAll(command Command) (int64, error) {
	client, err := dial(command.URL)
	if err != nil {
		return 0, err
	}
	defer client.socket.Close()
	total, base := int64(0), client.target.RawQuery
	if base == "" {
		base = "offset=-1"
	}
	client.target.RawQuery = base
	for {
		response, size, err := client.exchange("GET", nil, command.Headers)
		if err != nil {
			return 0, err
		}
		total += size
		if response.Header.Get("Stream-Up-To-Date") != "" {
			return total, nil
		}
		client.target.RawQuery = "offset=" + response.Header.Get("Stream-Next-Offset")
	}
}

func repeat(event []byte, count int) [][]byte {
	events := make([][]byte, count)
	for i := range events {
		events[i] = event
	}
	return events
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}
