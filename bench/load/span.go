package main

import (
	"sync/atomic"
	"time"
)

// span is the measured part of a run. Clients ask it for each event whether it counts.
type span struct {
	open   int32
	events int64
}

func (s *span) running() bool {
	if atomic.LoadInt32(&s.open) == 0 {
		return false
	}
	atomic.AddInt64(&s.events, 1)
	return true
}

// over measures for the command's seconds: what the server used, for each event that came.
func (s *span) over(command Command) (Result, error) {
	before, err := usageOf(command.Pids)
	if err != nil {
		return nil, err
	}
	atomic.StoreInt32(&s.open, 1)
	time.Sleep(duration(command.Seconds))
	atomic.StoreInt32(&s.open, 0)
	after, err := usageOf(command.Pids)
	if err != nil {
		return nil, err
	}
	return after.since(before, int(atomic.LoadInt64(&s.events))), nil
}
