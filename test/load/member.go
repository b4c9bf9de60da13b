package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// member is one client in the room. It speaks WebSocket and Socket.IO itself,
// and decodes no more than it must: most of the machine is for the server.
type member struct {
	crowd *crowd
	conn  net.Conn
	room  string
	again func() // after an acknowledgement; nil: nothing

	in       []byte // received; in[from:to] is not handled yet
	from, to int
	handled  int
	mu       sync.Mutex
	id       int
	out      []byte
}

func join(url, room, nick string, c *crowd) (*member, error) {
	address := strings.TrimPrefix(url, "http://")
	conn, err := net.DialTimeout("tcp", address, 20*time.Second)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	m := &member{crowd: c, conn: conn, room: room, in: make([]byte, 8192)}
	if err := errors.Join(m.upgrade(address), m.enter(nick)); err != nil {
		return nil, errors.Join(fmt.Errorf("joining: %w", err), conn.Close())
	}
	go m.listen()
	return m, nil
}

func (m *member) upgrade(address string) error {
	const key = "AAAAAAAAAAAAAAAAAAAAAA=="
	_, err := fmt.Fprintf(m.conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", address, key)
	for err == nil {
		if end := bytes.Index(m.in[m.from:m.to], []byte("\r\n\r\n")); end >= 0 {
			answer := string(m.in[:end])
			m.from = end + 4
			if !strings.HasPrefix(answer, "HTTP/1.1 "+strconv.Itoa(http.StatusSwitchingProtocols)) {
				return errors.New(answer)
			}
			return nil
		}
		err = m.fill()
	}
	return err
}

// fill reads more.
func (m *member) fill() error {
	if m.from > 0 {
		m.to = copy(m.in, m.in[m.from:m.to])
		m.from = 0
	}
	if m.to == len(m.in) {
		m.in = append(m.in, make([]byte, len(m.in))...)
	}
	n, err := m.conn.Read(m.in[m.to:])
	m.to += n
	return err
}

// next returns the payload of the next frame (RFC 6455 §5.2), valid until the
// next call. A server's frames are not masked.
func (m *member) next() ([]byte, error) {
	for {
		if b := m.in[m.from:m.to]; len(b) >= 2 {
			size, head := int(b[1]&0x7f), 2
			switch {
			case size == 126 && len(b) >= 4:
				size, head = int(binary.BigEndian.Uint16(b[2:])), 4
			case size == 127 && len(b) >= 10:
				size, head = int(binary.BigEndian.Uint64(b[2:])), 10
			case size >= 126:
				size = len(b) // the length itself is not whole yet
			}
			if len(b) >= head+size {
				m.from += head + size
				return b[head : head+size], nil
			}
		}
		if err := m.fill(); err != nil {
			return nil, err
		}
	}
}

// write sends a text frame under a mask of zeros.
func (m *member) write(text string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := append(m.out[:0], 0x81)
	if len(text) < 126 {
		b = append(b, 0x80|byte(len(text)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(len(text)))
	}
	b = append(append(b, 0, 0, 0, 0), text...)
	m.out = b
	_, err := m.conn.Write(b)
	return err
}

func (m *member) enter(nick string) error {
	if err := m.write("40/chat,"); err != nil {
		return err
	}
	for {
		data, err := m.next()
		if err != nil {
			return err
		}
		switch text := string(data); {
		case strings.HasPrefix(text, "40/chat"):
			ask, _ := json.Marshal([]any{"join", map[string]any{"room": m.room, "nick": nick}}) // strings can be encoded
			err = m.write("42/chat,0" + string(ask))
		case strings.HasPrefix(text, "43/chat,0"):
			if strings.Contains(text, `"error"`) {
				return errors.New(text)
			}
			return nil
		case text == "2":
			err = m.write("3")
		}
		if err != nil {
			return err
		}
	}
}

func (m *member) say(text string) {
	m.mu.Lock()
	m.id++
	id := m.id
	m.mu.Unlock()
	_ = m.write(fmt.Sprintf(`42/chat,%d["message",{"room":%q,"text":%q,"id":"%p-%d"}]`, id, m.room, text, m, id)) // listen notices the end
}

var (
	said  = []byte(`42/chat,["message"`)
	acked = []byte(`43/chat,`)
	wrong = []byte(`"error"`)
)

func (m *member) listen() {
	for {
		data, err := m.next()
		if err != nil {
			return
		}
		switch {
		case bytes.HasPrefix(data, said):
			m.hear(data)
		case bytes.HasPrefix(data, acked):
			if bytes.Contains(data, wrong) {
				m.crowd.refused.Add(1)
			} else {
				m.crowd.acks.Add(1)
			}
			if m.again != nil {
				m.again()
			}
		case len(data) == 1 && data[0] == '2':
			_ = m.write("3") // the next read tells
		}
	}
}

// hear counts in steps, and looks at one message in so many: atomics and clocks
// cost more than reading.
func (m *member) hear(data []byte) {
	const step = 16
	if m.handled++; m.handled%step == 0 {
		m.crowd.heard.Add(step)
		m.crowd.late(data)
	}
}

// late notes how late a message is.
func (c *crowd) late(data []byte) {
	_, rest, _ := bytes.Cut(data, []byte("@"))
	stamp, _, _ := bytes.Cut(rest, []byte("@"))
	ns, err := strconv.ParseInt(string(stamp), 10, 64)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delay = append(c.delay, time.Since(time.Unix(0, ns)).Seconds())
}

func (m *member) close() {
	if m != nil {
		m.conn.Close()
	}
}
