package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How many connections are being opened at a time: fewer than a listener's backlog holds.
const opening = 64

// Viewers follow one stream, each on a connection of its own.
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

// attend opens them and returns once each has its response's head.
func attend(command Command, count int) (*Viewers, error) {
	viewers := &Viewers{measure: &span{}, clients: make([]*Client, count)}
	room := make(chan struct{}, opening)
	errs := make(chan error, count)
	for i := range viewers.clients {
		room <- struct{}{}
		go func(i int) {
			client, err := view(command)
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

func view(command Command) (*Client, error) {
	client, err := dial(command.URL)
	if err != nil {
		return nil, err
	}
	_ = client.socket.SetDeadline(time.Now().Add(patience))
	if err := client.send("GET", nil, command.Headers); err != nil {
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

func (v *Viewers) leave() {
	atomic.StoreInt32(&v.leaving, 1)
	for _, client := range v.clients {
		client.socket.Close()
	}
	v.all.Wait()
}

// Publisher posts events to a stream at a set rate, until it is stopped.
type Publisher struct {
	client *Client
	posted int64
	stop   chan struct{}
	ended  chan error
}

func publish(command Command) (*Publisher, error) {
	client, err := dial(command.Publish)
	if err != nil {
		return nil, err
	}
	publisher := &Publisher{client: client, stop: make(chan struct{}), ended: make(chan error, 1)}
	go func() { publisher.ended <- publisher.run(command) }()
	return publisher, nil
}

func (p *Publisher) run(command Command) error {
	defer p.client.socket.Close()
	ticker := time.NewTicker(duration(1 / command.Rate))
	defer ticker.Stop()
	event := []byte("~00000000" + strings.Repeat(".", max(0, command.Size-stampSize)))
	for {
		select {
		case <-p.stop:
			return nil
		case <-ticker.C:
		}
		writeStamp(event)
		_, _, err := p.client.exchange("POST", event, Fields{"Content-Type": "text/plain"})
		if err != nil {
			return err
		}
		p.posted++
	}
}

func (p *Publisher) halt() error {
	close(p.stop)
	return <-p.ended
}

// fanout: one stream, many viewers. Fails where a viewer missed an event or saw one twice.
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
	result, err := viewers.measure.over(command)
	if err != nil {
		return nil, err
	}
	if err := publisher.halt(); err != nil {
		return nil, err
	}
	seen := viewers.await(publisher.posted * int64(command.Viewers))
	viewers.leave()
	if viewers.failure != nil {
		return nil, viewers.failure
	}
	if seen != publisher.posted*int64(command.Viewers) {
		return nil, fmt.Errorf("%d events were posted, and %d viewers saw %d in all",
			publisher.posted, command.Viewers, seen)
	}
	result["p50"] = quantile(viewers.latencies, 0.50)
	result["p99"] = quantile(viewers.latencies, 0.99)
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

// besides gives a relay's run another stream with viewers at the same time, where it wants one.
func besides(command Command) (*Company, error) {
	if command.Beside == 0 {
		return nil, nil
	}
	other := command
	other.URL, other.Headers = command.Publish, Fields{"Accept": "text/event-stream"}
	viewers, err := attend(other, command.Beside)
	if err != nil {
		return nil, err
	}
	other.Rate = companyRate
	publisher, err := publish(other)
	return &Company{viewers, publisher}, err
}

// Company is another stream's viewers, and what they see.
type Company struct {
	viewers   *Viewers
	publisher *Publisher
}

// Events a second of the other stream.
const companyRate = 10

func (c *Company) leave() {
	_ = c.publisher.halt()
	c.viewers.leave()
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
	viewers.leave()
	result["bytes"] = float64(result["rss"].(int64)-empty.rss) / float64(command.Viewers)
	if viewers.failure != nil {
		return nil, viewers.failure
	}
	return result, nil
}
