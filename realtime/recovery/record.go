package recovery

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"server22.local/appliance/realtime/packet"
)

// record is a line of the file: exactly one of its fields is set.
type record struct {
	Before  string       `json:"before,omitempty"` // the offset before the first packet
	Packet  *savedPacket `json:"packet,omitempty"`
	Session *Session     `json:"session,omitempty"`
	Taken   string       `json:"taken,omitempty"`
}

// savedPacket is an Entry.
type savedPacket struct {
	Offset      string            `json:"offset"`
	Time        time.Time         `json:"t"`
	Namespace   string            `json:"nsp"`
	Args        []json.RawMessage `json:"args"`
	Attachments [][]byte          `json:"bin,omitempty"`
	Rooms       []string          `json:"rooms,omitempty"`
	Except      []string          `json:"except,omitempty"`
}

// saved is a packet as it stands in the file.
func saved(e *Entry) *savedPacket {
	return &savedPacket{
		Offset: e.Offset, Time: e.Time, Namespace: e.Packet.Namespace,
		Args: e.Packet.Args, Attachments: e.Packet.Attachments, Rooms: e.Rooms, Except: e.Except,
	}
}

// load reads the file as far as it is whole.
func (f *File) load() error {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	now := time.Now()
	lines := bufio.NewReader(file)
	for {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var r record
		if json.Unmarshal(text, &r) != nil {
			return nil // torn: what follows cannot be trusted either
		}
		f.replay(r, now)
	}
}

// replay does again what a record says.
func (f *File) replay(r record, now time.Time) {
	m := f.Memory
	switch {
	case r.Before != "":
		m.replayBefore(r.Before)
	case r.Packet != nil:
		m.replayPacket(r.Packet)
	case r.Session != nil:
		s := *r.Session
		if s.Ended.IsZero() {
			s.Ended = now // it was connected when the process ended
		}
		m.SaveSession(s)
	case r.Taken != "":
		m.TakeSession(r.Taken)
	}
}

func (m *Memory) replayBefore(offset string) {
	n, _ := number(offset)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before, m.first = offset, n+1
}

func (m *Memory) replayPacket(s *savedPacket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := number(s.Offset); !ok || n != m.first+uint64(len(m.entries)) || len(s.Args) == 0 {
		return
	}
	p := &packet.Packet{Type: packet.Event, Namespace: s.Namespace, Args: s.Args, Attachments: s.Attachments}
	m.entries = append(m.entries, Entry{Offset: s.Offset, Packet: p, Rooms: s.Rooms, Except: s.Except, Time: s.Time})
	m.bytes += size(p)
}
