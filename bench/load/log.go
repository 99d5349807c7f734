package main

import (
	"bytes"
	"fmt"
	"net/url"
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
			taken, err := write(numbered(command.URL, i), event, measure, &stop)
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

// hold makes streams and leaves them be; what each of them holds in the server's memory.
func hold(command Command) (Result, error) {
	headers := Fields{"Content-Type": "text/plain"}
	// One stream more: what the first of a server costs is not what each costs.
	if _, _, err := once("PUT", numbered(command.URL, command.Streams), nil, headers); err != nil {
		return nil, err
	}
	before, err := usageOf(command.Pids)
	if err != nil {
		return nil, err
	}
	errs := make(chan error, command.Writers)
	for i := 0; i < command.Writers; i++ {
		go func(i int) { errs <- putEach(command, i, headers) }(i)
	}
	for i := 0; i < command.Writers; i++ {
		if failed := <-errs; failed != nil {
			err = failed
		}
	}
	if err != nil {
		return nil, err
	}
	time.Sleep(duration(command.Warmup))
	after, err := usageOf(command.Pids)
	if err != nil {
		return nil, err
	}
	result := after.since(before, command.Streams)
	result["bytes"] = float64(after.rss-before.rss) / float64(command.Streams)
	return result, nil
}

// putEach makes a writer's share of the streams, on one connection.
func putEach(command Command, writer int, headers Fields) error {
	client, err := dial(command.URL)
	if err != nil {
		return err
	}
	defer client.socket.Close()
	for i := writer; i < command.Streams; i += command.Writers {
		if client.target, err = url.Parse(numbered(command.URL, i)); err != nil {
			return err
		}
		if _, _, err := client.exchange("PUT", nil, headers); err != nil {
			return err
		}
	}
	return nil
}

// replay reads a stream from the offset in its address, or from the beginning, to its end, again
// and again, each time on a new connection.
func replay(command Command) (Result, error) {
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
		if size == 0 {
			return nil, fmt.Errorf("%s has nothing to read", command.URL)
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

const (
	// Events of one request while a history is written: some tens of KiB.
	fillBatch = 500
	// How far before its end a history is resumed.
	behind = 10
)

// fill writes a history; gives the offset of the place a few events before its end.
func fill(command Command) (Result, error) {
	client, err := dial(command.URL)
	if err != nil {
		return nil, err
	}
	defer client.socket.Close()
	headers := Fields{"Content-Type": "application/json"}
	if _, _, err := client.exchange("PUT", nil, headers); err != nil {
		return nil, err
	}
	event := append(append([]byte(`"`), bytes.Repeat([]byte("x"), command.Size-2)...), '"')
	offset := ""
	for left := command.Count; left > 0; {
		count := min(left, fillBatch)
		if left > behind {
			count = min(left-behind, fillBatch)
		}
		left -= count
		batch := bytes.Join(repeat(event, count), []byte(","))
		body := append(append([]byte("["), batch...), ']')
		response, _, err := client.exchange("POST", body, headers)
		if err != nil {
			return nil, err
		}
		if left > 0 {
			offset = response.Header.Get("Stream-Next-Offset")
		}
	}
	return Result{"offset": offset}, nil
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
