package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// How long anything may take before the run is given up.
const patience = 30 * time.Second

// Client is one connection that carries one request, or several in turn.
type Client struct {
	socket net.Conn
	reader *bufio.Reader
	target *url.URL
	asked  http.Request // what a response is read for: one to HEAD has no body
}

func dial(address string) (*Client, error) {
	target, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	socket, err := net.DialTimeout("tcp", target.Host, patience)
	if err != nil {
		return nil, err
	}
	return &Client{socket: socket, reader: bufio.NewReaderSize(socket, 16*1024), target: target}, nil
}

// send writes a request whole, in one packet where it fits.
func (c *Client) send(method string, body []byte, headers Fields) error {
	c.asked.Method = method
	var message bytes.Buffer
	fmt.Fprintf(&message, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, c.target.RequestURI(), c.target.Host)
	for name, value := range headers {
		fmt.Fprintf(&message, "%s: %s\r\n", name, value)
	}
	if body != nil {
		fmt.Fprintf(&message, "Content-Length: %d\r\n", len(body))
	}
	message.WriteString("\r\n")
	message.Write(body)
	_, err := c.socket.Write(message.Bytes())
	return err
}

// head takes a response's status line and fields. The body is not taken.
func (c *Client) head() (*http.Response, error) {
	response, err := http.ReadResponse(c.reader, &c.asked)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 300))
		return nil, fmt.Errorf("%s was answered with %s: %s", c.target, response.Status, said)
	}
	return response, nil
}

// exchange sends and takes a whole response, and leaves the connection to the next.
func (c *Client) exchange(method string, body []byte, headers Fields) (*http.Response, int64, error) {
	_ = c.socket.SetDeadline(time.Now().Add(patience))
	if err := c.send(method, body, headers); err != nil {
		return nil, 0, err
	}
	response, err := c.head()
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	size, err := io.Copy(io.Discard, response.Body)
	if err == nil && response.Close {
		err = c.redial()
	}
	return response, size, err
}

// redial has a connection for the next request where the server ends one with each.
func (c *Client) redial() error {
	c.socket.Close()
	next, err := dial(c.target.String())
	if err == nil {
		c.socket, c.reader = next.socket, next.reader
	}
	return err
}

// follow hands over a response's body as it comes, framing and all, until its end. That the body
// was whole is said by its last chunk or by a closing event, which the caller may look for.
func (c *Client) follow(came func(data []byte)) error {
	_ = c.socket.SetDeadline(time.Time{})
	if buffered := c.reader.Buffered(); buffered > 0 {
		first, _ := c.reader.Peek(buffered)
		came(first)
	}
	buffer := make([]byte, 16*1024)
	for {
		size, err := c.socket.Read(buffer)
		if size > 0 {
			came(buffer[:size])
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// once makes a connection for one request.
func once(method, address string, body []byte, headers Fields) (*http.Response, int64, error) {
	client, err := dial(address)
	if err != nil {
		return nil, 0, err
	}
	defer client.socket.Close()
	return client.exchange(method, body, headers)
}
