// The other two ends of every measurement: the upstream that a relay asks, and the clients that
// read. One process, started once, told what to do by lines of JSON on its standard input; it
// answers each with a line of JSON. It also reads the server's CPU time and memory, so that a
// count and the cost it stands beside are of the same moments.
//
// It is compiled and says how much of its own core it used, so that a reader can see that it was
// not what limited a result.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Command is one line of input. Which fields matter depends on Do.
type Command struct {
	Do      string  `json:"do"`
	Pids    []int   `json:"pids"`    // the server's processes; their children are found
	Method  string  `json:"method"`  // of the request that is measured
	URL     string  `json:"url"`     // likewise, absolute; {n} in it is the stream's number
	Body    string  `json:"body"`    // likewise; or what is posted, with a stamp's place in it
	Headers Fields  `json:"headers"` // likewise
	Publish string  `json:"publish"` // where events are posted; {n} as in URL
	Streams int     `json:"streams"` // relayed answers at a time, or streams that are viewed
	Viewers int     `json:"viewers"` // of each stream
	Rate    float64 `json:"rate"`    // events a second, of each stream; 0: as fast as they are taken
	Warmup  float64 `json:"warmup"`  // seconds before the measured ones
	Seconds float64 `json:"seconds"` // measured
	Size    int     `json:"size"`    // bytes of an event
	Count   int     `json:"count"`   // events in all
	Writers int     `json:"writers"` // appends under way at a time
	Beside  int     `json:"beside"`  // viewers of another stream at the same time
}

// Fields are a request's header fields.
type Fields map[string]string

// Result is one line of output: figures by name.
type Result map[string]any

func main() {
	raiseFileLimit()
	upstream := listenUpstream()
	answer := json.NewEncoder(os.Stdout)
	_ = answer.Encode(Result{"upstream": upstream.address})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		result, err := obey(upstream, lines.Bytes())
		if err != nil {
			result = Result{"error": err.Error()}
		}
		_ = answer.Encode(result)
	}
}

func obey(upstream *Upstream, line []byte) (Result, error) {
	var command Command
	if err := json.Unmarshal(line, &command); err != nil {
		return nil, err
	}
	switch command.Do {
	case "script":
		upstream.script(command.Rate, command.Count)
		return Result{}, nil
	case "relay":
		return relay(upstream, command)
	case "fanout":
		return fanout(command)
	case "idle":
		return idle(command)
	case "append":
		return appendEvents(command)
	case "replay":
		return replay(command)
	case "fill":
		return fill(command)
	case "hold":
		return hold(command)
	}
	return nil, fmt.Errorf("%q is nothing that can be done", command.Do)
}

// numbered puts a stream's number into an address.
func numbered(address string, number int) string {
	return strings.ReplaceAll(address, "{n}", strconv.Itoa(number))
}

// Each viewer is a descriptor.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}

func duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second))
}
