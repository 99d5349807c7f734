package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How many connections are being opened at a time: fewer than a listener's backlog holds.
const opening = 64

// Viewers follow streams, each on a connection of its own.
type Viewers struct {
	clients   []*Client
	measure   *span
	events    int64 // all that came, measured or not
	lock      sync.Mutex
	latencies []float64
	leaving   int32
	all       sync.WaitGroup
	failure   error
}

// attend opens so many on each of the command's streams; returns once each has its response's head.
func attend(command Command, each int) (*Viewers, error) {
	viewers := &Viewers{measure: &span{}, clients: make([]*Client, each*max(1, command.Streams))}
	room := make(chan struct{}, opening)
	errs := make(chan error, len(viewers.clients))
	for i := range viewers.clients {
		room <- struct{}{}
		go func(i int) {
			client, err := view(numbered(command.URL, i/each), command.Headers)
			viewers.clients[i] = client
			<-room
			errs <- err
		}(i)
	}
	for range viewers.clients {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	for _, client := range viewers.clients {
		viewers.all.Add(1)
		go viewers.watch(client)
	}
	return viewers, nil
}

func view(address string, headers Fields) (*Client, error) {
	client, err := dial(address)
	if err != nil {
		return nil, err
	}
	_ = client.socket.SetDeadline(time.Now().Add(patience))
	if err := client.send("GET", nil, headers); err != nil {
		return nil, err
	}
	_, err = client.head()
	return client, err
}

func (v *Viewers) watch(client *Client) {
	defer v.all.Done()
	var scanner Scanner
	var latencies []float64
	err := client.follow(func(data []byte) {
		scanner.scan(data, func(age time.Duration) {
			atomic.AddInt64(&v.events, 1)
			if v.measure.running() {
				latencies = append(latencies, float64(age.Microseconds()))
			}
		})
	})
	v.lock.Lock()
	defer v.lock.Unlock()
	v.latencies = append(v.latencies, latencies...)
	if atomic.LoadInt32(&v.leaving) == 0 {
		v.failure = fmt.Errorf("a viewer was sent away: %v", err)
	}
}

// leave sends all of them home; what one of them found wrong.
func (v *Viewers) leave() error {
	atomic.StoreInt32(&v.leaving, 1)
	for _, client := range v.clients {
		client.socket.Close()
	}
	v.all.Wait()
	return v.failure
}

// Publisher posts events at a set rate, to one stream or to each of several, until it is stopped.
type Publisher struct {
	measure *span // its events are those posted; the viewers' are those that came
	posted  int64
	stop    chan struct{}
	ended   chan error
	streams int
}

func publish(command Command) (*Publisher, error) {
	p := &Publisher{&span{}, 0, make(chan struct{}), nil, max(1, command.Streams)}
	p.ended = make(chan error, p.streams)
	for i := 0; i < p.streams; i++ {
		client, err := dial(numbered(command.Publish, i))
		if err != nil {
			return nil, err
		}
		go func(i int) {
			// Streams in turn, so that one's event is not waited for by another's.
			time.Sleep(duration(float64(i) / float64(p.streams) / command.Rate))
			p.ended <- p.run(client, command)
		}(i)
	}
	return p, nil
}

func (p *Publisher) run(client *Client, command Command) error {
	defer client.socket.Close()
	ticker := time.NewTicker(duration(1 / command.Rate))
	defer ticker.Stop()
	event := []byte(command.Body)
	if len(event) == 0 {
		event = []byte(unstamped + strings.Repeat(".", max(0, command.Size-stampSize)))
	}
	stamp := event[bytes.Index(event, []byte(unstamped)):]
	for {
		select {
		case <-p.stop:
			return nil
		case <-ticker.C:
		}
		writeStamp(stamp)
		_, _, err := client.exchange("POST", event, Fields{"Content-Type": "text/plain"})
		if err != nil {
			return err
		}
		atomic.AddInt64(&p.posted, 1)
		p.measure.running()
	}
}

// halt ends it; how many events were posted in all.
func (p *Publisher) halt() (int64, error) {
	var err error
	close(p.stop)
	for i := 0; i < p.streams; i++ {
		if failed := <-p.ended; failed != nil {
			err = failed
		}
	}
	return p.posted, err
}

// fanout: streams with so many viewers each. Fails where a viewer missed an event or saw one twice.
// Without viewers, what is counted is the events that were posted.
func fanout(command Command) (Result, error) {
	viewers, err := attend(command, command.Viewers)
	if err != nil {
		return nil, err
	}
	publisher, err := publish(command)
	if err != nil {
		return nil, err
	}
	time.Sleep(duration(command.Warmup))
	counted := viewers.measure
	if command.Viewers == 0 {
		counted = publisher.measure
	}
	result, err := counted.over(command)
	if err != nil {
		return nil, err
	}
	posted, err := publisher.halt()
	if err != nil {
		return nil, err
	}
	seen := viewers.await(posted * int64(command.Viewers))
	if err := viewers.leave(); err != nil {
		return nil, err
	}
	if seen != posted*int64(command.Viewers) {
		return nil, fmt.Errorf("%d events were posted, and %d viewers of each saw %d in all",
			posted, command.Viewers, seen)
	}
	if len(viewers.latencies) > 0 {
		result["p50"] = quantile(viewers.latencies, 0.50)
		result["p99"] = quantile(viewers.latencies, 0.99)
	}
	return result, nil
}

// await returns how many events came, once it is so many or no more come.
func (v *Viewers) await(expected int64) int64 {
	end := time.Now().Add(patience)
	for time.Now().Before(end) && atomic.LoadInt64(&v.events) < expected {
		time.Sleep(10 * time.Millisecond)
	}
	return atomic.LoadInt64(&v.events)
}

// Company is another stream's viewers beside a relay, and what they see.
type Company struct {
	viewers   *Viewers
	publisher *Publisher
}

// Events a second of the other stream.
const companyRate = 10

// besides gives a relay's run another stream with viewers at the same time, where it wants one.
func besides(command Command) (*Company, error) {
	if command.Beside == 0 {
		return nil, nil
	}
	other := command
	other.URL, other.Headers = command.Publish, Fields{"Accept": "text/event-stream"}
	other.Rate, other.Streams = companyRate, 1
	viewers, err := attend(other, command.Beside)
	if err != nil {
		return nil, err
	}
	publisher, err := publish(other)
	return &Company{viewers, publisher}, err
}

// leave ends it; what a viewer or the publisher found wrong.
func (c *Company) leave() error {
	if c == nil {
		return nil
	}
	_, err := c.publisher.halt()
	if failed := c.viewers.leave(); failed != nil {
		return failed
	}
	return err
}

// idle: viewers of a stream in which nothing happens; what each holds and what they cost.
func idle(command Command) (Result, error) {
	empty, err := usageOf(command.Pids)
	if err != nil {
		return nil, err
	}
	viewers, err := attend(command, command.Viewers)
	if err != nil {
		return nil, err
	}
	time.Sleep(duration(command.Warmup))
	result, err := viewers.measure.over(command)
	if err != nil {
		return nil, err
	}
	result["bytes"] = float64(result["rss"].(int64)-empty.rss) / float64(command.Viewers)
	return result, viewers.leave()
}
