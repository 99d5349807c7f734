// The server that Tailrace's /stream endpoint is compared with: a prompt comes in as a query
// parameter, one chat completion is asked for, and what its chunks say goes out as it comes.
//
// It is written to behave exactly like a much-read tutorial's program, and keeps its habits, for
// they are what the comparison is about: the upstream's status is not looked at; anything that is
// no JSON is passed over; an answer that stops without [DONE] ends like one that is whole; one
// that breaks off, or has a line of 64 KiB, gets the words "Scanner error" as if the model had
// said them. Only the addresses and the token come from outside.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	model       = "gpt-3.5-turbo"
	temperature = 0.7
	// For the whole exchange with the upstream, its body included.
	patience = 50 * time.Second
)

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type question struct {
	Model       string    `json:"model"`
	Messages    []message `json:"messages"`
	Temperature float64   `json:"temperature"`
	Stream      bool      `json:"stream"`
}

type choice struct {
	Delta struct {
		Content string `json:"content"`
	} `json:"delta"`
}

type piece struct {
	Choices []choice `json:"choices"`
}

type relay struct {
	url   string
	token string
}

func (r relay) ask(content string) (*http.Response, error) {
	body, err := json.Marshal(question{
		Model:       model,
		Messages:    []message{{Role: "user", Content: content}},
		Temperature: temperature,
		Stream:      true,
	})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest("POST", r.url, bytes.NewBuffer(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+r.token)
	client := &http.Client{Timeout: patience}
	return client.Do(request)
}

func (r relay) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	content := request.URL.Query().Get("content")
	if content == "" {
		http.Error(w, "Missing 'content' parameter", http.StatusBadRequest)
		return
	}
	response, err := r.ask(content)
	if err != nil {
		http.Error(w, "Failed to get response", http.StatusInternalServerError)
		return
	}
	defer response.Body.Close()

	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Connection", "keep-alive")
	flusher, ok := w.(http.Flusher)
	if !ok {
		http.Error(w, "Streaming unsupported", http.StatusInternalServerError)
		return
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		line := strings.TrimPrefix(lines.Text(), "data: ")
		if line == "[DONE]" {
			break
		}
		if line == "" {
			continue
		}
		var said piece
		if json.Unmarshal([]byte(line), &said) != nil {
			continue
		}
		for _, each := range said.Choices {
			if _, err := w.Write([]byte(each.Delta.Content)); err != nil {
				http.Error(w, "Failed to write response", http.StatusInternalServerError)
				return
			}
			flusher.Flush()
		}
	}
	if lines.Err() != nil {
		http.Error(w, "Scanner error", http.StatusInternalServerError)
	}
}

func main() {
	address := flag.String("listen", "127.0.0.1:0", "host:port; port 0 lets the system choose")
	upstream := flag.String("upstream", os.Getenv("ARTICLE_UPSTREAM"), "base URL that ends in /v1")
	flag.Parse()
	if *upstream == "" {
		log.Fatal("no upstream: give -upstream or ARTICLE_UPSTREAM")
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/stream", relay{
		url:   strings.TrimSuffix(*upstream, "/") + "/chat/completions",
		token: os.Getenv("ARTICLE_TOKEN"),
	})
	fmt.Printf("http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
