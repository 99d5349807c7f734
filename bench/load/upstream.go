package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// What an OpenAI-compatible server sends for a token, around its text.
const (
	chunkHead = `data: {"id":"chatcmpl-B1mFQkZ9JzkqkRJzZtqvY8hQwXc3n","object":"chat.completion.chunk",` +
		`"created":1760000000,"model":"bench","service_tier":"default","system_fingerprint":"fp_3c9a1f0b7e",` +
		`"choices":[{"index":0,"delta":{"content":" `
	chunkTail = `"},"logprobs":null,"finish_reason":null}]}` + "\n\n"
	lastChunk = `data: {"id":"chatcmpl-B1mFQkZ9JzkqkRJzZtqvY8hQwXc3n","object":"chat.completion.chunk",` +
		`"created":1760000000,"model":"bench","service_tier":"default","system_fingerprint":"fp_3c9a1f0b7e",` +
		`"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}` + "\n\n"
	done = "data: [DONE]\n\n"
	// Streams whose turn comes within one of these are written to in one go, as they are by a
	// model server, which makes a token for each answer of a batch at once.
	tick = 50 * time.Microsecond
)

// Upstream is a model server that writes a stamp for each token, at a set pace.
type Upstream struct {
	address string
	lock    sync.Mutex
	rate    float64
	tokens  int
	slots   [][]*answer // those whose tokens fall into each tick of an interval
	next    int
	asked   int
}

type answer struct {
	socket net.Conn
	token  []byte // one framed token; the stamp in it is written anew each time
	left   int
}

func listenUpstream() *Upstream {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	upstream := &Upstream{address: listener.Addr().String()}
	go func() { _ = http.Serve(listener, upstream) }()
	go upstream.run()
	return upstream
}

// script sets what each answer asked for from now on is: so many tokens at such a rate.
func (u *Upstream) script(rate float64, tokens int) {
	u.lock.Lock()
	defer u.lock.Unlock()
	u.rate, u.tokens, u.asked, u.next = rate, tokens, 0, 0
	slots := int(float64(time.Second)/rate/float64(tick) + 0.5)
	if slots < 1 {
		slots = 1
	}
	u.slots = make([][]*answer, slots)
}

func (u *Upstream) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	_, _ = io.Copy(io.Discard, request.Body)
	if request.Method == http.MethodGet && request.URL.Path == "/viewers" {
		holdOn(writer)
		return
	}
	if request.Method != http.MethodPost {
		writer.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(writer, `{"object":"list","data":[{"id":"bench","object":"model"}]}`)
		return
	}
	socket, _, err := writer.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	u.begin(socket)
}

// holdOn has Pushpin keep the client, and hand on to it what is published.
func holdOn(writer http.ResponseWriter) {
	writer.Header().Set("Content-Type", "text/event-stream")
	writer.Header().Set("Grip-Hold", "stream")
	writer.Header().Set("Grip-Channel", "bench")
}

func (u *Upstream) begin(socket net.Conn) {
	token := []byte(chunkHead + unstamped + chunkTail)
	framed := append([]byte(fmt.Sprintf("%x\r\n", len(token))), token...)
	framed = append(framed, "\r\n"...)
	head := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n" +
		"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
	if _, err := io.WriteString(socket, head); err != nil {
		socket.Close()
		return
	}
	u.lock.Lock()
	defer u.lock.Unlock()
	slot := u.asked % len(u.slots)
	u.slots[slot] = append(u.slots[slot], &answer{socket, framed, u.tokens})
	u.asked++
}

func (u *Upstream) run() {
	runtime.LockOSThread()
	for ticks := time.Duration(0); ; {
		// Go's own timers are no finer than a millisecond, which would make bursts of what
		// comes evenly. A tick that was missed is made up for.
		nap := syscall.NsecToTimespec(int64(began.Add((ticks + 1) * tick).Sub(time.Now())))
		_ = syscall.Nanosleep(&nap, nil)
		for ; ticks < time.Since(began)/tick; ticks++ {
			u.turn()
		}
	}
}

func (u *Upstream) turn() {
	u.lock.Lock()
	defer u.lock.Unlock()
	if len(u.slots) == 0 {
		return
	}
	u.next = (u.next + 1) % len(u.slots)
	u.slots[u.next] = advance(u.slots[u.next])
}

// advance writes the next token of each; returns those that go on.
func advance(answers []*answer) []*answer {
	kept := answers[:0]
	for _, answer := range answers {
		if answer.write() {
			kept = append(kept, answer)
		} else {
			answer.socket.Close()
		}
	}
	return kept
}

func (a *answer) write() bool {
	if a.left == 0 {
		end := lastChunk + done
		_, _ = fmt.Fprintf(a.socket, "%x\r\n%s\r\n0\r\n\r\n", len(end), end)
		return false
	}
	a.left--
	writeStamp(a.token[len(a.token)-len("\r\n")-len(chunkTail)-stampSize:])
	_, err := a.socket.Write(a.token)
	return err == nil
}
