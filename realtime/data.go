package realtime

import (
	"encoding/json"
	"maps"
)

// Set keeps a value with the socket. A namespace with recovery keeps it with
// the session if it can be encoded as JSON.
func (s *Socket) Set(key string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data == nil {
		s.data = make(map[string]any)
	}
	s.data[key] = value
}

// Get returns a value that was kept with the socket. If the session was
// recovered in another process it is a json.RawMessage; see the function Get.
func (s *Socket) Get(key string) (any, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.data[key]
	return v, ok
}

// Data returns a copy of all that was kept with the socket.
func (s *Socket) Data() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.data)
}

// Get returns a value that was kept with a socket if it is a T, or can be
// decoded into one after a recovery.
func Get[T any](s *Socket, key string) (value T, ok bool) {
	v, _ := s.Get(key)
	if raw, isRaw := v.(json.RawMessage); isRaw {
		if _, wanted := any(value).(json.RawMessage); !wanted {
			return value, json.Unmarshal(raw, &value) == nil
		}
	}
	value, ok = v.(T)
	return value, ok
}
