package recovery

import (
	"container/list"
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"strings"
	"sync"
	"time"

	"server22.local/appliance/realtime/packet"
)

// The defaults of Limits.
const (
	DefaultWindow   = 2 * time.Minute
	DefaultBytes    = 4 << 20
	DefaultSessions = 10_000
)

// Limits bound what a log keeps.
type Limits struct {
	Window   time.Duration // how long a client may be away; 0 means DefaultWindow
	Bytes    int           // of packets; 0 means DefaultBytes
	Sessions int           // that may come back; 0 means DefaultSessions
}

func (l Limits) withDefaults() Limits {
	if l.Window == 0 {
		l.Window = DefaultWindow
	}
	if l.Bytes == 0 {
		l.Bytes = DefaultBytes
	}
	if l.Sessions == 0 {
		l.Sessions = DefaultSessions
	}
	return l
}

// Memory is a Log that ends with the process. Offsets are numbers, so finding
// one is subtraction, with a prefix that tells them from those that another
// process has given out under the same number.
type Memory struct {
	limits Limits
	epoch  string

	mu       sync.Mutex // guards all following
	entries  []Entry    // entries[0] has the number first
	first    uint64
	before   string // the offset of the entry before the first
	bytes    int
	sessions map[string]*list.Element // of order, by pid
	order    *list.List               // of Session, in the order in which they have ended
}

// NewMemory returns an empty log.
func NewMemory(l Limits) *Memory {
	var b [6]byte
	rand.Read(b[:]) // never fails
	m := &Memory{
		limits:   l.withDefaults(),
		epoch:    base64.RawURLEncoding.EncodeToString(b[:]),
		first:    1,
		sessions: make(map[string]*list.Element),
		order:    list.New(),
	}
	m.before = m.offset(0)
	return m
}

func (m *Memory) offset(number uint64) string {
	return m.epoch + "." + strconv.FormatUint(number, 36)
}

func number(offset string) (uint64, bool) {
	_, digits, ok := strings.Cut(offset, ".")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 36, 64)
	return n, err == nil
}

// index returns where the entries after an offset begin, or false if the
// offset is none of this log, or entries after it are gone.
func (m *Memory) index(offset string) (int, bool) {
	if offset == m.before {
		return 0, true
	}
	n, ok := number(offset)
	if !ok || n < m.first || n >= m.first+uint64(len(m.entries)) {
		return 0, false
	}
	i := int(n - m.first)
	return i + 1, m.entries[i].Offset == offset
}

// Append implements Log.
func (m *Memory) Append(e Entry) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.Time = time.Now()
	e.Offset = m.offset(m.first + uint64(len(m.entries)))
	m.entries = append(m.entries, e)
	m.bytes += size(e.Packet)
	m.trim(e.Time)
	return e.Offset, nil
}

// size is about what an entry takes in memory.
func size(p *packet.Packet) int {
	return 256 + p.Size() + 24*(len(p.Args)+len(p.Attachments))
}

// trim drops entries that are too old or too many; the last one stays.
func (m *Memory) trim(now time.Time) {
	n := 0
	for n < len(m.entries)-1 && (m.bytes > m.limits.Bytes || now.Sub(m.entries[n].Time) > m.limits.Window) {
		m.bytes -= size(m.entries[n].Packet)
		m.before = m.entries[n].Offset
		m.entries[n] = Entry{}
		n++
	}
	m.entries = m.entries[n:]
	m.first += uint64(n)
}

// Offset implements Log.
func (m *Memory) Offset() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.entries) == 0 {
		return m.before
	}
	return m.entries[len(m.entries)-1].Offset
}

// Since implements Log.
func (m *Memory) Since(offset string) ([]Entry, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trim(time.Now())
	i, ok := m.index(offset)
	if !ok {
		return nil, false
	}
	return append([]Entry(nil), m.entries[i:]...), true
}

// SaveSession implements Log.
func (m *Memory) SaveSession(s Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(s.PID)
	m.sweep(time.Now())
	m.sessions[s.PID] = m.order.PushBack(s)
	return nil
}

// remove returns the session that it has removed, if there was one.
func (m *Memory) remove(pid string) (Session, bool) {
	e, known := m.sessions[pid]
	if !known {
		return Session{}, false
	}
	delete(m.sessions, pid)
	return m.order.Remove(e).(Session), true
}

// sweep forgets the sessions whose time is over, and the oldest if there is no
// room for another one.
func (m *Memory) sweep(now time.Time) {
	for e := m.order.Front(); e != nil; e = m.order.Front() {
		s := e.Value.(Session)
		if now.Sub(s.Ended) <= m.limits.Window && m.order.Len() < m.limits.Sessions {
			return
		}
		m.remove(s.PID)
	}
}

// TakeSession implements Log.
func (m *Memory) TakeSession(pid string) (Session, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.remove(pid)
	return s, ok && time.Since(s.Ended) <= m.limits.Window
}

// Until implements Log.
func (m *Memory) Until() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.order.Back()
	if last == nil {
		return time.Time{}
	}
	return last.Value.(Session).Ended.Add(m.limits.Window)
}

// Live implements Log.
func (m *Memory) Live() bool { return false }
