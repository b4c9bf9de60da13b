package bus

import (
	"encoding/base64"
	"strconv"
	"sync"
	"time"

	"server22.local/appliance/realtime/packet"
)

// Message is a value on its way, or kept. It does not change and is shared by
// all who receive it.
type Message struct {
	Topic string
	Value Value
	Seq   uint64
	Time  time.Time
	// ClockUnset says that Time was read from a clock that nobody had set.
	ClockUnset bool
	Retain     bool
	Volatile   bool

	once sync.Once
	text []byte
}

// JSON returns the message as one JSON object in one line. Bytes are in it as
// base64, and "encoding" says so.
func (m *Message) JSON() []byte {
	m.once.Do(func() {
		b := m.head(make([]byte, 0, 96+len(m.Topic)+m.Value.Size()*4/3))
		if m.Value.JSON != nil {
			b = append(b, m.Value.JSON...)
		} else {
			b = append(b, '"')
			b = base64.StdEncoding.AppendEncode(b, m.Value.Bytes)
			b = append(b, `","encoding":"base64"`...)
		}
		m.text = m.tail(b)
	})
	return m.text
}

func (m *Message) head(b []byte) []byte {
	b = append(b, `{"topic":`...)
	b = append(b, quote(m.Topic)...)
	return append(b, `,"data":`...)
}

func (m *Message) tail(b []byte) []byte {
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, m.Seq, 10)
	b = append(b, `,"time":`...)
	b = strconv.AppendInt(b, m.Time.UnixMilli(), 10)
	if m.ClockUnset {
		b = append(b, `,"clock":false`...)
	}
	if m.Retain {
		b = append(b, `,"retain":true`...)
	}
	return append(b, '}')
}

// cost is what the message is counted as while it waits, in bytes.
func (m *Message) cost() int { return 64 + len(m.Topic) + m.Value.Size() }

// MarshalJSON returns JSON.
func (m *Message) MarshalJSON() ([]byte, error) { return m.JSON(), nil }

// packed is a message with bytes for clients that can receive bytes.
type packed struct {
	Topic  string `json:"topic"`
	Data   []byte `json:"data"`
	Seq    uint64 `json:"seq"`
	Time   int64  `json:"time"`
	Clock  *bool  `json:"clock,omitempty"`
	Retain bool   `json:"retain,omitempty"`
}

// Argument returns the message as an argument of an event: bytes stay bytes.
func (m *Message) Argument() any {
	if m.Value.JSON == nil {
		return packed{m.Topic, m.Value.Bytes, m.Seq, m.Time.UnixMilli(), clock(m.ClockUnset), m.Retain}
	}
	v, err := packet.RawValue(m.JSON())
	if err != nil {
		return m // cannot be: the text was made here
	}
	return v
}

// clock is the field beside a time: false while the clock was never set, and
// left out when it was.
func clock(unset bool) *bool {
	if !unset {
		return nil
	}
	return new(bool)
}
